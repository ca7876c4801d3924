//! libp2p's own Kademlia query in the same network: a client of its own, timed inside the task that owns the swarm, so that no
//! channel of ours is counted against it.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::StreamExt;
use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};
use peermark_core::Clock;
use peermark_dht::private::PRIVATE_PROTOCOL;

use crate::BenchError;

/// Longest time for joining, and for one lookup.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(NetworkBehaviour)]
struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
}

/// The client.
pub(super) struct Reference {
    swarm: Swarm<Behaviour>,
}

impl Reference {
    /// A client that has bootstrapped.
    pub(super) async fn start(bootstrap: &[Multiaddr], k: usize) -> Result<Self, BenchError> {
        let mut swarm = build(k)?;
        for address in bootstrap {
            let peer = address.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None });
            if let Some(peer) = peer {
                swarm.behaviour_mut().kad.add_address(&peer, address.clone());
            }
        }
        let query = swarm.behaviour_mut().kad.bootstrap().map_err(|error| failed(&error))?;
        let mut reference = Self { swarm };
        reference.until(query).await?;
        Ok(reference)
    }

    /// Time to the first provider, ns.
    pub(super) async fn look_up(&mut self, key: &[u8], cold: bool, clock: &dyn Clock) -> Result<u64, BenchError> {
        if cold {
            self.disconnect_all().await;
        }
        // What came meanwhile is not the lookup's: it is worked off before the clock starts.
        while let Some(Some(_)) = futures::FutureExt::now_or_never(self.swarm.next()) {}
        let began_ns = clock.now_ns();
        let query = self.swarm.behaviour_mut().kad.get_providers(RecordKey::new(&key));
        self.until(query).await?;
        Ok(clock.now_ns() - began_ns)
    }

    /// Waits until a query is over, or has told its first provider, after which it is ended.
    async fn until(&mut self, query: QueryId) -> Result<(), BenchError> {
        let waiting = async {
            loop {
                let SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) = self.next().await else { continue };
                let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else { continue };
                if id != query {
                    continue;
                }
                match result {
                    QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. }))
                        if !providers.is_empty() =>
                    {
                        if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&query) {
                            query.finish();
                        }
                        return Ok(());
                    }
                    QueryResult::GetProviders(_) if step.last => return Err(failed(&"no provider was found")),
                    QueryResult::Bootstrap(_) if step.last => return Ok(()),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| Err(failed(&"no answer in time")))
    }

    /// The next event; who identifies as a server goes into the table, as libp2p leaves to its users.
    async fn next(&mut self) -> SwarmEvent<BehaviourEvent> {
        let event = self.swarm.select_next_some().await;
        if let SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) = &event
            && info.protocols.iter().any(|protocol| protocol.as_ref() == PRIVATE_PROTOCOL)
        {
            for address in &info.listen_addrs {
                self.swarm.behaviour_mut().kad.add_address(peer_id, address.clone());
            }
        }
        event
    }

    /// Closes every connection. Dials that an ended query left behind end meanwhile, or are cut off when they succeed.
    async fn disconnect_all(&mut self) {
        loop {
            let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
            for peer in &peers {
                // An error says that it is not connected, which is what is wanted.
                let _ = self.swarm.disconnect_peer_id(*peer);
            }
            let pending = self.swarm.network_info().connection_counters().num_pending_outgoing();
            if peers.is_empty() && pending == 0 {
                return;
            }
            self.next().await;
        }
    }
}

fn failed(reason: &dyn std::fmt::Display) -> BenchError {
    BenchError::subject("looking up with libp2p's query", reason)
}

fn build(k: usize) -> Result<Swarm<Behaviour>, BenchError> {
    let mut config = kad::Config::new(StreamProtocol::new(PRIVATE_PROTOCOL));
    if let Some(k) = NonZeroUsize::new(k) {
        config.set_replication_factor(k);
        config.set_kbucket_size(k);
    }
    config.set_periodic_bootstrap_interval(None);
    let builder = SwarmBuilder::with_new_identity().with_tokio();
    let builder = builder
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| failed(&error))?;
    let swarm = builder.with_behaviour(|key| {
        let local = key.public().to_peer_id();
        let mut kad = kad::Behaviour::with_config(local, MemoryStore::new(local), config);
        kad.set_mode(Some(kad::Mode::Client));
        Behaviour { kad, identify: identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".into(), key.public())) }
    });
    let swarm = swarm.map_err(|error| failed(&error))?;
    Ok(swarm.with_swarm_config(|swarm| swarm.with_idle_connection_timeout(Duration::from_secs(600))).build())
}
