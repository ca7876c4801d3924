//! What is started, and who joins by whom: decided by the settings and the seed, before anything starts.

use std::ops::Range;
use std::time::Duration;

use peermark_core::Seed;
use peermark_dht::operation::Variant;
use peermark_judge::threshold::ParseThresholdError;
use rand::seq::IteratorRandom;
use serde::Serialize;
use thiserror::Error;

use crate::scenario::MAX_NODES;

/// Servers where none are asked for.
pub const DEFAULT_SERVERS: u32 = 20;

/// Peers that a record is stored with. The 20 of large networks would be every server, and a lookup would have no way to go.
pub const K: u32 = 5;

/// RPCs of one lookup at once, for servers and measuring nodes alike: Kademlia's own value. With parsec's 10 a lookup would ask half
/// of the network at once.
pub const ALPHA: u32 = 3;

/// The labels that stand for regions: one measuring node of every fleet each.
pub const REGIONS: [&str; 3] = ["region-a", "region-b", "region-c"];

/// Every fleet, in the order in which they are reported.
pub const FLEETS: [Variant; 3] = [Variant::Default, Variant::OptProv, Variant::FullRt];

/// Peers that a node joins by.
const JOINS: usize = 4;

/// Servers that start at a time.
const MOST_AT_ONCE: u32 = 8;

/// Between rounds of the scheduler over all fleets. In 20 s that is 133 rounds: more than p90 of a provide (29 per fleet) and p99 of a
/// lookup (299) take, with nine nodes.
const ROUND_EVERY: Duration = Duration::from_millis(150);

/// Between rounds across fleets.
const PAIR_ROUND_EVERY: Duration = Duration::from_millis(500);

/// Why nothing can be started.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// Nobody would answer.
    #[error("--nodes 0: a DHT takes servers")]
    NoServers,
    /// Every server would hold every record.
    #[error("--nodes {servers}: fewer than the {} servers that it takes for a record on {K} of them to be looked for", K + 1)]
    TooFewServers {
        /// How many were asked for.
        servers: u32,
    },
    /// One machine would measure itself.
    #[error("--nodes {servers}: at most {MAX_NODES}")]
    TooManyServers {
        /// How many were asked for.
        servers: u32,
    },
    /// Nobody would measure.
    #[error("no fleet: name some of {}", names(&FLEETS))]
    NoFleets,
    /// A fleet that does not exist.
    #[error("no fleet {name:?}: there are {}", names(&FLEETS))]
    UnknownFleet {
        /// Its name.
        name: String,
    },
    /// A fleet twice.
    #[error("fleet {name} is named twice")]
    TwiceFleet {
        /// Its name.
        name: &'static str,
    },
    /// A limit that is none.
    #[error("threshold: {0}")]
    Threshold(#[from] ParseThresholdError),
    /// A limit of something that is not measured.
    #[error("threshold {threshold:?}: no {what:?} here; write [FLEET/]provide.p90<50ms, or confirmed, visible, lookup")]
    NoSuchFigure {
        /// The limit.
        threshold: String,
        /// What is not there.
        what: String,
    },
}

/// A node and the servers that it joins by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerPlan {
    /// Its number.
    pub node: u32,
    /// Servers that it joins by; none for the first.
    pub joins: Vec<u32>,
}

/// A measuring node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasurerPlan {
    /// Its number, after those of the servers.
    pub node: u32,
    /// Its fleet, which is how it looks up and publishes.
    #[serde(serialize_with = "as_name")]
    pub fleet: Variant,
    /// The label of its region.
    pub region: &'static str,
    /// Servers that it joins by.
    pub joins: Vec<u32>,
}

/// One scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulePlan {
    /// Its name in results.
    pub name: &'static str,
    /// Fleets whose nodes publish.
    pub publish: Vec<Variant>,
    /// Fleets whose nodes look up.
    pub lookup: Vec<Variant>,
    /// From one round to the next.
    pub every: Duration,
}

/// A whole network and its schedulers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtPlan {
    /// The servers, in the order of their numbers.
    pub servers: Vec<ServerPlan>,
    /// The measuring nodes.
    pub measurers: Vec<MeasurerPlan>,
    /// The fleets, each once.
    pub fleets: Vec<Variant>,
}

impl DhtPlan {
    /// Plans `servers` servers and one measuring node per fleet and label. The seed decides who joins by whom.
    ///
    /// # Errors
    /// [`PlanError`] for what would not be a network.
    pub fn new(servers: u32, fleets: &[Variant], seed: Seed) -> Result<Self, PlanError> {
        match servers {
            0 => return Err(PlanError::NoServers),
            few if few <= K => return Err(PlanError::TooFewServers { servers }),
            many if many > MAX_NODES => return Err(PlanError::TooManyServers { servers }),
            _ => {}
        }
        if fleets.is_empty() {
            return Err(PlanError::NoFleets);
        }
        if let Some((_, twice)) = fleets.iter().enumerate().find(|(at, fleet)| fleets[..*at].contains(fleet)) {
            return Err(PlanError::TwiceFleet { name: twice.as_str() });
        }
        let joins = |purpose: &str, number: u32, among: u32| {
            let mut chosen = (0..among).sample(&mut seed.stream_at(purpose, u64::from(number)), JOINS);
            chosen.sort_unstable();
            chosen
        };
        let servers: Vec<ServerPlan> = waves(servers)
            .flat_map(|wave| wave.clone().map(move |node| (node, wave.start)))
            .map(|(node, before)| ServerPlan { node, joins: joins("dht-topology", node, before) })
            .collect();
        let count = servers.len() as u32;
        let places = fleets.iter().flat_map(|fleet| REGIONS.map(|region| (*fleet, region)));
        let measurers = (count..).zip(places).map(|(node, (fleet, region))| {
            let joins = joins("dht-measurers", node - count, count);
            MeasurerPlan { node, fleet, region, joins }
        });
        Ok(Self { measurers: measurers.collect(), servers, fleets: fleets.to_vec() })
    }

