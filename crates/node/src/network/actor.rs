//! The task that owns the swarm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, kad, ping};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::connections::ConnectionTable;
use super::dht::Queries;
use super::{Behaviour, BehaviourEvent, Command, DialFailed};
use crate::bitswap::Exchange;
use crate::metrics::{Metrics, count};

/// Pause between attempts to reach the bootstrap peers while there is no connection.
const REJOIN: Duration = Duration::from_secs(2);

type DialReply = oneshot::Sender<Result<(), DialFailed>>;

pub(super) struct Actor {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    connections: Arc<ConnectionTable>,
    addresses: Arc<RwLock<Vec<Multiaddr>>>,
    metrics: Arc<Metrics>,
    exchange: Exchange,
    queries: Queries,
    dials: HashMap<PeerId, Vec<(bool, DialReply)>>,
    bootstrapped: bool,
}

impl Actor {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        commands: mpsc::Receiver<Command>,
        connections: Arc<ConnectionTable>,
        addresses: Arc<RwLock<Vec<Multiaddr>>>,
        metrics: Arc<Metrics>,
        exchange: Exchange,
    ) -> Self {
        let queries = Queries::new(*swarm.local_peer_id(), metrics.clone());
        let dials = HashMap::new();
        Self { swarm, commands, connections, addresses, metrics, exchange, queries, dials, bootstrapped: false }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self, bootstrap: Vec<Multiaddr>) {
        let mut rejoin = tokio::time::interval(REJOIN);
        rejoin.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                // With peers there is nothing to rejoin, so a connected node has no timer of its own.
                _ = rejoin.tick(), if !bootstrap.is_empty() && self.connections.peers() == 0 => self.join(&bootstrap),
            }
        }
    }

    fn join(&mut self, bootstrap: &[Multiaddr]) {
        for address in bootstrap {
            let peer = address.iter().find_map(|part| match part {
                Protocol::P2p(peer) => Some(peer),
                _ => None,
            });
            let Some(peer) = peer.filter(|peer| peer != self.swarm.local_peer_id()) else { continue };
            self.swarm.behaviour_mut().kad.add_address(&peer, address.clone());
            let options = DialOpts::peer_id(peer).addresses(vec![address.clone()]).build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "cannot dial bootstrap peer");
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        match command {
            Command::Dial { peer, addresses, keep, reply } => self.dial(peer, addresses, keep, reply),
            Command::Providers { digest, found } => self.queries.look_up(kad, digest, found),
            Command::Announce { digest } => self.queries.announce(kad, digest),
            Command::Withdraw { digest } => self.queries.withdraw(kad, digest),
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, keep: bool, reply: DialReply) {
        if self.swarm.is_connected(&peer) {
            if keep {
                self.exchange.keep_connection(&peer);
            }
            drop(reply.send(Ok(())));
            return;
        }
        self.dials.entry(peer).or_default().push((keep, reply));
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        match self.swarm.dial(options) {
            // Another dial to the peer is under way and answers for this one too.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => self.dialled(peer, &Err(DialFailed { reason: error.to_string() })),
        }
    }

    fn dialled(&mut self, peer: PeerId, result: &Result<(), DialFailed>) {
        for (keep, reply) in self.dials.remove(&peer).unwrap_or_default() {
            if keep && result.is_ok() {
                self.exchange.keep_connection(&peer);
            }
            // The requester may have given up.
            drop(reply.send(result.clone()));
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                if self.connections.add(connection_id, peer_id, &endpoint) {
                    count(&self.metrics.peers_seen);
                }
                self.update_peer_count();
                self.dialled(peer_id, &Ok(()));
            }
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.remove(connection_id);
                self.update_peer_count();
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. }
                if !self.swarm.is_connected(&peer) =>
            {
                self.dialled(peer, &Err(DialFailed { reason: error.to_string() }));
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.swarm.add_external_address(address.clone());
                self.addresses.write().push(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.addresses.write().retain(|known| *known != address);
            }
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            _ => {}
        }
    }

    fn update_peer_count(&self) {
        let peers = self.swarm.connected_peers().count() as u64;
        self.metrics.peers_connected.store(peers, std::sync::atomic::Ordering::Relaxed);
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => self.identified(peer_id, info),
            BehaviourEvent::Ping(ping::Event { connection, result: Ok(rtt), .. }) => self.on_ping(connection, rtt),
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. }) => {
                self.queries.progressed(&mut self.swarm.behaviour_mut().kad, id, result, step.last);
            }
            BehaviourEvent::Kad(kad::Event::RoutingUpdated { .. }) => {
                self.count_routing_peers();
                self.queries.announce_next(&mut self.swarm.behaviour_mut().kad);
            }
            _ => {}
        }
    }

    fn on_ping(&mut self, connection: ConnectionId, rtt: Duration) {
        self.connections.pinged(connection, rtt);
    }

    fn count_routing_peers(&mut self) {
        let peers = self.swarm.behaviour_mut().kad.kbuckets().map(|bucket| bucket.num_entries()).sum();
        self.connections.set_routing_peers(peers);
    }

    /// Identify has to be wired to Kademlia by hand; without it the network stays a star around the bootstrap peer.
    fn identified(&mut self, peer: PeerId, info: identify::Info) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        let speaks = kad.protocol_names().iter().any(|name| info.protocols.contains(name));
        if !speaks {
            return;
        }
        let remote_is_loopback =
            self.connections.snapshot().iter().any(|open| open.peer == peer && is_loopback(&open.address));
        for address in info.listen_addrs.into_iter().filter(|address| remote_is_loopback || !is_loopback(address)) {
            self.swarm.behaviour_mut().kad.add_address(&peer, address);
        }
        self.count_routing_peers();
        if !self.bootstrapped {
            self.bootstrapped = true;
            if let Err(error) = self.swarm.behaviour_mut().kad.bootstrap() {
                tracing::debug!(%error, "cannot bootstrap the routing table yet");
                self.bootstrapped = false;
            }
        }
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}
