//! Blocks over Bitswap, both ways. Both keep them by multihash, so a block answers under any codec: raw, and Archivist's.

use std::time::Duration;

use cid::Cid;
use peermark_dht::key::RecordKey;
use peermark_dht::operation::Variant;
use peermark_node::content::{MANIFEST_CODEC, cid_text, digest_of};

use crate::kubo::Kubo;
use crate::network::{K, Mixed, engine};
use crate::node::{Blocks, Node};
use crate::{Checked, Failure, ensure, wait_for};

/// multicodec of plain bytes.
const RAW: u64 = 0x55;

/// Longest time until a node's announcement is in the DHT.
const ANNOUNCED_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the DHT knows that somebody has a manifest.
async fn announced(mixed: &Mixed, node: &Node, dataset: &Blocks) -> Result<(), Failure> {
    let finder = mixed.measurer(engine(Variant::Default, K)).await?;
    let key = RecordKey::of_cid(&dataset.manifest_digest().cid(MANIFEST_CODEC));
    wait_for("a node's announcement", ANNOUNCED_TIMEOUT, || async {
        Ok(mixed.retrieve(&finder, &key).await.providers.contains(&node.peer).then_some(()))
    })
    .await
}

/// Gets a block with `ipfs block get` and compares it.
async fn same(kubo: &Kubo, cid: &Cid, bytes: &[u8]) -> Result<(), Failure> {
    let got = kubo.ipfs(&["block", "get", "--timeout=45s", &cid.to_string()]).await?;
    ensure(got == bytes, || format!("{cid}: {} bytes that differ from {}", got.len(), bytes.len()))
}

async fn is_connected(kubo: &Kubo, node: &Node) -> Result<bool, Failure> {
    let peer = node.peer.to_string();
    Ok(kubo.peers().await?.iter().any(|open| open["Peer"] == peer.as_str()))
}

/// A node in no DHT at all: Kubo is told where it is, and gets every kind of block under both codecs.
pub(crate) async fn kubo_gets_connected(mixed: &mut Mixed) -> Checked {
    let node = Node::start(&[]).await?;
    let dataset = Blocks::new(1, 3)?;
    node.upload(&dataset).await?;
    let kubo = &mixed.kubos[0];
    kubo.connect(&node.address).await?;
    let mut blocks = 0;
    for (number, (codec, bytes)) in dataset.all().enumerate() {
        // What it has got it keeps, so each block is asked for once, under the one codec or the other.
        let codec = if number % 2 == 0 { RAW } else { codec };
        same(kubo, &digest_of(bytes).cid(codec), bytes).await?;
        blocks += 1;
    }
    let sent = node.exchanged("blocks_sent").await?;
    ensure(sent == blocks, || format!("{blocks} blocks, and {sent} were sent"))?;
    Ok(format!("{blocks} blocks, raw and Archivist's codecs"))
}

/// A node that joined the DHT: Kubo finds it by the record of the manifest, and the other blocks at the same peer.
pub(crate) async fn kubo_gets_by_dht(mixed: &mut Mixed) -> Checked {
    let node = Node::start(&mixed.bootstrap()[..1]).await?;
    let dataset = Blocks::new(2, 3)?;
    node.upload(&dataset).await?;
    announced(mixed, &node, &dataset).await?;
    let kubo = &mixed.asker;
    ensure(!is_connected(kubo, &node).await?, || "connected before anything was looked up".into())?;
    let mut blocks = 0;
    for (_, bytes) in dataset.all() {
        same(kubo, &digest_of(bytes).cid(RAW), bytes).await?;
        blocks += 1;
    }
    ensure(is_connected(kubo, &node).await?, || "not connected, where from are the blocks?".into())?;
    let sent = node.exchanged("blocks_sent").await?;
    ensure(sent == blocks, || format!("{blocks} blocks, and {sent} were sent"))?;
    Ok(format!("{blocks} blocks of a peer that it was not told of"))
}

/// A block that only a Kubo has, asked of that Kubo.
pub(crate) async fn we_get_connected(mixed: &mut Mixed) -> Checked {
    let node = Node::start(&[]).await?;
    let kubo = &mixed.kubos[0];
    let text = "a block that Kubo alone has";
    let cid: Cid = kubo.put(text.as_bytes()).await?.parse()?;
    node.client.connect_peer(&kubo.peer.to_string(), &[kubo.address.to_string()]).await?;
    for asked in [cid.to_string(), cid_text(&digest_of(text.as_bytes()).cid(peermark_node::content::BLOCK_CODEC))] {
        let got = node.client.get_text(&format!("/api/v1/blocks/{asked}?from={}", kubo.peer)).await?;
        ensure(got == text, || format!("{asked}: {got:?}"))?;
    }
    Ok("under the raw codec and Archivist's".into())
}

/// A dataset that only a Kubo has, block by block: our node finds the Kubo by the record of the manifest and reads it all.
pub(crate) async fn we_get_by_dht(mixed: &mut Mixed) -> Checked {
    let dataset = Blocks::new(3, 5)?;
    let kubo = &mixed.kubos[2];
    for (_, bytes) in dataset.all() {
        kubo.put(bytes).await?;
    }
    kubo.provide(&dataset.manifest_digest().cid(RAW).to_string()).await?;
    // By a server of ours, so that nothing but the DHT leads to the Kubo that has it.
    let by_ours = mixed.bootstrap().pop().into_iter().collect::<Vec<_>>();
    let node = Node::start(&by_ours).await?;
    let content = node.fetch(&dataset.manifest_cid()).await?;
    ensure(content == dataset.content, || format!("{} bytes that differ", content.len()))?;
    let received = node.exchanged("blocks_received").await?;
    let expected = dataset.all().count() as u64;
    ensure(received == expected, || format!("{received} blocks received, not {expected}"))?;
    Ok(format!("{} bytes in {received} blocks", content.len()))
}
