//! The libp2p host of the lookup engine: one task owns the swarm; questions go past it, straight to the task of their connection.

mod actor;
mod behaviour;
mod cap;
mod config;
mod handler;
mod rpc;
mod transport;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use parking_lot::{Mutex, RwLock};
use peermark_core::{Clock, MonotonicNs};
use peermark_node::network::listen;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::key::Point;
pub use crate::provider_store::DiskError;
use crate::provider_store::ProviderStore;
use crate::table::Table;
use crate::wire::Question;
use behaviour::build;
use cap::RateCap;
pub use config::{HostConfig, HostError};
pub(crate) use rpc::{Answered, RpcFailure};
use rpc::{Call, Links};
use transport::DialTimes;
pub use transport::Scope;

/// Commands that may wait for the swarm; senders wait beyond it.
const COMMANDS: usize = 1024;

/// How long past its deadline a question's answer is waited for by who asked.
const GRACE: Duration = Duration::from_millis(500);

/// Longest time for closing every connection.
const DISCONNECT: Duration = Duration::from_secs(15);

/// Peers whose round-trip time is remembered.
const MAX_RTTS: usize = 65_536;

/// How a connection came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialled {
    /// Transport connection.
    pub(crate) dial_ns: u64,
    /// Encryption, authentication, multiplexing.
    pub(crate) handshake_ns: u64,
}

/// A question and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The dial that it took; `None` on a connection that was there.
    pub(crate) dialled: Option<Dialled>,
    /// The answer, or why there is none.
    pub(crate) result: Result<Answered, RpcFailure>,
    /// When it ended.
    pub(crate) ended_ns: MonotonicNs,
}

type DialReply = oneshot::Sender<Result<Dialled, RpcFailure>>;

#[derive(Debug)]
enum Command {
    Dial { peer: Option<PeerId>, addresses: Vec<Multiaddr>, reply: DialReply },
    DisconnectAll { reply: oneshot::Sender<()> },
}

/// The host. Cheap to clone; the swarm ends with the handle that its start returned.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What the swarm's task and the lookups both look at.
struct Shared {
    local: PeerId,
    protocol: StreamProtocol,
    clock: Arc<dyn Clock>,
    links: Arc<Links>,
    times: Arc<DialTimes>,
    addresses: RwLock<Vec<Multiaddr>>,
    rtts: Mutex<HashMap<PeerId, u64>>,
    table: RwLock<Table>,
    store: ProviderStore,
    cap: Option<RateCap>,
    background_cap: Option<RateCap>,
    config: HostConfig,
}

impl Shared {
    fn measured_rtt(&self, peer: PeerId, rtt: Duration) {
        let rtt_ns = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
        let mut rtts = self.rtts.lock();
        if rtts.len() >= MAX_RTTS && !rtts.contains_key(&peer) {
            rtts.clear();
        }
        rtts.entry(peer).and_modify(|least| *least = rtt_ns.min(*least)).or_insert(rtt_ns);
    }
}

