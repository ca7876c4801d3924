//! The grid as programs read it: schema `peermark.monitor-fleet/1`.

use peermark_core::Unit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::CellState;
use crate::desk::Pause;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.monitor-fleet/1";

/// Many monitors at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// When this was written, Unix ms, by the clock of the machine that asks.
    pub now_ms: u64,
    /// Seconds from one question to the next one to the same node.
    pub every_s: u64,
    /// Tasks that any node runs, the one that is doing worst first.
    pub tasks: Vec<String>,
    /// The nodes, worst first.
    pub nodes: Vec<FleetNode>,
    /// Alerts that are raised, in the order of their rules.
    pub alerts: Vec<RaisedAlert>,
    /// Questions asked.
    pub polls: u64,
    /// Of these without an answer.
    pub failed_polls: u64,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetNode {
    /// Its name in `nodes.toml`.
    pub name: String,
    /// Where its monitor is asked.
    pub url: String,
    /// Where it is; empty where nobody says.
    pub region: String,
    /// Its peer id; `None` until it answered.
    pub node: Option<String>,
    /// Its version of peermark.
    pub version: Option<String>,
    /// The worst of its tasks, or `silent`.
    pub state: CellState,
    /// Seconds since it answered, or since it was asked for the first time.
    pub quiet_s: u64,
    /// Why the latest question had no answer.
    pub error: Option<String>,
    /// Something about the node that no task of its own can find: another node answers, its history went back (both for a day),
    /// its attempts cannot be kept.
    pub warning: Option<String>,
    /// Whether its scheduled runs are held back, and until when by the node's clock.
    pub paused: Option<Pause>,
    /// Its tasks as it lists them; of a silent node as it said them last.
    pub tasks: Vec<FleetCell>,
}

/// One task of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetCell {
    /// The task.
    pub task: String,
    /// How it is doing; `silent` where its node is.
    pub state: CellState,
    /// How it was doing when the node last said something.
    pub last_state: CellState,
    /// How old its latest success is, seconds: as the node said, plus the time since then.
    pub age_s: Option<u64>,
    /// Number of its latest attempt in the node's chain.
    pub seq: Option<u64>,
    /// How long its latest attempt took, ns.
    pub duration_ns: Option<u64>,
    /// Value of its latest success.
    pub value: Option<i64>,
    /// The unit of values.
    pub unit: Unit,
    /// What has to be mended first.
    pub problem: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Values of its last successes, oldest first.
    pub trend: Vec<i64>,
}

/// An alert that is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RaisedAlert {
    /// The rule.
    pub alert: String,
    /// The node.
    pub node: String,
    /// The task; `None` where the node itself is meant.
    pub task: Option<String>,
    /// When it was raised, Unix ms.
    pub since_ms: u64,
    /// What was found.
    pub detail: String,
}

impl FleetNode {
    /// Whether there is more to say about it than its row of the grid does.
    pub(super) fn is_worth_words(&self) -> bool {
        self.state.is_bad() || self.error.is_some() || self.warning.is_some() || self.paused.is_some()
    }
}

impl FleetDocument {
    /// Nodes in a state.
    pub fn nodes_in(&self, state: CellState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }

    /// Whether somebody has to look at any node.
    pub fn is_bad(&self) -> bool {
        self.nodes.iter().any(|node| node.state.is_bad() || node.warning.is_some())
    }
}
