//! From a log of a million entries back to the state: signatures believed, and every signature checked.

use std::num::NonZeroUsize;
use std::path::Path;

use peermark_core::Clock;
use peermark_core::sealed::{Bytes, Sealed};
use peermark_ledger::beacon::{Beacon, BeaconRule};
use peermark_ledger::block::{BlockEnd, BlockRecord};
use peermark_ledger::directory::Directory;
use peermark_ledger::genesis::Genesis;
use peermark_ledger::log::Log;
use peermark_ledger::machine::{Block, Machine};
use peermark_ledger::verify::{Proven, Signatures, prove};

use super::transitions::{Signers, genesis, key, mix};
use crate::BenchError;
use crate::figure::{Figure, Hold};

/// Entries of the log.
const ENTRIES: u64 = 1_000_000;

/// Entries of a block.
const BLOCK: u64 = 10_000;

/// Records that are written at a time.
const GROUP: usize = 1_000;

/// Rounds, each with signatures believed and then checked.
const ROUNDS: usize = 3;

/// Longest replay, seconds, with signatures believed and checked.
const LONGEST_S: [f64; 2] = [30.0, 60.0];

/// Seconds that both take.
pub(super) fn figures(scratch: &Path, clock: &dyn Clock) -> Result<Vec<Figure>, BenchError> {
    let genesis = genesis();
    let path = scratch.join("replay");
    let directory = Directory::create(&path, genesis.clone(), SEQUENCER).map_err(failed)?;
    let state = write(&directory, &genesis)?;
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let timed = |signatures| {
        let started_ns = clock.now_ns();
        let proven = read(&directory, signatures, threads)?;
        let elapsed_s = (clock.now_ns() - started_ns) as f64 / 1e9;
        if proven.state() != state || proven.entries != ENTRIES || proven.refused != 0 {
            return Err(failed(format!("replayed to another state: {} entries, {}", proven.entries, proven.state())));
        }
        Ok(elapsed_s)
    };
    let (mut trusted, mut checked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        trusted.push(timed(Signatures::Trusted)?);
        checked.push(timed(Signatures::All)?);
    }
    let mut replay = Figure::of_values("ledger.replay_s", "s", &trusted, Hold::AtMost(LONGEST_S[0]));
    replay.notes.push(format!(
        "{ENTRIES} entries in blocks of {BLOCK}, cached by the system since they were written, to the state: checksums, hash chain, \
         tree, every block's state; signatures of entries believed; {}",
        mix()
    ));
    let mut verify = Figure::of_values("ledger.full_verify_s", "s", &checked, Hold::AtMost(LONGEST_S[1]));
    verify.notes.push(format!("the same with every signature, on {threads} threads; cached too"));
    Ok(vec![replay, verify])
}

/// The sequencer's private key; that of the genesis of [`genesis`].
const SEQUENCER: [u8; 32] = [255; 32];

/// Writes the log block by block and returns the last state.
fn write(directory: &Directory, genesis: &Genesis) -> Result<peermark_ledger::Digest, BenchError> {
    let mut log = Log::open(directory.log_options().map_err(failed)?).map_err(failed)?;
    let mut machine = Machine::new(genesis.clone());
    let network = genesis.network();
    let mut signers = Signers::new(&network);
    let mut end = BlockEnd::default();
    for _ in 0..ENTRIES / BLOCK {
        let entries: Vec<Sealed> = (0..BLOCK).map(|_| signers.next()).collect::<Result<_, _>>()?;
        let beacon =
            BeaconRule::Checkpoint.value(&network, end.height + 1, machine.state().hash(), None).map_err(failed)?;
        let result = machine.finalize(&Block { height: end.height + 1, beacon, entries: &entries });
        let first = log.size();
        let bytes: Vec<&[u8]> = entries.iter().map(Sealed::bytes).collect();
        for group in bytes.chunks(GROUP) {
            log.append(group).map_err(failed)?;
        }
        let record = BlockRecord { first, entries: BLOCK, beacon: None, state: result.state, wall_ms: 0 };
        let record = record.seal(&key(SEQUENCER[0]), &network, end).map_err(failed)?;
        log.append(&[record.bytes()]).map_err(failed)?;
        end = BlockEnd { height: end.height + 1, hash: Bytes(record.hash()) };
    }
    log.close().map_err(failed)?;
    Ok(machine.state().hash())
}

fn read(directory: &Directory, signatures: Signatures, threads: NonZeroUsize) -> Result<Proven, BenchError> {
    let files = directory.files().map_err(failed)?;
    let identity = directory.identity().map_err(failed)?;
    prove(&files, &identity, directory.genesis().clone(), signatures, threads).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> BenchError {
    BenchError::subject("replaying a log", error)
}
