//! Closing a block: executing what waits, writing the record, telling what happened.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use peermark_core::sealed::Sealed;

use super::core::Core;
use super::{BlockSummary, Sequencer, SequencerError, WRITE_DEADLINE};
use crate::Signature;
use crate::block::BlockRecord;
use crate::log::{AppendError, Receipt, Snapshot};

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 100_000;

/// A block whose record is not on the disk yet.
pub(super) struct Unwritten {
    record: Sealed,
    summary: BlockSummary,
    /// The answer to the record, where it was handed over: it may still come.
    answer: Option<Receiver<Result<Receipt, AppendError>>>,
}

impl Sequencer {
    /// Executes what waits as the next block, writes its record and tells what happened. `proof` is the beacon's, where the network has
    /// one outside. Who reads the state meanwhile reads that of the block before; who brings entries waits.
    ///
    /// # Errors
    /// [`SequencerError`]. After [`SequencerError::Write`] no entries are taken until a later call finds the record written.
    pub fn close_block(&self, proof: Option<Signature>) -> Result<BlockSummary, SequencerError> {
        let _one = self.closing.lock();
        self.core.lock().is_closing = true;
        let closed = self.try_close(proof);
        self.core.lock().is_closing = false;
        self.closed.notify_all();
        closed
    }

    fn try_close(&self, proof: Option<Signature>) -> Result<BlockSummary, SequencerError> {
        let settled = self.flight.settle(WRITE_DEADLINE);
        let mut core = self.core.lock();
        if !settled {
            let height = core.replay.end().height.saturating_add(1);
            return Err(SequencerError::Write { height, source: AppendError::Timeout });
        }
        core.land(&self.flight);
        let mut unwritten = match core.unwritten.take() {
            Some(unwritten) => unwritten,
            None => self.execute(&mut core, proof)?,
        };
        let handed = unwritten.answer.take().map_or_else(|| self.hand_over(&core, &unwritten.record), Ok);
        drop(core);
        let written = handed.and_then(|answer| match answer.recv_timeout(WRITE_DEADLINE) {
            Ok(written) => written,
            Err(RecvTimeoutError::Timeout) => {
                // It is in the queue: handed over a second time it might be written twice.
                unwritten.answer = Some(answer);
                Err(AppendError::Timeout)
            }
            Err(RecvTimeoutError::Disconnected) => Err(AppendError::Stopped),
        });
        let mut core = self.core.lock();
        match written {
            Ok(receipt) => Ok(self.finish(&mut core, &unwritten.record, unwritten.summary, receipt)),
            Err(source) => {
                let height = unwritten.summary.height;
                core.unwritten = Some(unwritten);
                Err(SequencerError::Write { height, source })
            }
        }
    }

    fn execute(&self, core: &mut Core, proof: Option<Signature>) -> Result<Unwritten, SequencerError> {
        let end = core.replay.end();
        let entries = core.replay.waiting().len() as u64;
        let first = core.replay.next() - entries;
        let result = core.replay.execute(proof.as_ref())?;
        let wall_ms = self.clock.wall_ms();
        let record = BlockRecord { first, entries, beacon: proof, state: result.state, wall_ms };
        let record = record.seal(&self.key, &self.network, end)?;
        let (outcomes, events) = (result.outcomes, result.events);
        let summary = BlockSummary { height: end.height + 1, index: 0, state: result.state, outcomes, events };
        Ok(Unwritten { record, summary, answer: None })
    }

    fn hand_over(&self, core: &Core, record: &Sealed) -> Result<Receiver<Result<Receipt, AppendError>>, AppendError> {
        let (sender, answer) = mpsc::sync_channel(1);
        let writer = core.writer.as_ref().ok_or(AppendError::Stopped)?;
        // Whoever waits no more hears nothing.
        writer.submit(record.bytes().to_vec(), Box::new(move |answer| drop(sender.try_send(answer))))?;
        Ok(answer)
    }

    fn finish(&self, core: &mut Core, record: &Sealed, summary: BlockSummary, receipt: Receipt) -> BlockSummary {
        let summary = BlockSummary { index: receipt.index, ..summary };
        core.replay.follow(record);
        self.publish(core);
        core.recent.write().executed(summary.height, &summary.outcomes);
        core.ends.write().clear();
        core.accused.clear();
        core.waiting_bytes = 0;
        self.show_other_half(core);
        self.snapshot(core);
        summary
    }

    /// Gives the readers' copy what the block changed. Readers wait while rows are moved, not while they are made or copied.
    fn publish(&self, core: &Core) {
        let machine = core.replay.machine();
        let changes = machine.changes_for(&self.published.read().machine);
        let mut published = self.published.write();
        published.machine.absorb(changes);
        published.end = core.replay.end();
    }

    fn snapshot(&self, core: &mut Core) {
        let size = core.replay.next();
        let (Some(writer), true) = (&core.writer, size - core.snapshot_at >= SNAPSHOT_EVERY) else { return };
        let machine = core.replay.machine();
        let written = self.reader.root(size).and_then(|root| {
            let (height, state_hash) = (core.replay.end().height, machine.state().hash().0);
            writer.snapshots().write(&Snapshot { height, size, root, state_hash, bytes: machine.snapshot() })
        });
        match written {
            Ok(()) => core.snapshot_at = size,
            // The log has everything: only the next start takes longer. Where the disk failed for good, the writer ends the process.
            Err(error) => tracing::warn!(%error, "snapshot was not written"),
        }
    }
}
