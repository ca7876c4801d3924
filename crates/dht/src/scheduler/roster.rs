//! The servers that may be asked now.
//!
//! parsec's rule, applied by the database: a heartbeat of the last two minutes, not offline, one of the fleets. Two things are added. Of
//! rows with one address only the newest is used: the others are earlier starts of the server that answers there now, and what it
//! says would be written down for them. And while the database is gone the last list is used on, for as long as its heartbeats
//! would be fresh and some minutes more.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_core::{MonotonicNs, in_words};
use peermark_store::StoreError;
use peermark_store::dht::{DhtStore, LiveNode, NodeId, SeenNode};
use tokio::time::timeout;

use super::metrics::{SchedulerMetrics, count};
use super::notice::{Notice, Tell};
use super::target::{Asker, Target};

/// How long a heartbeat is fresh, by parsec's rule.
pub const FRESH: Duration = Duration::from_secs(120);

/// Longest time for one query.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time for it while the database is known to be gone: rounds shall not wait for it again and again.
const GONE_TIMEOUT: Duration = Duration::from_secs(2);

/// How far back it is looked for servers that take no part.
const LOOK_BACK_MS: u64 = 15 * 60 * 1000;

/// Heartbeats from so far in the future are no matter of rounding.
const AHEAD_MS: u64 = 30_000;

/// Most servers that one scheduler asks.
const MAX_SERVERS: usize = 1000;

/// Reads and remembers servers.
pub(super) struct Roster {
    tables: DhtStore,
    fleets: Vec<String>,
    grace: Duration,
    asker: Asker,
    metrics: Arc<SchedulerMetrics>,
    tell: Tell,
    last: Vec<Target>,
    /// When `last` was read; `None` before the first time.
    read_ns: Option<MonotonicNs>,
    is_database_gone: bool,
    /// Fleets that had a live server, or were said to have none.
    settled_fleets: HashSet<String>,
    /// Newest heartbeat of servers that take no part.
    heartbeats: HashMap<NodeId, u64>,
    /// Servers whose clock was said to be wrong.
    skewed: HashSet<NodeId>,
}

impl Roster {
    pub(super) fn new(
        tables: DhtStore,
        fleets: Vec<String>,
        grace: Duration,
        asker: Asker,
        metrics: Arc<SchedulerMetrics>,
        tell: Tell,
    ) -> Self {
        Self {
            tables,
            fleets,
            grace,
            asker,
            metrics,
            tell,
            last: Vec::new(),
            read_ns: None,
            is_database_gone: false,
            settled_fleets: HashSet::new(),
            heartbeats: HashMap::new(),
            skewed: HashSet::new(),
        }
    }

    /// The servers, in the order of their rows, without those that are `offline` whatever the database says; `None` while they cannot
    /// be read and the last list is too old.
    pub(super) async fn read(&mut self, offline: &HashSet<NodeId>) -> Option<&[Target]> {
        let (now_ns, now_ms) = (self.asker.clock.now_ns(), self.asker.clock.wall_ms());
        let longest = if self.is_database_gone { GONE_TIMEOUT } else { READ_TIMEOUT };
        match in_time(longest, self.tables.live_nodes(&self.fleets, now_ms)).await {
            Ok(mut nodes) => {
                nodes.retain(|node| !offline.contains(&node.id));
                self.read_ns = Some(now_ns);
                self.metrics.active_nodes.store(nodes.len() as u64, Ordering::Relaxed);
                self.replace(nodes);
                if std::mem::take(&mut self.is_database_gone) {
                    (self.tell)(Notice::DatabaseBack);
                }
                self.look_around(now_ms).await;
            }
            Err(words) => {
                count(&self.metrics.database_errors);
                self.last.retain(|target| !offline.contains(&target.node().id));
                if !std::mem::replace(&mut self.is_database_gone, true) {
                    (self.tell)(Notice::DatabaseGone { words });
                }
            }
        }
        let age_ns = now_ns.saturating_sub(self.read_ns?);
        (u128::from(age_ns) <= (FRESH + self.grace).as_nanos()).then_some(self.last.as_slice())
    }

    /// Takes over a new list and keeps the connections to addresses that are in it still.
    fn replace(&mut self, nodes: Vec<LiveNode>) {
        let mut known: HashMap<SocketAddrV4, Target> =
            self.last.drain(..).map(|target| (address(target.node()), target)).collect();
        let mut nodes = newest_by_address(nodes);
        if nodes.len() > MAX_SERVERS {
            tracing::warn!(servers = nodes.len(), used = MAX_SERVERS, "more servers than one scheduler asks");
            nodes.truncate(MAX_SERVERS);
        }
        for node in nodes {
            match known.remove(&address(&node)) {
                Some(target) => self.last.push(target.with_row(node)),
                None => match Target::new(node) {
                    Ok(target) => self.last.push(target),
                    Err(error) => tracing::warn!(%error, "a row without a usable address"),
                },
            }
        }
    }

