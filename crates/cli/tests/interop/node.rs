//! One storage node of ours, as its own process.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use peermark_node::client::{ClientOptions, NodeClient, RequestBody, Upload};
use peermark_node::content::{
    BLOCK_CODEC, Digest, InnerNode, MANIFEST_CODEC, Manifest, TREE_CODEC, TreeBuilder, cid_text, digest_of,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::network::PROTOCOL;
use crate::process::Leased;
use crate::{Failure, ensure};

/// Longest time from the start of a node to its announcement.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest announcement.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// Bytes of a block.
const BLOCK_BYTES: u32 = 64 << 10;

/// A running storage node. It ends with this.
pub(crate) struct Node {
    _directory: TempDir,
    _process: Leased,
    pub(crate) client: NodeClient,
    pub(crate) peer: PeerId,
    pub(crate) address: Multiaddr,
}

impl Node {
    /// Starts a node that joins by some peers.
    pub(crate) async fn start(bootstrap: &[Multiaddr]) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let mut command = Leased::own(&["node", "run", "--exit-with-stdin", "--data", "data", "--api", "127.0.0.1:0"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0", "--dht-protocol", PROTOCOL]);
        command.args(["--block-size", &BLOCK_BYTES.to_string()]).current_dir(directory.path());
        for address in bootstrap {
            command.args(["--bootstrap", &address.to_string()]);
        }
        let mut process = Leased::start(command, &directory.path().join("node.log"), true)?;
        let mut line = String::new();
        let stdout = BufReader::new(process.stdout().ok_or("no stdout")?);
        tokio::time::timeout(START_TIMEOUT, stdout.take(MAX_LINE_BYTES).read_line(&mut line)).await??;
        let announced: Value = serde_json::from_str(&line)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("announced: {line}"));
        let client = NodeClient::new(&text(&announced["api"])?, ClientOptions::default())?;
        let peer = text(&announced["peer_id"])?.parse()?;
        let address = text(&announced["addresses"][0])?.parse()?;
        Ok(Self { _directory: directory, _process: process, client, peer, address })
    }

    /// Stores a dataset, which has to get the CID that is expected of it.
    pub(crate) async fn upload(&self, dataset: &Blocks) -> Result<(), Failure> {
        let body = RequestBody::bytes(Bytes::from(dataset.content.clone()));
        let cid = self.client.upload(Upload::new(body)).await?;
        // The node adds the type that came with the upload to the manifest.
        ensure(cid == dataset.manifest_cid(), || format!("stored as {cid}, not {}", dataset.manifest_cid()))
    }

    /// Reads a dataset from the network.
    pub(crate) async fn fetch(&self, cid: &str) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        let mut sink = |chunk: &[u8]| {
            content.extend_from_slice(chunk);
            ControlFlow::Continue(())
        };
        self.client.fetch_network(cid, &mut sink).await?;
        Ok(content)
    }

    /// A counter of its block exchange.
    pub(crate) async fn exchanged(&self, counter: &str) -> Result<u64, Failure> {
        let document: Value = self.client.get_json("/api/v1/exchange").await?;
        document[counter].as_u64().ok_or_else(|| format!("no counter {counter}: {document}").into())
    }
}

/// A dataset as the blocks that it is made of: what a node makes of an upload, without a node.
pub(crate) struct Blocks {
    pub(crate) content: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    /// Inner nodes of the tree, the root last.
    pub(crate) tree: Vec<InnerNode>,
    pub(crate) data: Vec<Vec<u8>>,
}

impl Blocks {
    /// A dataset of `blocks` whole blocks that no other seed makes.
    pub(crate) fn new(seed: u8, blocks: u32) -> Result<Self, Failure> {
        let words = (0..blocks * BLOCK_BYTES / 4).map(|word| word.wrapping_mul(2_654_435_761) ^ u32::from(seed) << 24);
        let content: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let data: Vec<Vec<u8>> = content.chunks(BLOCK_BYTES as usize).map(<[u8]>::to_vec).collect();
        let (mut builder, mut tree) = (TreeBuilder::default(), Vec::new());
        data.iter().for_each(|block| builder.push(digest_of(block), &mut |node| tree.push(node)));
        let root = builder.finish(&mut |node| tree.push(node)).ok_or("no blocks")?;
        let manifest = Manifest {
            tree: root,
            block_size: BLOCK_BYTES,
            dataset_size: content.len() as u64,
            filename: None,
            mimetype: Some("application/octet-stream".into()),
        };
        Ok(Self { content, manifest: manifest.encode(), tree, data })
    }

    /// Every block with the codec under which our nodes ask for it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let tree = self.tree.iter().map(|node| (TREE_CODEC, &node.bytes[..]));
        let data = self.data.iter().map(|block| (BLOCK_CODEC, &block[..]));
        [(MANIFEST_CODEC, &self.manifest[..])].into_iter().chain(tree).chain(data)
    }

    pub(crate) fn manifest_digest(&self) -> Digest {
        digest_of(&self.manifest)
    }

    pub(crate) fn manifest_cid(&self) -> String {
        cid_text(&self.manifest_digest().cid(MANIFEST_CODEC))
    }
}
