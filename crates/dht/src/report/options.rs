//! What a report is about.

use thiserror::Error;

/// Most rows of measurements that one report reads, both periods together.
pub(super) const MAX_REPORT_ROWS: u64 = 5_000_000;

/// Most traces that one report reads.
pub(super) const MAX_REPORT_TRACES: u64 = 200_000;

/// How long operations may take, unless told: the default of our servers and the budget of parsec's.
const DEADLINE_NS: u64 = 180_000_000_000;

/// A stretch of wall clock time, milliseconds since the Unix epoch; its end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from_ms: u64,
    until_ms: u64,
}

/// A period that cannot be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the period ends before it begins or has no length")]
pub struct BadPeriod;

/// Which rows count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableRule {
    /// At least 20 peers in the routing table, one bucket of Kademlia's; at least one in a lab, whose networks are small.
    #[default]
    Own,
    /// ProbeLab's weekly reports: provides above 190 peers, retrievals above 200.
    ProbeLab,
    /// The fewest peers that count, for provides and for retrievals.
    AtLeast {
        /// For provides.
        provide: i32,
        /// For retrievals.
        retrieve: i32,
    },
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOptions {
    /// Where the tables are, for people.
    pub place: String,
    /// The period.
    pub span: Span,
    /// Fleets; all where empty.
    pub fleets: Vec<String>,
    /// Which rows count.
    pub rule: TableRule,
    /// When operations are given up, nanoseconds: what failed is at or above it. Raised to the longest success where that took longer.
    pub deadline_ns: u64,
    /// Most rows that are read.
    pub max_rows: u64,
    /// Most traces that are read.
    pub max_traces: u64,
}

impl Span {
    /// From one moment to a later one.
    ///
    /// # Errors
    /// [`BadPeriod`].
    pub fn new(from_ms: u64, until_ms: u64) -> Result<Self, BadPeriod> {
        if from_ms < until_ms { Ok(Self { from_ms, until_ms }) } else { Err(BadPeriod) }
    }

    /// Its first moment.
    pub fn from_ms(self) -> u64 {
        self.from_ms
    }

    /// The first moment after it.
    pub fn until_ms(self) -> u64 {
        self.until_ms
    }

    /// The span of equal length before it; shorter where time began.
    pub(super) fn before(self) -> Self {
        let length_ms = self.until_ms - self.from_ms;
        Self { from_ms: self.from_ms.saturating_sub(length_ms), until_ms: self.from_ms }
    }
}

impl ReportOptions {
    /// Everything in the period under our own rule.
    pub fn new(span: Span) -> Self {
        Self {
            place: String::new(),
            span,
            fleets: Vec::new(),
            rule: TableRule::Own,
            deadline_ns: DEADLINE_NS,
            max_rows: MAX_REPORT_ROWS,
            max_traces: MAX_REPORT_TRACES,
        }
    }
}

impl TableRule {
    /// The fewest peers that count, for provides and for retrievals.
    pub(super) fn least(self, is_lab: bool) -> (i32, i32) {
        match self {
            Self::Own if is_lab => (1, 1),
            Self::Own => (20, 20),
            Self::ProbeLab => (191, 201),
            Self::AtLeast { provide, retrieve } => (provide, retrieve),
        }
    }

    /// Why, in words.
    pub(super) fn reason(self, is_lab: bool) -> &'static str {
        match self {
            Self::Own if is_lab => {
                "a server with an empty routing table measures nothing; labs are small, so every other row counts"
            }
            Self::Own => {
                "a server that knows fewer than 20 peers, one bucket of Kademlia's, is still starting or cut off: it measures \
                 itself, not the network"
            }
            Self::ProbeLab => "the limits of ProbeLab's weekly reports on the public IPFS network",
            Self::AtLeast { .. } => "the limits that were asked for",
        }
    }
}