    /// The fleets that a list of names means.
    ///
    /// # Errors
    /// [`PlanError::UnknownFleet`].
    pub fn fleets(names: &[String]) -> Result<Vec<Variant>, PlanError> {
        let find = |name: &String| {
            let found = FLEETS.into_iter().find(|fleet| fleet.as_str() == name.trim());
            found.ok_or_else(|| PlanError::UnknownFleet { name: name.clone() })
        };
        names.iter().map(find).collect()
    }

    /// Servers and measuring nodes.
    pub fn total_nodes(&self) -> u32 {
        (self.servers.len() + self.measurers.len()) as u32
    }

    /// Names of the fleets.
    pub fn fleet_names(&self) -> Vec<String> {
        self.fleets.iter().map(|fleet| fleet.as_str().to_owned()).collect()
    }

    /// One scheduler over all fleets, and one that has the first publish and the last look up, where there are two.
    pub fn schedules(&self) -> Vec<SchedulePlan> {
        let all = SchedulePlan {
            name: "mixed",
            publish: self.fleets.clone(),
            lookup: self.fleets.clone(),
            every: ROUND_EVERY,
        };
        let pair = match self.fleets.as_slice() {
            [first, .., last] => {
                Some(SchedulePlan { name: "pair", publish: vec![*first], lookup: vec![*last], every: PAIR_ROUND_EVERY })
            }
            _ => None,
        };
        std::iter::once(all).chain(pair).collect()
    }

    /// Servers that start at the same time, wave by wave: each wave joins by those before it, so none is larger than they are.
    pub(super) fn waves(&self) -> impl Iterator<Item = &[ServerPlan]> {
        waves(self.servers.len() as u32).filter_map(|wave| self.servers.get(wave.start as usize..wave.end as usize))
    }
}

fn waves(servers: u32) -> impl Iterator<Item = Range<u32>> {
    let after = move |wave: &Range<u32>| {
        let start = wave.end;
        (start < servers).then(|| start..servers.min(start + start.min(MOST_AT_ONCE)))
    };
    std::iter::successors((servers > 0).then_some(0..1), after)
}

fn names(fleets: &[Variant]) -> String {
    fleets.iter().map(|fleet| fleet.as_str()).collect::<Vec<_>>().join(", ")
}

fn as_name<S: serde::Serializer>(fleet: &Variant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(fleet.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_joins_by_servers_that_run_already_and_the_seed_decides_which() {
        let plan = DhtPlan::new(20, &FLEETS, Seed(7)).unwrap();
        assert_eq!((plan.servers.len(), plan.measurers.len(), plan.total_nodes()), (20, 9, 29));
        let sizes: Vec<usize> = plan.waves().map(<[ServerPlan]>::len).collect();
        assert_eq!(sizes, [1, 1, 2, 4, 8, 4]);
        for wave in plan.waves() {
            for server in wave {
                assert!(server.joins.iter().all(|join| *join < wave[0].node), "{server:?}");
                assert_eq!(server.joins.len(), (wave[0].node as usize).min(JOINS), "{server:?}");
            }
        }
        for measurer in &plan.measurers {
            assert_eq!(measurer.joins.len(), JOINS);
            assert!(measurer.joins.iter().all(|join| *join < 20));
        }
        assert_eq!(plan, DhtPlan::new(20, &FLEETS, Seed(7)).unwrap());
        assert_ne!(plan, DhtPlan::new(20, &FLEETS, Seed(8)).unwrap());
    }

    #[test]
    fn every_fleet_has_every_label_once() {
        let plan = DhtPlan::new(8, &FLEETS, Seed(1)).unwrap();
        let places: Vec<(&str, &str)> = plan.measurers.iter().map(|node| (node.fleet.as_str(), node.region)).collect();
        let expected: Vec<(&str, &str)> =
            FLEETS.iter().flat_map(|fleet| REGIONS.map(|region| (fleet.as_str(), region))).collect();
        assert_eq!(places, expected);
        assert!(plan.measurers.iter().map(|node| node.node).eq(8..17));
    }

    #[test]
    fn two_fleets_have_a_pair_and_one_has_none() {
        let pair = DhtPlan::new(8, &[Variant::OptProv, Variant::Default], Seed(1)).unwrap().schedules();
        assert_eq!(pair[1].publish, [Variant::OptProv]);
        assert_eq!(pair[1].lookup, [Variant::Default]);
        assert_eq!(DhtPlan::new(8, &[Variant::FullRt], Seed(1)).unwrap().schedules().len(), 1);
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        let refused = |servers, fleets: &[Variant]| DhtPlan::new(servers, fleets, Seed(1)).unwrap_err().to_string();
        assert!(refused(0, &FLEETS).contains("--nodes 0"));
        assert!(refused(K, &FLEETS).contains("fewer than the 6 servers"), "{}", refused(K, &FLEETS));
        assert!(refused(MAX_NODES + 1, &FLEETS).contains("at most"));
        assert!(refused(8, &[]).contains("default, optprov, fullrt"));
        assert!(refused(8, &[Variant::Default, Variant::Default]).contains("twice"));
        let unknown = DhtPlan::fleets(&["defualt".to_owned()]).unwrap_err();
        assert!(unknown.to_string().contains("defualt"), "{unknown}");
    }
}
