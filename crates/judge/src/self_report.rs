//! What hosters say about themselves. It is compared with what can be known, and may lower a score, never raise it.

mod claim;
mod compact;
mod compare;
pub mod metrics;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::SelfReportPolicy;

pub use claim::{ClaimHistory, deviates, used_capacity};
pub use compact::{CompactError, parse_compact, print_compact};
pub use compare::{Comparison, Direction, Mismatch, compare_hosters, cos2_at_least, tracer_shortfalls};

/// Most indices in one report: chunks of one contract, with room for other sizes of sets.
pub const MAX_INDICES: usize = 4_096;

/// Traffic in chunks and in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Chunks.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How often one chunk was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexCount {
    /// The chunk's index in its feed.
    pub index: u64,
    /// Requests.
    pub count: u64,
    /// The chunk's size in bytes.
    pub size: u64,
}

/// A hoster's report about one contract in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfReport {
    /// What came in.
    pub ingress: Traffic,
    /// What went out.
    pub egress: Traffic,
    /// What was asked for, by index, each once.
    pub per_index: Vec<IndexCount>,
    /// When it says to have been up, as `[from, to)` in seconds since the evidence's epoch, in order and apart.
    pub up: Vec<(u64, u64)>,
}

/// Why a self-report contradicts itself or its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReportError {
    /// Too long.
    #[error("{count} indices, more than {MAX_INDICES}")]
    TooLong {
        /// Indices.
        count: usize,
    },
    /// Out of order or twice.
    #[error("index {index} is out of order or there twice")]
    Order {
        /// The index.
        index: u64,
    },
    /// Not a chunk of the contract.
    #[error("index {index} is not in the contract")]
    NotInContract {
        /// The index.
        index: u64,
    },
    /// The size is not the one that the feed's tree proves.
    #[error("chunk {index} has {proven} bytes, not {said}")]
    WrongSize {
        /// The index.
        index: u64,
        /// What the report says.
        said: u64,
        /// What the tree proves.
        proven: u64,
    },
    /// Totals are not the sums of their parts.
    #[error("the parts sum to {sum} {what}, not {said}")]
    WrongTotal {
        /// `chunks` or `bytes`.
        what: &'static str,
        /// What the report says.
        said: u64,
        /// What its parts sum to.
        sum: u64,
    },
    /// Intervals that are empty, out of order or overlap.
    #[error("up from {from} to {to}: empty, out of order or overlapping")]
    Interval {
        /// From.
        from: u64,
        /// To.
        to: u64,
    },
    /// Numbers that no feed has.
    #[error("sums beyond 2^64")]
    Overflow,
}

impl SelfReport {
    /// Checks a report against itself and its contract: every index is one of the contract's, every size is the one that the feed's tree
    /// proves, and counts and sizes sum to the egress. `proven` has the size of every chunk of the contract.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self, proven: &BTreeMap<u64, u64>) -> Result<(), ReportError> {
        let total = totals(&self.per_index)?;
        for entry in &self.per_index {
            let index = entry.index;
            let proven = *proven.get(&index).ok_or(ReportError::NotInContract { index })?;
            if proven != entry.size {
                return Err(ReportError::WrongSize { index, said: entry.size, proven });
            }
        }
        for (what, said, sum) in
            [("chunks", self.egress.chunks, total.chunks), ("bytes", self.egress.bytes, total.bytes)]
        {
            if said != sum {
                return Err(ReportError::WrongTotal { what, said, sum });
            }
        }
        let mut last = 0;
        for (at, (from, to)) in self.up.iter().copied().enumerate() {
            if from >= to || (at > 0 && from <= last) {
                return Err(ReportError::Interval { from, to });
            }
            last = to;
        }
        Ok(())
    }

    /// Seconds that it says to have been up between two moments.
    pub fn up_s(&self, from_s: u64, to_s: u64) -> u64 {
        let within = self.up.iter().map(|(from, to)| (*to).min(to_s).saturating_sub((*from).max(from_s)));
        within.fold(0, u64::saturating_add)
    }
}

/// Which report of a hoster is missing at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The regular one: none since longer than the policy's interval.
    Regular,
    /// The answer to a demand: none within the policy's blocks.
    Demanded,
}

/// Whether a report is missing at block `height`, after the last one (or the beginning of the contract) at `last` and a demand, if any, at
/// `demanded`. A missing report is a violation, not a fault.
pub fn missing(height: u64, last: u64, demanded: Option<u64>, policy: &SelfReportPolicy) -> Option<Missing> {
    let late = |since: u64, blocks: u32| height.saturating_sub(since) > u64::from(blocks);
    if demanded.is_some_and(|demanded| demanded > last && late(demanded, policy.answer_blocks)) {
        return Some(Missing::Demanded);
    }
    late(last, policy.every_blocks).then_some(Missing::Regular)
}

/// What counts of indices sum to.
///
/// # Errors
/// Too many, out of order, or sums beyond 2^64.
pub fn totals(per_index: &[IndexCount]) -> Result<Traffic, ReportError> {
    if per_index.len() > MAX_INDICES {
        return Err(ReportError::TooLong { count: per_index.len() });
    }
    let mut total = Traffic::default();
    let mut previous = None;
    for entry in per_index {
        if previous.is_some_and(|previous| entry.index <= previous) {
            return Err(ReportError::Order { index: entry.index });
        }
        previous = Some(entry.index);
        let bytes = entry.count.checked_mul(entry.size).ok_or(ReportError::Overflow)?;
        total.chunks = total.chunks.checked_add(entry.count).ok_or(ReportError::Overflow)?;
        total.bytes = total.bytes.checked_add(bytes).ok_or(ReportError::Overflow)?;
    }
    Ok(total)
}
