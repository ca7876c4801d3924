//! A file on its way out: from the manifest down the tree to the blocks, in order, with a bounded number of requests ahead.
//!
//! Every layer of the tree is a stream that feeds the next one and is pulled by it, so the work ahead of the reader is bounded by
//! the layers' windows, whatever the size of the dataset. Parts of the tree that a range does not touch are never asked for.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use thiserror::Error;
use tokio::time::Instant;

use crate::bitswap::{Exchange, FetchError, Session};
use crate::blocks::BlocksError;
use crate::content::{
    BLOCK_CODEC, Children, Digest, InvalidCid, InvalidManifest, MANIFEST_CODEC, Manifest, TREE_CODEC, depth,
};

/// Inner nodes of one layer that are requested ahead.
const NODES_AHEAD: usize = 16;

/// Bytes of blocks that are requested ahead.
const BYTES_AHEAD: usize = 2 << 20;

/// Where blocks may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node's store alone.
    Local,
    /// The store, else the network.
    Network,
}

/// Why a dataset could not be read.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The CID's hash is not served here.
    #[error(transparent)]
    Cid(#[from] InvalidCid),
    /// Not in this node's store.
    #[error("{what} is not stored on this node")]
    NotLocal {
        /// What is missing: `dataset` or `block`.
        what: &'static str,
    },
    /// The network did not give a block.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The CID names a block that is no manifest.
    #[error("not a dataset: {0}")]
    NotADataset(#[from] InvalidManifest),
    /// A block of the tree is not what its manifest says.
    #[error("the dataset's tree does not have the shape that its manifest announces")]
    Tree,
    /// A data block is shorter or longer than its manifest says.
    #[error("a block of the dataset has {found} bytes, not {expected}")]
    BlockSize {
        /// As the manifest says.
        expected: u32,
        /// What came.
        found: usize,
    },
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] BlocksError),
}

/// A dataset that can be read.
#[derive(Clone)]
pub struct Dataset {
    reader: Arc<Reader>,
    manifest: Manifest,
}

struct Reader {
    exchange: Exchange,
    session: Session,
    source: Source,
    block_timeout: Duration,
}

/// A node of the tree with the leaves below it.
#[derive(Clone, Copy, Debug)]
struct Span {
    digest: Digest,
    /// Layers below; 0 is a block.
    level: u32,
    first_leaf: u64,
}

impl Dataset {
    /// Reads the manifest that a CID names. `block_timeout` bounds the wait for every single block, this one included.
    ///
    /// # Errors
    /// [`DatasetError`] when there is no such manifest.
    pub async fn open(
        exchange: &Exchange,
        cid: &Cid,
        source: Source,
        block_timeout: Duration,
    ) -> Result<Self, DatasetError> {
        let digest = Digest::of_cid(cid)?;
        let session = Session::new(digest);
        let reader = Reader { exchange: exchange.clone(), session, source, block_timeout };
        let bytes = match reader.block(digest, MANIFEST_CODEC).await {
            Err(DatasetError::NotLocal { .. }) => return Err(DatasetError::NotLocal { what: "dataset" }),
            other => other?,
        };
        let manifest = Manifest::decode(&bytes)?;
        if source == Source::Network {
            // Lists it among the manifests that are here.
            exchange.blocks().keep(digest, bytes, Some(manifest.clone())).await?;
        }
        Ok(Self { reader: Arc::new(reader), manifest })
    }

    /// What the dataset consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a range, in order, trimmed to it. The range must lie within the dataset.
    pub fn read(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, DatasetError>> + Send + use<> {
        let block_size = self.manifest.block_size;
        let range = range.start..range.end.min(self.manifest.dataset_size);
        let window = (BYTES_AHEAD / block_size as usize).clamp(2, 64);
        let reader = self.reader.clone();
        self.leaves(&range)
            .map_ok(move |leaf| {
                let (reader, range) = (reader.clone(), range.clone());
                async move {
                    let bytes = reader.block(leaf.digest, BLOCK_CODEC).await?;
                    trim(&bytes, leaf.first_leaf * u64::from(block_size), block_size, &range)
                }
            })
            .try_buffered(window)
    }

    /// The leaves that a range touches, in order.
    fn leaves(&self, range: &Range<u64>) -> BoxStream<'static, Result<Span, DatasetError>> {
        let leaf_count = self.manifest.block_count();
        let block_size = u64::from(self.manifest.block_size);
        let wanted = range.start / block_size..range.end.div_ceil(block_size).min(leaf_count);
        let height = depth(leaf_count);
        let root = Span { digest: self.manifest.tree, level: height, first_leaf: 0 };
        let mut layer: BoxStream<'static, _> = stream::iter((!wanted.is_empty()).then_some(Ok(root))).boxed();
        for _ in 0..height {
            let (reader, wanted) = (self.reader.clone(), wanted.clone());
            layer = layer
                .map_ok(move |span| {
                    let (reader, wanted) = (reader.clone(), wanted.clone());
                    async move {
                        let bytes = reader.block(span.digest, TREE_CODEC).await?;
                        let children = span.children(&bytes, leaf_count).ok_or(DatasetError::Tree)?;
                        let touched = children.into_iter().filter(move |child| child.touches(&wanted)).map(Ok);
                        Ok::<_, DatasetError>(stream::iter(touched))
                    }
                })
                .try_buffered(NODES_AHEAD)
                .try_flatten()
                .boxed();
        }
        layer
    }
}

