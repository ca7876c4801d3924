//! What has to hold before figures of a DHT mean anything. Each check stands for a way in which plausible wrong numbers arise;
//! METHODOLOGY lists them.

use std::time::Duration;

use peermark_core::Seed;
use rand::Rng;
use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::{Engine, EngineConfig};
use crate::key::RecordKey;
use crate::measure::Measure;
use crate::operation::{Hit, Operation, Rpc, Variant};

/// Longest time for one operation of a check.
const OPERATION: Duration = Duration::from_secs(60);

/// How long a record may take until it is seen, and how often it is looked for.
const VISIBLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// How long the number of connections has to stay the same, and how long that is waited for.
const CALM: Duration = Duration::from_millis(700);
const SETTLE: Duration = Duration::from_secs(10);

/// Peers below which a table says that something is not wired, where the network has more.
const FEW_PEERS: usize = 4;

/// Descriptors that a process needs besides its connections.
const OTHER_DESCRIPTORS: u64 = 64;

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It holds, with something to know when reading the figures.
    Note,
    /// It does not hold: figures would be wrong.
    Fails,
}

/// How far checks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// They look at this node only.
    Look,
    /// They publish a record drawn from the seed and look it up, too.
    Publish(Seed),
}

impl Verdict {
    /// The name under which it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Note => "note",
            Self::Fails => "FAILS",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, as METHODOLOGY lists it.
    pub name: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name, verdict, detail: detail.into() }
    }

    fn holds(name: &'static str, holds: bool, detail: impl Into<String>) -> Self {
        Self::new(name, if holds { Verdict::Holds } else { Verdict::Fails }, detail)
    }
}

impl Engine {
    /// The checks in the order of the list. They take about a second where the network answers.
    pub async fn preflight(&self, depth: Depth) -> Vec<Check> {
        let mut checks = vec![self.table_is_wired(), self.role_is_clear(), self.connections_are_a_factor()];
        checks.extend([self.store_has_room(), self.descriptors_suffice()]);
        let Depth::Publish(seed) = depth else { return checks };
        checks.push(self.network_has_settled().await);
        if self.table_len() == 0 {
            checks.push(Check::new(
                "records-arrive",
                Verdict::Fails,
                "the routing table is empty: nobody can be asked",
            ));
            return checks;
        }
        let mut random = seed.stream("preflight");
        let mut canary = || {
            let mut content = [0; 64];
            random.fill_bytes(&mut content);
            RecordKey::of_content(&content).0
        };
        let (key, absent) = (canary(), canary());
        let provide = self.provide(key.clone(), self.within(OPERATION)).await;
        checks.push(self.records_arrive(&provide));
        self.withdraw(&key);
        checks.push(self.records_become_visible(&key).await);
        checks.push(self.misses_ask(&absent).await);
        checks.push(self.answers_are_remote(&provide));
        checks
    }

    fn within(&self, time: Duration) -> u64 {
        self.host.clock().now_ns() + time.as_nanos() as u64
    }

    /// Identify has to feed the tables; without it a network is a star around its bootstrap peer, and lookups still succeed.
    fn table_is_wired(&self) -> Check {
        let (peers, connected) = (self.table_len(), self.host.connected());
        let detail = format!("{peers} peers in the table, {connected} connected");
        let verdict = match peers {
            0 => Verdict::Fails,
            few if few < FEW_PEERS => Verdict::Note,
            _ => Verdict::Holds,
        };
        Check::new("table-is-wired", verdict, detail)
    }

    /// A server without an address is a client to everybody; a client that answers is in others' tables.
    fn role_is_clear(&self) -> Check {
        let addresses = self.host.addresses().len();
        match self.host.is_server() {
            true => Check::holds("role-is-clear", addresses > 0, format!("server, {addresses} addresses announced")),
            false => Check::new("role-is-clear", Verdict::Holds, "client: asks only, holds no records of others"),
        }
    }

    /// Warm and cold lookups differ fivefold, so how long connections stay is part of every figure.
    fn connections_are_a_factor(&self) -> Check {
        let seconds = self.host.idle_timeout().as_secs_f64();
        Check::new(
            "connections-are-a-factor",
            Verdict::Note,
            format!("connections close after {seconds} s without use"),
        )
    }

