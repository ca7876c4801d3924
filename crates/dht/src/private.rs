//! A private DHT in this process, for labs, benchmarks and tests: servers on loopback that know each other, and clients that
//! measure. It never leaves the machine: [`Scope::Loopback`].

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use peermark_core::{Clock, Seed};
use rand::Rng;
use thiserror::Error;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{Engine, EngineConfig, EngineError};
use crate::host::{Host, HostConfig, HostError, Scope};
use crate::operation::Variant;

/// Name of the Kademlia protocol of private networks.
pub const PRIVATE_PROTOCOL: &str = "/peermark/kad/1.0.0";

/// Servers by which a server joins.
const SEEDS: usize = 4;

/// Servers that join at once.
const JOINING: usize = 8;

/// Why a private network does not start.
#[derive(Debug, Error)]
pub enum PrivateError {
    /// A host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A host with its engine. The host ends when this is dropped.
pub struct Member {
    /// The engine.
    pub engine: Arc<Engine>,
    _swarm: AbortOnDropHandle<()>,
}

/// What a private network is.
#[derive(Clone, Copy, Debug)]
pub struct PrivateConfig {
    /// Servers.
    pub servers: usize,
    /// Peers per bucket, and peers that a record is stored with.
    pub k: usize,
    /// How long connections stay open without use.
    pub idle_timeout: Duration,
    /// Identities and seeds of the topology.
    pub seed: Seed,
}

/// Servers that know each other.
pub struct PrivateNetwork {
    config: PrivateConfig,
    clock: Arc<dyn Clock>,
    servers: Vec<Member>,
}

impl PrivateNetwork {
    /// Starts the servers and lets each join by some that started before it.
    ///
    /// # Errors
    /// [`PrivateError`].
    pub async fn start(config: PrivateConfig, clock: Arc<dyn Clock>) -> Result<Self, PrivateError> {
        let mut network = Self { config, clock, servers: Vec::new() };
        for number in 0..config.servers {
            let engine = EngineConfig { alpha: 3, k: config.k, ..EngineConfig::of(Variant::Default) };
            let server = network.member("server", number as u64, true, engine).await?;
            network.servers.push(server);
        }
        for joining in [1..config.servers, 1..config.servers] {
            // The second time everybody is there to be found.
            let network = &network;
            let joins = joining.map(|number| async move {
                let seeds = network.seeds(number);
                network.servers[number].engine.join(&seeds).await
            });
            stream::iter(joins).buffer_unordered(JOINING).try_collect::<Vec<()>>().await?;
        }
        Ok(network)
    }

    /// The servers.
    pub fn servers(&self) -> &[Member] {
        &self.servers
    }

    /// Ends the last `count` servers at once, as a crash would: nobody is told.
    pub fn kill(&mut self, count: usize) {
        self.servers.truncate(self.servers.len().saturating_sub(count));
    }

    /// Where a newcomer can join.
    pub fn bootstrap(&self) -> Vec<Multiaddr> {
        (0..self.servers.len().min(SEEDS)).filter_map(|number| self.address(number)).collect()
    }

    /// A client that has joined and measures.
    ///
    /// # Errors
    /// [`PrivateError`].
    pub async fn measurer(&self, number: u64, engine: EngineConfig) -> Result<Member, PrivateError> {
        let member = self.member("measurer", number, false, engine).await?;
        member.engine.join(&self.bootstrap()).await?;
        if engine.variant == Variant::FullRt {
            member.engine.crawl().await;
        }
        Ok(member)
    }

    /// Records that the servers were sent, together.
    pub fn records_received(&self) -> u64 {
        self.servers.iter().map(|server| server.engine.host().records_received()).sum()
    }

    async fn member(
        &self,
        role: &str,
        number: u64,
        server: bool,
        engine: EngineConfig,
    ) -> Result<Member, PrivateError> {
        let mut secret = [0; 32];
        self.config.seed.stream_at(role, number).fill_bytes(&mut secret);
        let key = Keypair::ed25519_from_bytes(secret)
            .map_err(|error| HostError::Setting { name: "seed", reason: error.to_string() })?;
        let loopback = Multiaddr::empty().with(Protocol::Ip4([127, 0, 0, 1].into())).with(Protocol::Tcp(0));
        let config = HostConfig {
            key,
            listen: vec![loopback],
            protocol: PRIVATE_PROTOCOL.into(),
            server,
            scope: Scope::Loopback,
            idle_timeout: self.config.idle_timeout,
            k: self.config.k,
            max_keys: 1 << 16,
            provider_store: None,
            max_questions_per_s: None,
        };
        let (host, swarm) = Host::start(&config, Arc::clone(&self.clock)).await?;
        Ok(Member { engine: Arc::new(Engine::new(host, engine)?), _swarm: swarm })
    }

    /// Where a server joins: some of those before it, drawn from the seed.
    fn seeds(&self, number: usize) -> Vec<Multiaddr> {
        let mut random = self.config.seed.stream_at("topology", number as u64);
        let draws = (0..SEEDS).map(|_| (random.next_u64() % number.max(1) as u64) as usize);
        draws.filter_map(|seed| self.address(seed)).collect()
    }

    fn address(&self, number: usize) -> Option<Multiaddr> {
        let host = self.servers.get(number)?.engine.host();
        let address = host.addresses().into_iter().next()?;
        Some(address.with(Protocol::P2p(host.peer_id())))
    }
}
