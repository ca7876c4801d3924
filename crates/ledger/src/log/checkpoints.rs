//! Signing checkpoints, also beside the thread that appends: a checkpoint costs three syncs, which no record need wait for.

use std::sync::{Arc, PoisonError};

use peermark_core::sealed::SigningKey;

use super::CHECKPOINT;
use super::checkpoint::Checkpoint;
use super::error::LogError;
use super::files::replace;
use super::reader::{Reader, Shared, read, write};

/// Signs what a log has appended.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    shared: Arc<Shared>,
    key: SigningKey,
}

impl Checkpoints {
    pub(super) fn new(shared: Arc<Shared>, key: SigningKey) -> Self {
        Self { shared, key }
    }

    /// Signs the tree of all records that have been synced, and puts the checkpoint in the place of the last one. Where that covers
    /// them already, nothing is done and it is returned.
    ///
    /// # Errors
    /// [`LogError::NoSpace`]: the last one stays. [`LogError::Fatal`]: the process must end, and the log is written no more;
    /// [`LogError::Stopped`] ever after.
    pub fn write(&self) -> Result<Checkpoint, LogError> {
        let _writing = self.shared.writing_checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let last = Reader(Arc::clone(&self.shared)).checkpoint();
        let tree = read(&self.shared.tree).clone();
        if last.size == tree.size() {
            return Ok(last);
        }
        self.shared.writing()?;
        let origin = self.shared.identity.signer.origin.clone();
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        let note = checkpoint.sign(&self.key);
        self.shared.note(replace(&*self.shared.files, CHECKPOINT, note.as_bytes()))?;
        *write(&self.shared.checkpoint) = (checkpoint.clone(), note);
        Ok(checkpoint)
    }
}
