//! A dataset while it is being uploaded.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Blocks, BlocksError, writer};
use crate::content::{Digest, Manifest};

/// An unfinished dataset. Dropping it removes its blocks.
#[derive(Debug)]
pub struct Upload {
    blocks: Blocks,
    id: i64,
    finished: bool,
}

impl Upload {
    pub(super) fn new(blocks: Blocks, id: i64) -> Self {
        Self { blocks, id, finished: false }
    }

    /// Adds blocks. Returns once they are committed (not yet synced).
    ///
    /// # Errors
    /// [`BlocksError::QuotaFull`] when they do not fit even after the cache was evicted; [`BlocksError`] when the database fails.
    pub async fn put(&self, blocks: Vec<(Digest, Bytes)>) -> Result<(), BlocksError> {
        let (reply, answer) = oneshot::channel();
        self.blocks.write(writer::Write::Put { upload: self.id, blocks, reply }).await?;
        answer.await.map_err(|_| BlocksError::Closed)?
    }

    /// Adds the manifest block and makes the dataset durable: returns after the transaction was synced to disk.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn finish(mut self, digest: Digest, bytes: Bytes, manifest: Manifest) -> Result<(), BlocksError> {
        let (reply, answer) = oneshot::channel();
        let request = writer::Write::Finish { upload: self.id, digest, bytes, manifest, reply };
        self.blocks.write(request).await?;
        answer.await.map_err(|_| BlocksError::Closed)??;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // Drop cannot wait. When the queue is full, a task waits in its place; without a runtime the next start cleans up.
        let request = writer::Write::Abort { upload: self.id };
        if let Err(tokio::sync::mpsc::error::TrySendError::Full(request)) = self.blocks.inner.write.try_send(request)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let blocks = self.blocks.clone();
            runtime.spawn(async move { blocks.write(request).await });
        }
    }
}
