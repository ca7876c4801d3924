//! The mixed network: servers of Kubo and of ours that all know each other, and a Kubo that only asks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::future::{try_join, try_join_all};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use peermark_core::Clock;
use peermark_dht::engine::{Engine, EngineConfig};
use peermark_dht::host::{Host, HostConfig, Scope};
use peermark_dht::key::{Point, RecordKey};
use peermark_dht::measure::Measure;
use peermark_dht::operation::{Operation, Variant};
use peermark_probe::clock::MonotonicClock;
use tokio_util::task::AbortOnDropHandle;

use crate::kubo::Kubo;
use crate::{Failure, ensure, wait_for};

/// Name of the Kademlia protocol of Kubo's local DHT.
pub(crate) const PROTOCOL: &str = "/ipfs/lan/kad/1.0.0";

const KUBOS: usize = 4;
const SERVERS: usize = 8;

/// Peers that a record is stored with, unless a case says otherwise.
pub(crate) const K: usize = 5;

/// The same where a case says who these peers are.
pub(crate) const FEW: usize = 2;

/// Contents that are tried to find one that lies as wanted, and draws of identities.
const TRIES: usize = 2_000;
const DRAWS: usize = 200;

/// Peers per bucket. Kubo's is not configurable, and all nodes of one network use the same.
const BUCKET: usize = 20;

/// multicodec of plain bytes.
const RAW: u64 = 0x55;

/// Longest time until a node knows everybody.
const KNOWN_TIMEOUT: Duration = Duration::from_secs(90);

/// Longest time for one operation of ours.
const OPERATION_NS: u64 = 30_000_000_000;

/// A host of ours with its engine.
pub(crate) struct Member {
    pub(crate) engine: Arc<Engine>,
    _swarm: AbortOnDropHandle<()>,
}

/// Content whose keys lie where a case wants them.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) key: RecordKey,
    /// Version 1, raw.
    pub(crate) cid: String,
}

pub(crate) struct Mixed {
    clock: Arc<dyn Clock>,
    pub(crate) kubos: Vec<Kubo>,
    /// In nobody's table, so it holds nobody's records: what it finds, it was told.
    pub(crate) asker: Kubo,
    pub(crate) servers: Vec<Member>,
}

impl Mixed {
    /// Starts everybody and waits until all know all.
    pub(crate) async fn start(ipfs: &Path) -> Result<Self, Failure> {
        let starting = (0..KUBOS).map(|_| Kubo::start(ipfs, true));
        let (kubos, asker) = try_join(try_join_all(starting), Kubo::start(ipfs, false)).await?;
        let mut mixed = Self { clock: Arc::new(MonotonicClock::new()), kubos, asker, servers: Vec::new() };
        for (number, kubo) in mixed.kubos.iter().enumerate() {
            for other in &mixed.kubos[..number] {
                kubo.connect(&other.address).await?;
            }
            mixed.asker.connect(&kubo.address).await?;
        }
        for key in mixed.identities()? {
            mixed.serve(key).await?;
        }
        mixed.settle().await?;
        Ok(mixed)
    }

    /// Adds a server of ours. [`Self::settle`] waits until the others know it.
    pub(crate) async fn serve(&mut self, key: Keypair) -> Result<(), Failure> {
        let server = self.member(key, true).await?;
        self.servers.push(server);
        Ok(())
    }

    /// Identities of our servers with which there is content whose nearest servers are all Kubos, and such whose nearest are all
    /// ours. Distances are XOR: where no two Kubos are neighbours, no key has two of them nearest.
    fn identities(&self) -> Result<Vec<Keypair>, Failure> {
        let kubos: Vec<PeerId> = self.kubos.iter().map(|kubo| kubo.peer).collect();
        for _ in 0..DRAWS {
            let keys: Vec<_> = (0..SERVERS).map(|_| Keypair::generate_ed25519()).collect();
            let peers: Vec<_> = kubos.iter().copied().chain(keys.iter().map(|key| key.public().to_peer_id())).collect();
            let of_kubos = find("drawn", &peers, |nearest| nearest[..FEW].iter().all(|peer| kubos.contains(peer)));
            let of_ours = find("drawn", &peers, |nearest| nearest[..FEW].iter().all(|peer| !kubos.contains(peer)));
            if of_kubos.is_some() && of_ours.is_some() {
                return Ok(keys);
            }
        }
        Err("no identities lie as they should".into())
    }