impl Host {
    /// Listens and starts the swarm's task, which ends when the handle is dropped.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn start(config: &HostConfig, clock: Arc<dyn Clock>) -> Result<(Self, AbortOnDropHandle<()>), HostError> {
        let protocol = StreamProtocol::try_from_owned(config.protocol.clone())
            .map_err(|error| HostError::Setting { name: "protocol", reason: error.to_string() })?;
        if config.k == 0 {
            return Err(HostError::Setting { name: "k", reason: "has to be at least 1".into() });
        }
        let local = config.key.public().to_peer_id();
        let store = match &config.provider_store {
            Some(directory) => ProviderStore::open(local, config.max_keys, Arc::clone(&clock), directory)?,
            None => ProviderStore::new(local, config.max_keys, Arc::clone(&clock)),
        };
        let shared = Arc::new(Shared {
            local,
            protocol,
            clock,
            links: Arc::default(),
            times: Arc::default(),
            addresses: RwLock::default(),
            rtts: Mutex::default(),
            table: RwLock::new(Table::new(Point::of_peer(&local), config.k)),
            store,
            cap: config.max_questions_per_s.map(RateCap::new),
            background_cap: config.max_questions_per_s.map(RateCap::half),
            config: config.clone(),
        });
        let mut swarm = build(config, &shared)?;
        *shared.addresses.write() = listen(&mut swarm, &config.listen).await?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let actor = actor::Actor::new(swarm, receiver, Arc::clone(&shared));
        let task = AbortOnDropHandle::new(tokio::spawn(actor.run()));
        Ok((Self { shared, commands }, task))
    }

    /// A client of the same network under a new identity, with the peers that this one knows. Peers of libp2p's Rust implementation
    /// never tell an asker of itself, so whether a record is there is seen by somebody else only.
    ///
    /// # Errors
    /// [`HostError`].
    pub(crate) async fn witness(&self) -> Result<(Self, AbortOnDropHandle<()>), HostError> {
        let config = HostConfig {
            key: Keypair::generate_ed25519(),
            listen: Vec::new(),
            server: false,
            provider_store: None,
            ..self.shared.config.clone()
        };
        let (witness, task) = Self::start(&config, Arc::clone(&self.shared.clock)).await?;
        let known = self.shared.table.read().closest(&Point::of_peer(&self.shared.local), usize::MAX);
        let mut table = witness.shared.table.write();
        known.iter().for_each(|known| table.insert(known.peer, &known.addresses));
        drop(table);
        Ok((witness, task))
    }

    /// Its peer id.
    pub fn peer_id(&self) -> PeerId {
        self.shared.local
    }

    /// Addresses that it listens on.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.shared.addresses.read().clone()
    }

    /// Peers that are connected.
    pub fn connected(&self) -> usize {
        self.shared.links.peers()
    }

    /// Records of other peers that this server was sent since its start.
    pub fn records_received(&self) -> u64 {
        self.shared.store.received()
    }

    /// Keys whose providers it keeps.
    pub fn keys(&self) -> usize {
        self.shared.store.len()
    }

    /// Keys whose providers it has room for.
    pub fn max_keys(&self) -> usize {
        self.shared.store.max_keys()
    }

    /// How long connections stay open without use.
    pub fn idle_timeout(&self) -> Duration {
        self.shared.config.idle_timeout
    }

    /// Whether it answers others.
    pub fn is_server(&self) -> bool {
        self.shared.config.server
    }

    /// Connects to whoever listens at an address; a peer id in it is checked.
    ///
    /// # Errors
    /// In words, why not.
    pub async fn connect(&self, address: &Multiaddr) -> Result<(), String> {
        let peer = address.iter().find_map(|part| match part {
            libp2p::multiaddr::Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        let dialled = self.dial(peer, vec![address.clone()]).await;
        dialled.map(drop).map_err(|failure| failure.to_string())
    }

    /// Closes every connection, so that the next operation starts cold.
    pub async fn disconnect_all(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::DisconnectAll { reply }).await.is_ok() {
            // Who cannot be got rid of is met warm; that shows in the hops.
            drop(tokio::time::timeout(DISCONNECT, done).await);
        }
    }

    /// Name of the Kademlia protocol.
    pub fn protocol(&self) -> &str {
        self.shared.protocol.as_ref()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn table(&self) -> &RwLock<Table> {
        &self.shared.table
    }

    pub(crate) fn store(&self) -> &ProviderStore {
        &self.shared.store
    }

    pub(crate) fn scope(&self) -> Scope {
        self.shared.config.scope
    }

    /// Least round-trip time to a peer that was seen.
    pub(crate) fn rtt_ns(&self, peer: &PeerId) -> Option<u64> {
        self.shared.rtts.lock().get(peer).copied()
    }

    async fn dial(&self, peer: Option<PeerId>, addresses: Vec<Multiaddr>) -> Result<Dialled, RpcFailure> {
        let stopped = || RpcFailure::Dial("the host is stopping".into());
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Dial { peer, addresses, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Asks on behalf of the crawl, which may use half of what the cap allows: lookups are not to queue behind it.
    pub(crate) async fn ask_in_background(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        question: Question,
        deadline: Instant,
    ) -> Asked {
        if let Some(cap) = &self.shared.background_cap {
            cap.wait(&*self.shared.clock, deadline).await;
        }
        self.ask(peer, addresses, question, deadline).await
    }

    /// Asks a peer, connecting first where there is no connection. Ends by the deadline.
    pub(crate) async fn ask(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        question: Question,
        deadline: Instant,
    ) -> Asked {
        let mut dialled = None;
        if let Some(cap) = &self.shared.cap
            && !cap.wait(&*self.shared.clock, deadline).await
        {
            let ended_ns = self.shared.clock.now_ns();
            return Asked { dialled, result: Err(RpcFailure::Busy), ended_ns };
        }
        let asking = self.ask_connected(peer, addresses, question, deadline, &mut dialled);
        // The connection's task keeps the deadline and knows what was written by then; this is for dials, and for a task that is late.
        let result = tokio::time::timeout_at(deadline + GRACE, asking).await.unwrap_or(Err(RpcFailure::Timeout));
        if let Ok(answered) = &result
            && answered.answer.is_ok()
            && answered.ended_ns > answered.written_ns
        {
            // A question goes there and back, too: what a floor is made of must not lie above what was seen.
            self.shared.measured_rtt(peer, Duration::from_nanos(answered.ended_ns - answered.sent_ns));
        }
        Asked { dialled, result, ended_ns: self.shared.clock.now_ns() }
    }

    async fn ask_connected(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        question: Question,
        deadline: Instant,
        dialled: &mut Option<Dialled>,
    ) -> Result<Answered, RpcFailure> {
        let (mut call, mut answer) = Self::call(question.clone(), deadline);
        if let Some(link) = self.shared.links.to(&peer) {
            match link.try_send(call) {
                Ok(()) => match answer.await {
                    Ok(result) => return result,
                    // The connection closed before it took the question; on a new one it is asked for the first time.
                    Err(_closed) => (call, answer) = Self::call(question, deadline),
                },
                Err(mpsc::error::TrySendError::Full(_)) => return Err(RpcFailure::Busy),
                Err(mpsc::error::TrySendError::Closed(unsent)) => call = unsent,
            }
        }
        let dialling = tokio::time::timeout_at(deadline, self.dial(Some(peer), addresses)).await;
        *dialled = Some(dialling.unwrap_or(Err(RpcFailure::Timeout))?);
        let lost = || RpcFailure::Broken("closed before the question was sent".into());
        let link = self.shared.links.to(&peer).ok_or_else(lost)?;
        link.try_send(call).map_err(|_| lost())?;
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    fn call(question: Question, deadline: Instant) -> (Call, oneshot::Receiver<Result<Answered, RpcFailure>>) {
        let (reply, answer) = oneshot::channel();
        (Call { question, deadline, reply }, answer)
    }
}