impl Reader {
    async fn block(&self, digest: Digest, codec: u64) -> Result<Bytes, DatasetError> {
        match self.source {
            Source::Local => self.exchange.blocks().get(digest).await?.ok_or(DatasetError::NotLocal { what: "block" }),
            Source::Network => {
                let deadline = Instant::now() + self.block_timeout;
                Ok(self.exchange.fetch(digest.cid(codec), &self.session, deadline).await?)
            }
        }
    }
}

impl Span {
    fn touches(&self, wanted: &Range<u64>) -> bool {
        let end = self.first_leaf.saturating_add(1 << self.level);
        self.first_leaf < wanted.end && end > wanted.start
    }

    /// The spans below an inner node, `None` when its bytes do not fit its place in a tree of this many leaves.
    fn children(&self, bytes: &[u8], leaf_count: u64) -> Option<Vec<Self>> {
        let node = Children::parse(bytes)?;
        let level = self.level - 1;
        let middle = self.first_leaf + (1 << level);
        if node.are_leaves != (level == 0) || node.right.is_some() != (middle < leaf_count) {
            return None;
        }
        let left = Self { digest: node.left, level, first_leaf: self.first_leaf };
        let right = node.right.map(|digest| Self { digest, level, first_leaf: middle });
        Some([Some(left), right].into_iter().flatten().collect())
    }
}

/// The part of a block that a range wants.
fn trim(bytes: &Bytes, offset: u64, block_size: u32, range: &Range<u64>) -> Result<Bytes, DatasetError> {
    if bytes.len() != block_size as usize {
        return Err(DatasetError::BlockSize { expected: block_size, found: bytes.len() });
    }
    let start = range.start.saturating_sub(offset).min(u64::from(block_size));
    let end = (range.end - offset.min(range.end)).min(u64::from(block_size));
    Ok(bytes.slice(start as usize..end.max(start) as usize))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::blocks::{Blocks, BlocksConfig, Location};
    use crate::dataset::{UploadError, UploadOptions, upload};
    use crate::metrics::Metrics;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn exchange() -> Exchange {
        let config = BlocksConfig { location: Location::Memory, quota_bytes: 64 << 20, cache_bytes: 1 << 20 };
        Exchange::new(Blocks::open(&config).unwrap(), Arc::new(Metrics::new()))
    }

    async fn round_trip(content: Vec<u8>, chunk: usize, block_size: u32, range: Range<u64>) {
        let exchange = exchange();
        let body = stream::iter(content.chunks(chunk).map(|part| Ok::<_, String>(Bytes::copy_from_slice(part))));
        let options = UploadOptions { block_size, filename: Some("f".into()), mimetype: None };
        let (cid, manifest) = upload(exchange.blocks(), body, options).await.unwrap();
        assert_eq!(manifest.dataset_size, content.len() as u64);
        let dataset = Dataset::open(&exchange, &cid, Source::Local, Duration::from_secs(1)).await.unwrap();
        let parts: Vec<Bytes> = dataset.read(range.clone()).try_collect().await.unwrap();
        assert_eq!(parts.concat(), content[range.start as usize..range.end as usize]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_range_of_any_upload_reads_back(size in 1usize..40_000, chunk in 1usize..9_000, block in 1u32..3_000, cut in any::<(u16, u16)>()) {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let start = usize::from(cut.0) % size;
            let end = start + usize::from(cut.1) % (size - start + 1);
            runtime().block_on(round_trip(content, chunk, block, start as u64..end as u64));
        }
    }

    #[tokio::test]
    async fn golden_manifest_through_the_whole_way() {
        let exchange = exchange();
        let body = stream::iter([Ok::<_, String>(Bytes::from_static(b"hello world"))]);
        let options = UploadOptions { block_size: 65_536, filename: None, mimetype: None };
        let (cid, _) = upload(exchange.blocks(), body, options).await.unwrap();
        assert_eq!(crate::content::cid_text(&cid), "zDvZRwzm2HaZLtSRUJAt5sSLMamtnV7wz3ev9juJSxN3R2nMiH78");
    }

    #[tokio::test]
    async fn empty_and_broken_uploads_leave_nothing() {
        let exchange = exchange();
        let options = UploadOptions { block_size: 16, filename: None, mimetype: None };
        let empty = upload(exchange.blocks(), stream::iter(Vec::<Result<Bytes, String>>::new()), options.clone()).await;
        assert!(matches!(empty, Err(UploadError::Empty)));
        let broken = stream::iter([Ok(Bytes::from(vec![1; 100])), Err("reset")]);
        let broken = upload(exchange.blocks(), broken, options).await;
        assert!(matches!(broken, Err(UploadError::Body { received: 100, .. })), "{broken:?}");
        assert!(exchange.blocks().manifests(0, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_block_that_is_no_manifest_is_refused() {
        let exchange = exchange();
        let bytes = Bytes::from_static(b"not a manifest at all");
        let cid = crate::content::block_cid(BLOCK_CODEC, &bytes);
        exchange.blocks().keep(crate::content::digest_of(&bytes), bytes, None).await.unwrap();
        let opened = Dataset::open(&exchange, &cid, Source::Local, Duration::from_secs(1)).await;
        assert!(matches!(opened, Err(DatasetError::NotADataset(_))));
        let absent = crate::content::block_cid(MANIFEST_CODEC, b"absent");
        let opened = Dataset::open(&exchange, &absent, Source::Local, Duration::from_secs(1)).await;
        assert!(matches!(opened, Err(DatasetError::NotLocal { what: "dataset" })));
    }
}