    /// Waits until every server has every other one in its table.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        let others = self.kubos.len() + self.servers.len() - 1;
        for server in &self.servers {
            self.complete(server, others).await?;
        }
        for kubo in &self.kubos {
            wait_for("a Kubo to know everybody", KNOWN_TIMEOUT, || async {
                Ok((kubo.table().await?.len() >= others).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// A client of ours that knows everybody.
    pub(crate) async fn measurer(&self, measuring: EngineConfig) -> Result<Member, Failure> {
        let joined = self.member(Keypair::generate_ed25519(), false).await?;
        self.complete(&joined, self.kubos.len() + self.servers.len()).await?;
        // What it measures with may look at too few peers to fill a table; the host's is shared.
        let engine = Engine::new(joined.engine.host().clone(), measuring)?;
        if measuring.variant == Variant::FullRt {
            engine.crawl().await;
        }
        Ok(Member { engine: Arc::new(engine), ..joined })
    }

    async fn complete(&self, member: &Member, peers: usize) -> Result<(), Failure> {
        wait_for("a host of ours to know everybody", KNOWN_TIMEOUT, || async {
            let known = member.engine.table_len() >= peers;
            if !known {
                member.engine.join(&self.bootstrap()).await?;
            }
            Ok(known.then_some(()))
        })
        .await
    }

    /// Where a newcomer joins: every Kubo, and the first of ours.
    pub(crate) fn bootstrap(&self) -> Vec<Multiaddr> {
        let own = self.servers.first().and_then(|server| {
            let address = server.engine.host().addresses().into_iter().next()?;
            Some(address.with(Protocol::P2p(server.peer())))
        });
        self.kubos.iter().map(|kubo| kubo.address.clone()).chain(own).collect()
    }

    async fn member(&self, key: Keypair, server: bool) -> Result<Member, Failure> {
        let config = HostConfig {
            key,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
            protocol: PROTOCOL.into(),
            server,
            scope: Scope::Loopback,
            idle_timeout: Duration::from_secs(60),
            k: BUCKET,
            max_keys: 1 << 16,
            provider_store: None,
            max_questions_per_s: None,
        };
        let (host, swarm) = Host::start(&config, Arc::clone(&self.clock)).await?;
        let member = Member { engine: Arc::new(Engine::new(host, engine(Variant::Default, BUCKET))?), _swarm: swarm };
        member.engine.join(&self.bootstrap()).await?;
        Ok(member)
    }

    pub(crate) fn is_kubo(&self, peer: &PeerId) -> bool {
        self.kubos.iter().any(|kubo| kubo.peer == *peer)
    }

    pub(crate) fn is_ours(&self, peer: &PeerId) -> bool {
        self.servers.iter().any(|server| server.peer() == *peer)
    }

    fn everybody(&self) -> Vec<PeerId> {
        let ours = self.servers.iter().map(Member::peer);
        self.kubos.iter().map(|kubo| kubo.peer).chain(ours).collect()
    }

    /// Servers by their distance to a key, nearest first.
    pub(crate) fn nearest(&self, key: &RecordKey) -> Vec<PeerId> {
        by_distance(self.everybody(), key)
    }

    /// Content for which the servers, nearest first, are as wanted. `label` keeps the cases apart.
    pub(crate) fn content(&self, label: &str, wanted: impl Fn(&[PeerId]) -> bool) -> Result<Content, Failure> {
        self.content_beside(label, None, wanted)
    }

    /// The same, with a server that is still to come.
    pub(crate) fn content_beside(
        &self,
        label: &str,
        newcomer: Option<PeerId>,
        wanted: impl Fn(&[PeerId]) -> bool,
    ) -> Result<Content, Failure> {
        let peers: Vec<_> = self.everybody().into_iter().chain(newcomer).collect();
        let found = find(label, &peers, wanted);
        Ok(found.ok_or_else(|| format!("no content lies where {label} wants it"))?)
    }

    fn deadline_ns(&self) -> u64 {
        self.clock.now_ns() + OPERATION_NS
    }

    /// Provides with an engine of ours; what it does has to succeed.
    pub(crate) async fn provide(&self, member: &Member, key: &RecordKey) -> Result<Operation, Failure> {
        let operation = member.engine.provide(key.clone(), self.deadline_ns()).await;
        ensure(operation.outcome.is_ok(), || format!("a provide of ours failed: {operation:?}"))?;
        Ok(operation)
    }

    /// Looks up with an engine of ours, whatever comes of it.
    pub(crate) async fn retrieve(&self, member: &Member, key: &RecordKey) -> Operation {
        member.engine.retrieve(key.clone(), self.deadline_ns()).await
    }
}

impl Member {
    pub(crate) fn peer(&self) -> PeerId {
        self.engine.host().peer_id()
    }
}

/// How our engines look up in a network this small.
pub(crate) fn engine(variant: Variant, k: usize) -> EngineConfig {
    EngineConfig { alpha: 3, k, beta: k.min(3), crawl_parallelism: 8, ..EngineConfig::of(variant) }
}

/// Content for which the peers, nearest first, are as wanted.
fn find(label: &str, peers: &[PeerId], wanted: impl Fn(&[PeerId]) -> bool) -> Option<Content> {
    (0..TRIES).find_map(|number| {
        let bytes = format!("interop: {label} {number}").into_bytes();
        let (key, cid) = RecordKey::of_content(&bytes);
        let fits = wanted(&by_distance(peers.to_vec(), &key));
        fits.then(|| Content { bytes, key, cid: Cid::new_v1(RAW, *cid.hash()).to_string() })
    })
}

fn by_distance(mut peers: Vec<PeerId>, key: &RecordKey) -> Vec<PeerId> {
    let target = key.point();
    peers.sort_by_cached_key(|peer| Point::of_peer(peer).distance(&target));
    peers
}
