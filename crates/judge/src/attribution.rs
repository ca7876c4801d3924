//! Who answered: how often each hoster did, and what a feed's customers get whoever serves them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outcome::ProbeOutcome;
use crate::policy::PPM;
use crate::share;
use crate::windows::Promise;

/// Answers by who gave them, as the hosters' own signed greeting says. Who does not say is unknown, which is a category of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// Answers of unknown peers.
    pub unknown: u64,
    /// Answers by hoster.
    pub hosters: BTreeMap<u64, u64>,
}

/// One request and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answered; absent for an unknown peer, and where nobody did.
    pub hoster: Option<u64>,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// Microseconds to the first byte, where one came.
    pub latency_us: Option<u64>,
    /// Bits per second, where enough came to tell.
    pub throughput_bps: Option<u64>,
}

/// How many of the answers that count kept one promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Those that kept it.
    pub kept: u64,
    /// Those that count.
    pub of: u64,
}

/// The three questions of a sponsor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benchmark {
    /// Can a chunk be had at all, whoever supplies it?
    pub obtained: Kept,
    /// Can it be had within the promised latency, from hosters?
    pub in_time: Option<Kept>,
    /// Can much be had with the promised speed, from hosters?
    pub fast: Option<Kept>,
}

/// How well a feed's sets were served in one round, as an attester reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingHealth {
    /// Hosters that could be reached, by set.
    pub reachable: Vec<u32>,
    /// Requested chunks that at least one contracted hoster delivered.
    pub chunks_ok: u64,
    /// Requested chunks.
    pub chunks_tried: u64,
}

impl HostingHealth {
    /// From what each set's hosters (reachable or not) delivered: for every requested chunk whether any of them did.
    pub fn of_sets(sets: &[(Vec<bool>, Vec<bool>)]) -> Self {
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        Self {
            reachable: sets.iter().map(|(live, _)| u32::try_from(count(live)).unwrap_or(u32::MAX)).collect(),
            chunks_ok: sets.iter().map(|(_, chunks)| count(chunks) as u64).sum(),
            chunks_tried: sets.iter().map(|(_, chunks)| chunks.len() as u64).sum(),
        }
    }

    /// Share of requested chunks that were delivered, parts per million; `None` where none was requested.
    pub fn share_ppm(&self) -> Option<u32> {
        share::ppm(self.chunks_ok, self.chunks_tried)
    }
}

impl Attribution {
    /// Counts one answer. Unknown suppliers credit no hoster.
    pub fn add(&mut self, hoster: Option<u64>) {
        let count = match hoster {
            Some(hoster) => self.hosters.entry(hoster).or_default(),
            None => &mut self.unknown,
        };
        *count = count.saturating_add(1);
    }

    /// All answers.
    pub fn all(&self) -> u64 {
        self.hosters.values().fold(self.unknown, |sum, count| sum.saturating_add(*count))
    }

    /// Shares in parts per million, which sum to one million: of unknown peers first, then of every hoster by id.
    pub fn shares(&self) -> (u32, BTreeMap<u64, u32>) {
        let counts: Vec<u64> = std::iter::once(self.unknown).chain(self.hosters.values().copied()).collect();
        let shares = share::apportion(PPM, &counts);
        let unknown = shares.first().copied().unwrap_or(0);
        (unknown, self.hosters.keys().copied().zip(shares.into_iter().skip(1)).collect())
    }
}

impl Kept {
    /// The share in parts per million, rounded down; `None` where nothing counts.
    pub fn share_ppm(self) -> Option<u32> {
        share::ppm(self.kept, self.of)
    }

    fn add(&mut self, kept: bool) {
        self.of += 1;
        self.kept += u64::from(kept);
    }
}

/// Holds answers against a sponsor's promise. Faults of attesters and of the path do not count. Unknown suppliers count for the first
/// question only: they credit no hoster.
pub fn benchmark(answers: &[Answer], promise: &Promise) -> Benchmark {
    let mut found = Benchmark {
        obtained: Kept::default(),
        in_time: promise.latency_us.map(|_| Kept::default()),
        fast: promise.throughput_bps.map(|_| Kept::default()),
    };
    for answer in answers.iter().filter(|answer| answer.outcome.is_counted()) {
        let served = answer.outcome.is_served();
        found.obtained.add(served);
        if served && answer.hoster.is_none() {
            continue;
        }
        if let (Some(in_time), Some(promised)) = (&mut found.in_time, promise.latency_us) {
            in_time.add(served && answer.latency_us.is_some_and(|us| us <= promised));
        }
        if let (Some(fast), Some(promised)) = (&mut found.fast, promise.throughput_bps) {
            // A transfer too small to tell its speed says nothing; one that never came says enough.
            if answer.throughput_bps.is_some() || !served {
                fast.add(served && answer.throughput_bps.is_some_and(|bps| bps >= promised));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R66, R67, R68: 50 requests, of which 29 unknown, 10 A, 9 B, 2 C.
    #[test]
    fn the_seed_s_fifty_requests() {
        let mut found = Attribution::default();
        for (hoster, n) in [(None, 29), (Some(1), 10), (Some(2), 9), (Some(3), 2)] {
            (0..n).for_each(|_| found.add(hoster));
        }
        assert_eq!(found.all(), 50);
        assert_eq!(found.shares(), (580_000, [(1, 200_000), (2, 180_000), (3, 40_000)].into()));
        assert_eq!(Attribution::default().shares(), (0, BTreeMap::new()));
    }

    fn answer(
        hoster: Option<u64>,
        outcome: ProbeOutcome,
        latency_us: Option<u64>,
        throughput_bps: Option<u64>,
    ) -> Answer {
        Answer { hoster, outcome, latency_us, throughput_bps }
    }

    /// R69, R70, R71: can it be had at all, in time, and fast. R72: unknown suppliers count for the first only.
    #[test]
    fn the_three_questions() {
        let answers = [
            answer(Some(1), ProbeOutcome::Ok, Some(100), Some(900)),
            answer(Some(1), ProbeOutcome::Slow, Some(300), None),
            answer(None, ProbeOutcome::Ok, Some(1), Some(9_000)),
            answer(None, ProbeOutcome::BlockTimeout, None, None),
            answer(Some(2), ProbeOutcome::AttesterFault, None, None),
        ];
        let promise = Promise { latency_us: Some(200), throughput_bps: Some(500), availability_ppm: None };
        let found = benchmark(&answers, &promise);
        assert_eq!(found.obtained, Kept { kept: 3, of: 4 });
        assert_eq!(found.in_time, Some(Kept { kept: 1, of: 3 }));
        assert_eq!(found.fast, Some(Kept { kept: 1, of: 2 }));
        assert_eq!(found.obtained.share_ppm(), Some(750_000));
        assert_eq!(benchmark(&answers, &Promise::default()).fast, None);
    }
}
