//! What each node of a run is to be, decided before anything starts.

use std::path::{Path, PathBuf};

use peermark_core::Seed;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::scenario::{Foreign, Nodes, Scenario};

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum NodeKind {
    /// Ours, serving whoever asks.
    Altruistic,
    /// Ours, serving against promises of payment.
    Marketplace,
    /// Another program.
    Foreign {
        /// Its name in the scenario.
        name: String,
    },
    /// Ours, a server of a DHT that is measured.
    DhtServer,
    /// Ours, measuring a DHT as its client.
    DhtMeasurer {
        /// Its fleet.
        fleet: String,
        /// The label that stands for its region.
        region: String,
    },
}

impl NodeKind {
    /// `altruistic`, `marketplace`, `foreign`, `dht-server` or `dht-measurer`.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Altruistic => "altruistic",
            Self::Marketplace => "marketplace",
            Self::Foreign { .. } => "foreign",
            Self::DhtServer => "dht-server",
            Self::DhtMeasurer { .. } => "dht-measurer",
        }
    }

    /// `peermark`, or the foreign program's name.
    pub fn program(&self) -> &str {
        match self {
            Self::Foreign { name } => name,
            Self::Altruistic | Self::Marketplace | Self::DhtServer | Self::DhtMeasurer { .. } => "peermark",
        }
    }

    /// Whether this is a node of ours.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Foreign { .. })
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePlan {
    /// Its number; 0 is the hub.
    pub index: u32,
    /// What it is.
    pub kind: NodeKind,
    /// How to start a foreign one.
    pub foreign: Option<Foreign>,
    /// Its data directory.
    pub data: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// REST port; `None` takes a free one.
    pub api_port: Option<u16>,
}

/// A whole network.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// Settings that all nodes share.
    pub settings: Nodes,
    /// The nodes, in the order of their numbers.
    pub nodes: Vec<NodePlan>,
    /// Name of the DHT protocol: different for every run, so that no lab ever joins another network.
    pub dht_protocol: String,
}

impl Blueprint {
    /// Plans a scenario's network under `run_dir`. Which nodes are marketplace is drawn by the seed.
    pub fn new(scenario: &Scenario, seed: Seed, run_id: &str, run_dir: &Path) -> Self {
        let settings = scenario.nodes.clone();
        let own = settings.count;
        let mut others: Vec<u32> = (1..own).collect();
        others.shuffle(&mut seed.stream("modes"));
        let paid = (f64::from(own.saturating_sub(1)) * settings.marketplace_share).round() as usize;
        others.truncate(paid);
        let mut nodes: Vec<NodePlan> = (0..own)
            .map(|index| {
                let kind = if others.contains(&index) { NodeKind::Marketplace } else { NodeKind::Altruistic };
                plan(run_dir, index, kind, None, &settings)
            })
            .collect();
        for foreign in &scenario.foreign {
            for _ in 0..foreign.count {
                let kind = NodeKind::Foreign { name: foreign.name.clone() };
                let index = nodes.len() as u32;
                nodes.push(plan(run_dir, index, kind, Some(foreign.clone()), &settings));
            }
        }
        Self { settings, nodes, dht_protocol: format!("/peermark/lab/{run_id}/kad/1.0.0") }
    }
}

fn plan(run_dir: &Path, index: u32, kind: NodeKind, foreign: Option<Foreign>, settings: &Nodes) -> NodePlan {
    let directory = run_dir.join("nodes").join(format!("{index:03}"));
    let api_port = settings.api_port_base.and_then(|base| base.checked_add(u16::try_from(index).ok()?));
    NodePlan { index, kind, foreign, data: directory.join("data"), log: directory.join("log"), api_port }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Workload;

    #[test]
    fn the_mix_is_a_third_and_the_seed_decides_which() {
        let scenario = Workload::Load.scenario();
        let modes = |seed| {
            let blueprint = Blueprint::new(&scenario, Seed(seed), "r", Path::new("/run"));
            blueprint.nodes.iter().map(|node| node.kind.mode()).collect::<Vec<_>>()
        };
        let first = modes(1);
        assert_eq!(first.len(), 50);
        assert_eq!(first[0], "altruistic", "node 0 is the hub");
        assert_eq!(first.iter().filter(|mode| **mode == "marketplace").count(), 16);
        assert_eq!(first, modes(1));
        assert_ne!(first, modes(2));
    }
}
