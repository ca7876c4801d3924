//! How one probe of a hoster ended, and who has to answer for it.

use peermark_core::{Culprit, FailureClass};
use serde::{Deserialize, Serialize};

/// How one probe ended. The order is the order of the counters in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProbeOutcome {
    /// Complete, verified and in time.
    Ok,
    /// Complete and verified, but later or slower than promised: a degradation, not an outage.
    Slow,
    /// The hoster says that it does not have the chunk.
    NoData,
    /// What came is not what was asked for.
    InvalidProof,
    /// No connection before the deadline.
    ConnectTimeout,
    /// A connection, but no complete answer before the absolute deadline.
    BlockTimeout,
    /// The hoster refused.
    Refused,
    /// The hoster had announced a pause.
    HosterPaused,
    /// The attester itself failed. Never counts against a hoster.
    AttesterFault,
    /// The path failed for everybody there. Never counts against a hoster.
    RegionPartition,
}

/// Who has to answer for an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Nothing failed.
    Nobody,
    /// The hoster.
    Hoster,
    /// The attester.
    Attester,
    /// What lies between them.
    Path,
}

impl ProbeOutcome {
    /// Every outcome, in declaration order.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Slow,
        Self::NoData,
        Self::InvalidProof,
        Self::ConnectTimeout,
        Self::BlockTimeout,
        Self::Refused,
        Self::HosterPaused,
        Self::AttesterFault,
        Self::RegionPartition,
    ];

    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Slow => "SLOW",
            Self::NoData => "NO_DATA",
            Self::InvalidProof => "INVALID_PROOF",
            Self::ConnectTimeout => "CONNECT_TIMEOUT",
            Self::BlockTimeout => "BLOCK_TIMEOUT",
            Self::Refused => "REFUSED",
            Self::HosterPaused => "HOSTER_PAUSED",
            Self::AttesterFault => "ATTESTER_FAULT",
            Self::RegionPartition => "REGION_PARTITION",
        }
    }

    /// The outcome of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Who has to answer for it.
    pub fn blame(self) -> Blame {
        match self {
            Self::Ok => Blame::Nobody,
            Self::Slow
            | Self::NoData
            | Self::InvalidProof
            | Self::ConnectTimeout
            | Self::BlockTimeout
            | Self::Refused
            | Self::HosterPaused => Blame::Hoster,
            Self::AttesterFault => Blame::Attester,
            Self::RegionPartition => Blame::Path,
        }
    }

    /// Whether the data came, however late.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Ok | Self::Slow)
    }

    /// Whether it counts as a failure of the hoster: it is the hoster's, and the data did not come.
    pub fn is_failed(self) -> bool {
        self.blame() == Blame::Hoster && !self.is_served()
    }

    /// Whether it counts at all when a hoster is judged.
    pub fn is_counted(self) -> bool {
        matches!(self.blame(), Blame::Nobody | Blame::Hoster)
    }

    /// The outcome of one recorded operation. What cannot be laid at the hoster's door is the attester's or the path's.
    pub fn of(outcome: peermark_core::Outcome) -> Self {
        let peermark_core::Outcome::Failed { class, culprit } = outcome else { return Self::Ok };
        match culprit {
            Culprit::Observer | Culprit::ThirdParty => return Self::AttesterFault,
            Culprit::Path => return Self::RegionPartition,
            Culprit::Peer => {}
        }
        match class {
            FailureClass::Timeout | FailureClass::ConnectionReset | FailureClass::ServerError => Self::BlockTimeout,
            FailureClass::ConnectFailed | FailureClass::NodeDown => Self::ConnectTimeout,
            FailureClass::NotFound => Self::NoData,
            FailureClass::WrongBytes | FailureClass::Truncated | FailureClass::Protocol => Self::InvalidProof,
            FailureClass::Rejected
            | FailureClass::QuotaFull
            | FailureClass::Unpaid
            | FailureClass::Busy
            | FailureClass::NotPermitted => Self::Refused,
            // Nothing else can be a hoster's: the rest are states of the measuring side.
            _ => Self::AttesterFault,
        }
    }
}

