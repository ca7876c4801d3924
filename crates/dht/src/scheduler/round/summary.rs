//! How a round went, for people.

use std::fmt::{self, Write as _};

use peermark_core::in_words;
use peermark_page::wording::printable;
use peermark_store::dht::LiveNode;
use serde::Serialize;
use thiserror::Error;

use crate::scheduler::target::Called;

/// How a round went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundSummary {
    /// Its number, from 0.
    pub number: u64,
    /// Servers that the database lists as alive.
    pub live: usize,
    /// Those of them that were ready.
    pub ready: usize,
    /// The provide; `None` where there was none.
    pub published: Option<Published>,
    /// Retrieves that found a provider.
    pub found: u32,
    /// Retrieves that did not.
    pub not_found: u32,
    /// When all regions saw the record, where that was watched.
    pub visible: Option<Visible>,
    /// How it ended.
    pub end: RoundEnd,
}

/// A provide.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    /// Peer id of the server.
    pub peer_id: String,
    /// Its region.
    pub region: String,
    /// Its fleet.
    pub fleet: String,
    /// What it measured; `None` where it said nothing legible.
    pub duration_ns: Option<u64>,
    /// Why it failed; empty when it succeeded.
    pub error: String,
}

/// When regions saw a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visible {
    /// Regions that looked.
    pub regions: usize,
    /// Those of them that did not see it in time.
    pub unseen: Vec<String>,
    /// From the beginning of the provide until the last of the others saw it.
    pub last_ns: Option<u64>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundEnd {
    /// With its lookups.
    Complete,
    /// After a provide that failed: there is nothing to look up.
    ProvideFailed,
    /// Before anything was measured.
    Skipped(Skip),
    /// By a stop.
    Stopped,
}

/// Why a round measured nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The servers cannot be read, and were not read lately.
    #[error("the database is gone, and the last list of servers is too old")]
    NoDatabase,
    /// There is no server.
    #[error("no server of the fleets is alive")]
    NoNodes,
    /// One server alone has nobody to look up what it publishes.
    #[error("a round takes two servers; {ready} of {live} that are alive are ready")]
    FewerThanTwo {
        /// Servers that the database lists.
        live: usize,
        /// Those that are ready.
        ready: usize,
    },
    /// No server of the fleets that publish is ready.
    #[error("no server of the fleets that publish is ready")]
    NoProvider,
    /// No server of the fleets that look up is ready, besides the one that would publish.
    #[error("no server of the fleets that look up is ready")]
    NoLookup,
}

impl Skip {
    /// The name of each reason in metrics.
    pub const NAMES: [&'static str; 5] = ["no_database", "no_nodes", "fewer_than_two", "no_provider", "no_lookup"];

    /// Place of its name in [`Self::NAMES`].
    pub fn index(self) -> usize {
        match self {
            Self::NoDatabase => 0,
            Self::NoNodes => 1,
            Self::FewerThanTwo { .. } => 2,
            Self::NoProvider => 3,
            Self::NoLookup => 4,
        }
    }
}

impl Published {
    pub(super) fn new(node: &LiveNode, called: &Called) -> Self {
        let (duration_ns, error) = match &called.answer {
            Ok(answer) => {
                let error = answer.measurements.iter().find(|step| !step.error.is_empty());
                let duration_ns = answer.measurements.last().map(|step| step.duration_ns);
                (duration_ns, error.map_or_else(String::new, |step| step.error.clone()))
            }
            Err(error) => (None, in_words(error)),
        };
        let (peer_id, region, fleet) = (node.peer_id.clone(), node.region.clone(), node.fleet.clone());
        Self { peer_id, region, fleet, duration_ns, error }
    }
}

impl RoundSummary {
    pub(in crate::scheduler) fn new(number: u64) -> Self {
        let end = RoundEnd::Complete;
        Self { number, live: 0, ready: 0, published: None, found: 0, not_found: 0, visible: None, end }
    }

    pub(super) fn count_retrieve(&mut self, found: bool) {
        if found { self.found += 1 } else { self.not_found += 1 }
    }
}

impl fmt::Display for RoundSummary {
    /// On one line, whatever the database and its servers had in their texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.say(&mut text)?;
        f.write_str(&printable(&text))
    }
}

impl RoundSummary {
    fn say(&self, f: &mut String) -> fmt::Result {
        write!(f, "round {}: ", self.number)?;
        if let RoundEnd::Skipped(skip) = self.end {
            return write!(f, "skipped: {skip}");
        }
        if let Some(Published { peer_id, region, fleet, duration_ns, error }) = &self.published {
            write!(f, "{peer_id} ({region}, {fleet}) ")?;
            match (duration_ns, error.as_str()) {
                (Some(duration_ns), "") => write!(f, "published in {:.3} s", *duration_ns as f64 / 1e9)?,
                (_, error) => write!(f, "did not publish: {error}")?,
            }
        }
        if self.end == RoundEnd::Complete {
            write!(f, "; found by {} of {} lookups", self.found, self.found + self.not_found)?;
        }
        if let Some(Visible { regions, unseen, last_ns }) = &self.visible {
            match last_ns {
                Some(last_ns) if unseen.is_empty() => {
                    write!(f, "; seen by all {regions} regions after {:.3} s", *last_ns as f64 / 1e9)?;
                }
                _ => write!(f, "; not seen by {}", unseen.join(", "))?,
            }
        }
        if self.end == RoundEnd::Stopped { f.write_str("; stopped") } else { Ok(()) }
    }
}
