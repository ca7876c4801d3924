//! What a scheduler has to say to people, as types; the words are their `Display`.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peermark_page::wording::printable;

use super::round::{RoundSummary, Skip};

/// Takes what a scheduler says, as it happens. Has to return at once.
pub type Tell = Arc<dyn Fn(Notice) + Send + Sync>;

/// One thing to say. What lasts is said when it begins, not every round.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// Metrics are served.
    Metrics {
        /// Where.
        address: SocketAddr,
    },
    /// A round is over.
    Round(RoundSummary),
    /// No server of a fleet was ever seen alive.
    NoSuchFleet {
        /// The fleet.
        fleet: String,
        /// Those that have servers which were heard of lately.
        existing: Vec<String>,
    },
    /// A round could not measure anything.
    Skipped(Skip),
    /// A server sends heartbeats, but they are too old when they come: it takes part in nothing.
    SlowClock {
        /// Its peer id.
        peer_id: String,
        /// Its region.
        region: String,
        /// How old its newest heartbeat is.
        behind: Duration,
    },
    /// A server's heartbeats come from the future: it will count as alive for longer than it is.
    FastClock {
        /// Its peer id.
        peer_id: String,
        /// Its region.
        region: String,
        /// How far ahead its newest heartbeat is.
        ahead: Duration,
    },
    /// A server failed a call.
    Failed {
        /// What was asked of it.
        call: &'static str,
        /// Its peer id.
        peer_id: String,
        /// Its region.
        region: String,
        /// Why.
        words: String,
        /// Whether it counts as offline until its next heartbeat.
        offline: bool,
    },
    /// The list of servers cannot be read.
    DatabaseGone {
        /// Why.
        words: String,
    },
    /// The list of servers can be read again.
    DatabaseBack,
    /// A round could not be written and waits.
    NotWritten {
        /// Why.
        words: String,
        /// Rounds that wait.
        waiting: usize,
    },
    /// Rounds are written again.
    WrittenAgain,
    /// Measurements of servers whose rows are gone were left out.
    RowsOrphaned {
        /// How many.
        rows: u64,
    },
    /// The database will never take a round, for what is in it.
    RoundRefused {
        /// Why.
        words: String,
        /// Rounds that were lost so far.
        dropped: u64,
    },
    /// Too many rounds wait: the oldest is lost.
    RoundDropped {
        /// Rounds that were lost so far.
        dropped: u64,
    },
}

impl fmt::Display for Notice {
    /// On one line, whatever the database and its servers had in their texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.say(&mut text)?;
        f.write_str(&printable(&text))
    }
}

impl Notice {
    fn say(&self, f: &mut String) -> fmt::Result {
        match self {
            Self::Metrics { address } => write!(f, "metrics at http://{address}/metrics"),
            Self::Round(summary) => write!(f, "{summary}"),
            Self::NoSuchFleet { fleet, existing } if existing.is_empty() => {
                write!(f, "no server of fleet {fleet:?} was seen, and none of any other fleet")
            }
            Self::NoSuchFleet { fleet, existing } => {
                write!(f, "no server of fleet {fleet:?} was seen; there are servers of {}", existing.join(", "))
            }
            Self::Skipped(skip) => write!(f, "round skipped: {skip}"),
            Self::SlowClock { peer_id, region, behind } => write!(
                f,
                "server {peer_id} ({region}) takes no part: its heartbeats go on but are {} s old, so its clock is behind this one",
                behind.as_secs()
            ),
            Self::FastClock { peer_id, region, ahead } => write!(
                f,
                "server {peer_id} ({region}): its heartbeats come {} s early, so its clock is ahead of this one",
                ahead.as_secs()
            ),
            Self::Failed { call, peer_id, region, words, offline } => {
                let consequence = if *offline { "; offline until its next heartbeat" } else { "" };
                write!(f, "server {peer_id} ({region}) failed {call}: {words}{consequence}")
            }
            Self::DatabaseGone { words } => write!(f, "cannot read the servers: {words}; going on with the last list"),
            Self::DatabaseBack => f.write_str("the servers can be read again"),
            Self::NotWritten { words, waiting } => write!(f, "cannot write rounds: {words}; {waiting} waiting"),
            Self::WrittenAgain => f.write_str("rounds are written again"),
            Self::RowsOrphaned { rows } => {
                write!(f, "{rows} measurements are lost: the rows of their servers are no longer in the database")
            }
            Self::RoundRefused { words, dropped } => {
                write!(
                    f,
                    "the database refuses a round, or part of it, for good: {words}; that is lost ({dropped} rounds so far)"
                )
            }
            Self::RoundDropped { dropped } => {
                write!(f, "too many rounds wait for the database: the oldest is lost ({dropped} so far)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_reach_the_terminal_as_it_is() {
        let hostile = "a\u{1b}[2J\nb\u{202e}".to_owned();
        let mut summary = RoundSummary::new(1);
        let (peer_id, region, fleet) = (hostile.clone(), hostile.clone(), hostile.clone());
        let error = hostile.clone();
        summary.published = Some(super::super::round::Published { peer_id, region, fleet, duration_ns: None, error });
        let (peer_id, region, words) = (hostile.clone(), hostile.clone(), hostile.clone());
        let failed = Notice::Failed { call: "/provide", peer_id, region, words, offline: true };
        let unknown = Notice::NoSuchFleet { fleet: "a".to_owned(), existing: vec![hostile] };
        for text in [summary.to_string(), Notice::Round(summary).to_string(), failed.to_string(), unknown.to_string()] {
            assert!(text.contains("a\u{fffd}[2J b\u{fffd}"), "{text:?}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