/// How often each outcome came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutcomeCounts([u64; 10]);

impl OutcomeCounts {
    /// From counters in the order of [`ProbeOutcome::ALL`].
    pub fn new(counts: [u64; 10]) -> Self {
        Self(counts)
    }

    /// The counters in the order of [`ProbeOutcome::ALL`].
    pub fn as_array(&self) -> &[u64; 10] {
        &self.0
    }

    /// How often one outcome came.
    pub fn get(&self, outcome: ProbeOutcome) -> u64 {
        self.0[outcome as usize]
    }

    /// Counts `n` more of one outcome. Stays at the largest number.
    pub fn add(&mut self, outcome: ProbeOutcome, n: u64) {
        let count = &mut self.0[outcome as usize];
        *count = count.saturating_add(n);
    }

    /// Counts everything of another. Stays at the largest number.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// All probes, whoever failed.
    pub fn all(&self) -> u64 {
        self.sum(|_| true)
    }

    /// Probes that count for the hoster: all but faults of attesters and of the path.
    pub fn counted(&self) -> u64 {
        self.sum(ProbeOutcome::is_counted)
    }

    /// Probes that the hoster failed.
    pub fn failed(&self) -> u64 {
        self.sum(ProbeOutcome::is_failed)
    }

    /// Probes whose data came.
    pub fn served(&self) -> u64 {
        self.sum(ProbeOutcome::is_served)
    }

    /// `1 - failed / counted` in parts per million, rounded down; `None` where nothing counts.
    pub fn availability_ppm(&self) -> Option<u32> {
        crate::share::ppm(self.served(), self.counted())
    }

    fn sum(&self, keep: impl Fn(ProbeOutcome) -> bool) -> u64 {
        let kept = ProbeOutcome::ALL.into_iter().filter(|outcome| keep(*outcome));
        kept.fold(0, |sum, outcome| sum.saturating_add(self.get(outcome)))
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::Outcome;

    use super::*;

    #[test]
    fn names_are_the_serialised_names() {
        for outcome in ProbeOutcome::ALL {
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.as_str()));
            assert_eq!(ProbeOutcome::of_name(outcome.as_str()), Some(outcome));
        }
        assert_eq!(ProbeOutcome::of_name("ok"), None);
    }

    /// R95, R97: availability = 1 - failed / (all - attester faults); faults of the path are not the hoster's either.
    #[test]
    fn no_fault_of_attester_or_path_counts_against_a_hoster() {
        let mut counts = OutcomeCounts::default();
        counts.add(ProbeOutcome::Ok, 90);
        counts.add(ProbeOutcome::NoData, 10);
        assert_eq!(counts.availability_ppm(), Some(900_000));
        counts.add(ProbeOutcome::AttesterFault, 1_000);
        counts.add(ProbeOutcome::RegionPartition, 1_000);
        assert_eq!(counts.availability_ppm(), Some(900_000));
        assert_eq!((counts.all(), counts.counted(), counts.failed()), (2_100, 100, 10));
        assert_eq!(OutcomeCounts::default().availability_ppm(), None);
    }

    #[test]
    fn only_the_peer_s_failures_become_a_hoster_s() {
        for class in FailureClass::ALL {
            for culprit in [Culprit::Observer, Culprit::Path, Culprit::ThirdParty] {
                assert!(!ProbeOutcome::of(Outcome::failed(class, culprit)).is_counted());
            }
        }
        assert_eq!(ProbeOutcome::of(Outcome::failed(FailureClass::NotFound, Culprit::Peer)), ProbeOutcome::NoData);
        assert_eq!(
            ProbeOutcome::of(Outcome::failed(FailureClass::NotSent, Culprit::Peer)),
            ProbeOutcome::AttesterFault
        );
        assert_eq!(ProbeOutcome::of(Outcome::Ok), ProbeOutcome::Ok);
    }
}