    /// Says what keeps servers from taking part that seem to be there.
    async fn look_around(&mut self, now_ms: u64) {
        let seen = match in_time(READ_TIMEOUT, self.tables.nodes_since(now_ms.saturating_sub(LOOK_BACK_MS))).await {
            Ok(seen) => seen,
            Err(words) => return tracing::debug!(words, "cannot look for servers that take no part"),
        };
        self.settled_fleets.extend(self.last.iter().map(|target| target.node().fleet.clone()));
        for fleet in &self.fleets {
            // Rows alone are enough to know that a name is right: its servers may be starting, or gone.
            let is_known = seen.iter().any(|seen| seen.node.fleet == *fleet);
            if !self.settled_fleets.contains(fleet) && !is_known {
                let existing: BTreeSet<String> = seen.iter().map(|seen| seen.node.fleet.clone()).collect();
                self.settled_fleets.insert(fleet.clone());
                (self.tell)(Notice::NoSuchFleet { fleet: fleet.clone(), existing: existing.into_iter().collect() });
            }
        }
        self.look_at_clocks(&seen, now_ms);
    }

    fn look_at_clocks(&mut self, seen: &[SeenNode], now_ms: u64) {
        let mut heartbeats = HashMap::new();
        for SeenNode { node, last_heartbeat_ms, .. } in seen {
            let Some(beat_ms) = *last_heartbeat_ms else { continue };
            if !self.fleets.contains(&node.fleet) {
                continue;
            }
            heartbeats.insert(node.id, beat_ms);
            let (age_ms, ahead_ms) = (now_ms.saturating_sub(beat_ms), beat_ms.saturating_sub(now_ms));
            let (peer_id, region) = (node.peer_id.clone(), node.region.clone());
            // Old alone is gone; old and newer than at the last look is alive by a clock that is behind.
            let went_on = self.heartbeats.get(&node.id).is_some_and(|before_ms| *before_ms < beat_ms);
            let notice = if went_on && u128::from(age_ms) > FRESH.as_millis() {
                Notice::SlowClock { peer_id, region, behind: Duration::from_millis(age_ms) }
            } else if ahead_ms > AHEAD_MS {
                Notice::FastClock { peer_id, region, ahead: Duration::from_millis(ahead_ms) }
            } else {
                continue;
            };
            if self.skewed.insert(node.id) {
                (self.tell)(notice);
            }
        }
        self.skewed.retain(|id| heartbeats.contains_key(id));
        self.heartbeats = heartbeats;
    }
}