    /// Joining goes on after it returned: bootstraps of the peers are traffic that looks like slow lookups.
    async fn network_has_settled(&self) -> Check {
        let until = Instant::now() + SETTLE;
        let mut connected = self.host.connected();
        let mut since = Instant::now();
        while since.elapsed() < CALM && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            let now = self.host.connected();
            if now != connected {
                (connected, since) = (now, Instant::now());
            }
        }
        let calm = since.elapsed() >= CALM;
        let verdict = if calm { Verdict::Holds } else { Verdict::Note };
        Check::new(
            "network-has-settled",
            verdict,
            format!(
                "{connected} connections, {}",
                match calm {
                    true => "unchanged for 0.7 s",
                    false => "still changing after 10 s",
                }
            ),
        )
    }

    /// A full store forgets or refuses records, and lookups miss for that.
    fn store_has_room(&self) -> Check {
        let (keys, room) = (self.host.keys(), self.host.max_keys());
        Check::holds("store-has-room", keys < room, format!("{keys} of {room} keys held"))
    }

    /// Two descriptors a TCP connection; a dial that fails for want of one looks like a peer that is gone.
    fn descriptors_suffice(&self) -> Check {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let needed = 2 * self.host.connected().max(self.config.crawl_parallelism) as u64 + OTHER_DESCRIPTORS;
        Check::holds(
            "descriptors-suffice",
            limit >= needed,
            format!("{limit} descriptors allowed, about {needed} needed"),
        )
    }

    /// That a call returned proves nothing: only what peers confirm was stored.
    fn records_arrive(&self, provide: &Operation) -> Check {
        let sent = provide.hops.iter().filter(|hop| hop.rpc == Rpc::AddProvider).count();
        let detail = match provide.error.as_str() {
            "" => format!("{} of {sent} peers confirmed the record", provide.stored),
            error => format!("{error}; {} of {sent} peers confirmed the record", provide.stored),
        };
        let verdict = match usize::from(provide.stored) {
            0 if self.config.confirm => Verdict::Fails,
            stored if stored < sent => Verdict::Note,
            _ => Verdict::Holds,
        };
        Check::new("records-arrive", verdict, detail)
    }

    /// A lookup right behind a provide may miss for the records that are still on their way. Somebody else looks: a peer may not
    /// tell an asker of itself.
    async fn records_become_visible(&self, key: &RecordKey) -> Check {
        const NAME: &str = "records-become-visible";
        let began = Instant::now();
        // The witness walks as anybody would, whatever the variant.
        let config = EngineConfig { variant: Variant::Default, ..self.config };
        let (witness, _task) = match self.host.witness().await {
            Ok(witness) => witness,
            Err(error) => return Check::new(NAME, Verdict::Fails, format!("no second node could be started: {error}")),
        };
        let Ok(witness) = Self::new(witness, config) else {
            return Check::new(NAME, Verdict::Fails, "the engine's settings cannot be used");
        };
        loop {
            let retrieve = witness.retrieve(key.clone(), self.within(OPERATION)).await;
            if retrieve.hit == Hit::Remote {
                let ms = began.elapsed().as_secs_f64() * 1e3;
                return Check::new(NAME, Verdict::Holds, format!("another node found it after {ms:.1} ms"));
            }
            if began.elapsed() > VISIBLE {
                let detail = format!("not found within {} s: {}", VISIBLE.as_secs(), retrieve.error);
                return Check::new(NAME, Verdict::Fails, detail);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A lookup that asked nobody and found nothing is an error, not a miss.
    async fn misses_ask(&self, absent: &RecordKey) -> Check {
        let miss = self.retrieve(absent.clone(), self.within(OPERATION)).await;
        let asked = miss.hops.iter().filter(|hop| hop.outcome.is_ok()).count();
        Check::holds(
            "misses-ask",
            miss.hit == Hit::Miss && asked > 0,
            format!("{}: {asked} peers answered", miss.hit.as_str()),
        )
    }

    /// Where every server holds every record, a server's lookups are answered by itself in no time.
    fn answers_are_remote(&self, provide: &Operation) -> Check {
        let (peers, k) = (self.table_len(), self.config.k);
        let whole = peers <= k && self.config.variant != Variant::FullRt;
        match (self.host.is_server(), whole) {
            (true, true) => Check::new(
                "answers-are-remote",
                Verdict::Fails,
                format!("{peers} peers and k = {k}: every server holds every record; measure with clients"),
            ),
            (false, true) => Check::new(
                "answers-are-remote",
                Verdict::Note,
                format!("{peers} peers and k = {k}: any peer answers, a lookup has one hop"),
            ),
            _ => Check::new(
                "answers-are-remote",
                Verdict::Holds,
                format!("{peers} peers, {} hold a record", provide.stored),
            ),
        }
    }
}
