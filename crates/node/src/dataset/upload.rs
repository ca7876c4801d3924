//! A file on its way in: cut, padded, hashed, stored, described by a manifest.

use bytes::{Bytes, BytesMut};
use cid::Cid;
use futures::{Stream, StreamExt};
use thiserror::Error;

use crate::blocks::{Blocks, BlocksError, Upload};
use crate::content::{Digest, MANIFEST_CODEC, Manifest, TreeBuilder, digest_of};

/// Bytes that are handed to the store at once.
const BATCH_BYTES: usize = 1 << 20;

/// What an upload is called and how it is cut.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Bytes of every block.
    pub block_size: u32,
    /// Name, for the manifest.
    pub filename: Option<String>,
    /// Media type, for the manifest.
    pub mimetype: Option<String>,
}

/// Why an upload was not stored.
#[derive(Debug, Error)]
pub enum UploadError {
    /// There is no tree over no blocks.
    #[error("upload is empty")]
    Empty,
    /// The body ended with an error: the sender went away or broke the protocol.
    #[error("upload broke off after {received} bytes: {reason}")]
    Body {
        /// Bytes that came.
        received: u64,
        /// What the connection said.
        reason: String,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] BlocksError),
}

/// Cuts a stream into blocks.
struct Cutter {
    upload: Upload,
    tree: TreeBuilder,
    batch: Vec<(Digest, Bytes)>,
    batch_bytes: usize,
    received: u64,
}

/// Stores a stream as a dataset and returns its manifest's CID. The dataset is durable when this returns.
///
/// # Errors
/// [`UploadError`]; nothing of the upload stays in the store then.
pub async fn upload<E: std::fmt::Display>(
    blocks: &Blocks,
    body: impl Stream<Item = Result<Bytes, E>>,
    options: UploadOptions,
) -> Result<(Cid, Manifest), UploadError> {
    let block_size = options.block_size as usize;
    let upload = blocks.begin_upload().await?;
    let mut cutter = Cutter { upload, tree: TreeBuilder::default(), batch: Vec::new(), batch_bytes: 0, received: 0 };
    let mut body = std::pin::pin!(body);
    let mut buffer = BytesMut::with_capacity(block_size);
    while let Some(chunk) = body.next().await {
        let mut chunk =
            chunk.map_err(|error| UploadError::Body { received: cutter.received, reason: error.to_string() })?;
        cutter.received += chunk.len() as u64;
        while !chunk.is_empty() {
            let room = block_size - buffer.len();
            buffer.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
            if buffer.len() == block_size {
                cutter.block(buffer.split().freeze()).await?;
                buffer.reserve(block_size);
            }
        }
    }
    if !buffer.is_empty() {
        buffer.resize(block_size, 0);
        cutter.block(buffer.freeze()).await?;
    }
    cutter.finish(options).await
}

impl Cutter {
    async fn block(&mut self, bytes: Bytes) -> Result<(), UploadError> {
        let digest = digest_of(&bytes);
        self.batch_bytes += bytes.len();
        self.batch.push((digest, bytes));
        let batch = &mut self.batch;
        self.tree.push(digest, &mut |node| batch.push((node.digest, node.bytes)));
        if self.batch_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), UploadError> {
        self.batch_bytes = 0;
        Ok(self.upload.put(std::mem::take(&mut self.batch)).await?)
    }

    async fn finish(mut self, options: UploadOptions) -> Result<(Cid, Manifest), UploadError> {
        let batch = &mut self.batch;
        let root = std::mem::take(&mut self.tree).finish(&mut |node| batch.push((node.digest, node.bytes)));
        let tree = root.ok_or(UploadError::Empty)?;
        self.flush().await?;
        let UploadOptions { block_size, filename, mimetype } = options;
        let manifest = Manifest { tree, block_size, dataset_size: self.received, filename, mimetype };
        let bytes = Bytes::from(manifest.encode());
        let digest = digest_of(&bytes);
        self.upload.finish(digest, bytes, manifest.clone()).await?;
        Ok((digest.cid(MANIFEST_CODEC), manifest))
    }
}