/// Of rows with one address the newest alone, in the order of their ids.
pub(super) fn newest_by_address(nodes: Vec<LiveNode>) -> Vec<LiveNode> {
    let mut newest: HashMap<SocketAddrV4, LiveNode> = HashMap::new();
    for node in nodes {
        match newest.get(&address(&node)) {
            Some(later) if later.id > node.id => {}
            _ => drop(newest.insert(address(&node), node)),
        }
    }
    let mut nodes: Vec<LiveNode> = newest.into_values().collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

fn address(node: &LiveNode) -> SocketAddrV4 {
    SocketAddrV4::new(node.ip_address, node.server_port)
}

async fn in_time<T>(longest: Duration, query: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match timeout(longest, query).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(in_words(&error)),
        Err(_elapsed) => Err(format!("no answer within {longest:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::HeaderMap;
    use parking_lot::Mutex;
    use peermark_core::Clock as _;
    use peermark_store::dht::NewNode;
    use peermark_testkit::FakeClock;

    use super::*;

    struct Rig {
        directory: tempfile::TempDir,
        clock: Arc<FakeClock>,
        tables: DhtStore,
        told: Arc<Mutex<Vec<Notice>>>,
        roster: Roster,
    }

    impl Rig {
        async fn new(grace: Duration) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let tables = DhtStore::open_sqlite(&directory.path().join("store.db")).await.unwrap();
            let (clock, told) = (Arc::new(FakeClock::new()), Arc::<Mutex<Vec<Notice>>>::default());
            let second = Duration::from_secs(1);
            let asker =
                Asker { headers: HeaderMap::new(), timeout: second, readiness_timeout: second, clock: clock.clone() };
            let tell = told.clone();
            let tell: Tell = Arc::new(move |notice| tell.lock().push(notice));
            let roster = Roster::new(tables.clone(), vec!["default".into()], grace, asker, Arc::default(), tell);
            Self { directory, clock, tables, told, roster }
        }

        async fn add(&self, peer_id: &str, port: u16) -> NodeId {
            let node = NewNode {
                cpu: 1,
                memory: 1,
                peer_id: peer_id.into(),
                region: "eu".into(),
                cmd: String::new(),
                fleet: "default".into(),
                dependencies: serde_json::json!({}),
                ip_address: Ipv4Addr::LOCALHOST,
                server_port: port,
                peer_port: 1,
            };
            self.tables.insert_node(&node, self.clock.wall_ms()).await.unwrap()
        }

        /// A heartbeat by a clock that is so far behind.
        async fn beat(&self, id: NodeId, behind: Duration) {
            let its_now_ms = self.clock.wall_ms() - behind.as_millis() as u64;
            self.tables.heartbeat(id, its_now_ms).await.unwrap();
        }

        async fn read(&mut self) -> Option<Vec<NodeId>> {
            let read = self.roster.read(&HashSet::new()).await;
            read.map(|targets| targets.iter().map(|target| target.node().id).collect())
        }
    }

    #[tokio::test]
    async fn the_last_list_is_used_for_as_long_as_its_heartbeats_are_fresh_and_the_grace() {
        let mut rig = Rig::new(Duration::from_secs(60)).await;
        let (a, b) = (rig.add("a", 1).await, rig.add("b", 2).await);
        rig.beat(a, Duration::ZERO).await;
        rig.beat(b, Duration::ZERO).await;
        assert_eq!(rig.read().await, Some(vec![a, b]));
        let file = rusqlite::Connection::open(rig.directory.path().join("store.db")).unwrap();
        file.execute_batch("ALTER TABLE nodes_ecs RENAME TO nodes_gone").unwrap();
        let offline = HashSet::from([b]);
        let left = rig.roster.read(&offline).await.unwrap();
        assert_eq!(
            left.iter().map(|target| target.node().id).collect::<Vec<_>>(),
            [a],
            "who failed is not asked again"
        );
        rig.clock.advance(Duration::from_secs(180));
        assert_eq!(rig.read().await, Some(vec![a]), "two minutes and one");
        rig.clock.advance(Duration::from_millis(1));
        assert_eq!(rig.read().await, None);
        file.execute_batch("ALTER TABLE nodes_gone RENAME TO nodes_ecs").unwrap();
        assert_eq!(rig.read().await, Some(vec![]), "their heartbeats are old by now");
        let told = rig.told.lock().clone();
        assert!(matches!(told.as_slice(), [Notice::DatabaseGone { .. }, Notice::DatabaseBack]), "{told:?}");
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_is_told_from_a_server_that_is_gone() {
        let mut rig = Rig::new(Duration::ZERO).await;
        let (late, gone, early) = (rig.add("late", 1).await, rig.add("gone", 2).await, rig.add("early", 3).await);
        let skew = Duration::from_secs(180);
        rig.beat(gone, skew).await;
        for minute in 0..4 {
            rig.beat(late, skew).await;
            let its_now_ms = rig.clock.wall_ms() + 180_000;
            rig.tables.heartbeat(early, its_now_ms).await.unwrap();
            assert_eq!(rig.read().await, Some(vec![early]), "minute {minute}");
            rig.clock.advance(Duration::from_secs(60));
        }
        let (peer_id, region) = ("early".to_owned(), "eu".to_owned());
        let fast = Notice::FastClock { peer_id, region, ahead: skew };
        let (peer_id, region) = ("late".to_owned(), "eu".to_owned());
        let slow = Notice::SlowClock { peer_id, region, behind: skew };
        assert_eq!(*rig.told.lock(), [fast, slow], "each once, and nothing of the one that is gone");
    }

    #[tokio::test]
    async fn connections_stay_with_their_address_and_the_newest_row_has_it() {
        let mut rig = Rig::new(Duration::ZERO).await;
        let (old, other) = (rig.add("old", 1).await, rig.add("other", 2).await);
        rig.beat(old, Duration::ZERO).await;
        rig.beat(other, Duration::ZERO).await;
        assert_eq!(rig.read().await, Some(vec![old, other]));
        let new = rig.add("new", 1).await;
        rig.beat(new, Duration::ZERO).await;
        assert_eq!(rig.read().await, Some(vec![other, new]));
        let offline = HashSet::from([other]);
        let read = rig.roster.read(&offline).await.unwrap();
        assert_eq!(read.iter().map(|target| target.node().id).collect::<Vec<_>>(), [new]);
    }
}
