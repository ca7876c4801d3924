//! Arithmetic on moments: phases, random parts, pauses between attempts.

use std::time::Duration;

use peermark_core::{MonotonicNs, Seed};
use rand::RngExt as _;
use sha2::{Digest, Sha256};

use super::Retry;

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) ns: MonotonicNs,
    pub(super) wall_ms: u64,
}

impl Now {
    /// The monotonic reading of a wall time, as the clocks stand now.
    pub(super) fn ns_at(self, wall_ms: u64) -> MonotonicNs {
        if wall_ms >= self.wall_ms {
            self.ns.saturating_add((wall_ms - self.wall_ms).saturating_mul(1_000_000))
        } else {
            self.ns.saturating_sub((self.wall_ms - wall_ms).saturating_mul(1_000_000))
        }
    }
}

/// Where below half of `jitter_ms` a node runs a task: equal at every start, different between nodes and between tasks.
pub(super) fn phase_ms(node_id: &str, task: &str, jitter_ms: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(b"peermark/agenda/phase/1\0");
    hash.update((node_id.len() as u64).to_be_bytes());
    hash.update(node_id.as_bytes());
    hash.update(task.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let number = digest[..8].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    // The upper half of the product: without the bias of a remainder.
    ((u128::from(number) * u128::from(jitter_ms / 2)) >> 64) as u64
}

/// The random part of a task's run: below the other half of `jitter_ms`.
pub(super) fn random_ms(seed: Seed, task: &str, run: u64, jitter_ms: u64) -> u64 {
    match jitter_ms - jitter_ms / 2 {
        0 => 0,
        below => seed.stream_at(&format!("agenda/jitter/{task}"), run).random_range(0..below),
    }
}

/// The pause after attempt `attempt` (from 1): 1.5 times the one before, at most `longest`, give or take half.
pub(super) fn pause(retry: &Retry, attempt: u32, seed: Seed, trace: u64) -> Duration {
    let factor = 1.5f64.powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
    let pause_s = (retry.first.as_secs_f64() * factor).min(retry.longest.as_secs_f64());
    let share = seed.stream_at("agenda/retry", trace).random_range(0.5..1.5);
    Duration::try_from_secs_f64(pause_s * share).unwrap_or(retry.longest)
}

/// Whole milliseconds, rounded down.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds of any duration that matters.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
