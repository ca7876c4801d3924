//! The task that owns the swarm.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify};
use peermark_core::MonotonicNs;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::behaviour::{Behaviour, BehaviourEvent};
use super::rpc::RpcFailure;
use super::transport::Moments;
use super::{Command, DISCONNECT, DialReply, Dialled, Shared};
use crate::wire::distinct;

/// Addresses of one peer that are kept.
const MAX_ADDRESSES: usize = 8;

pub(super) struct Actor {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    /// Dials to a peer that is known, by that peer: whoever connects first answers all of them.
    to_peers: HashMap<PeerId, Waiting>,
    /// Dials to an address whose owner is not known.
    to_addresses: HashMap<ConnectionId, DialReply>,
}

/// Who waits for a dial, and since when.
type Waiting = Vec<(MonotonicNs, DialReply)>;

impl Actor {
    pub(super) fn new(swarm: Swarm<Behaviour>, commands: mpsc::Receiver<Command>, shared: Arc<Shared>) -> Self {
        Self { swarm, commands, shared, to_peers: HashMap::new(), to_addresses: HashMap::new() }
    }

    /// Runs until it is aborted or every handle on the host is gone.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Dial { peer, addresses, reply }) => self.dial(peer, addresses, reply),
                    Some(Command::DisconnectAll { reply }) => {
                        self.disconnect_all().await;
                        // Who asked may have gone.
                        let _ = reply.send(());
                    }
                    None => return,
                },
            }
        }
    }

    /// Closes every connection, also those of dials that are still under way: nobody waits for them any more.
    async fn disconnect_all(&mut self) {
        let until = Instant::now() + DISCONNECT;
        loop {
            let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
            for peer in &peers {
                // An error says that it is not connected, which is what is wanted.
                let _ = self.swarm.disconnect_peer_id(*peer);
            }
            if peers.is_empty() && self.to_peers.is_empty() {
                return;
            }
            let Ok(event) = tokio::time::timeout_at(until, self.swarm.select_next_some()).await else { return };
            self.on_event(event);
        }
    }

    fn dial(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>, reply: DialReply) {
        match peer {
            Some(peer) => self.dial_peer(peer, addresses, reply),
            None => self.dial_address(addresses, reply),
        }
    }

    fn dial_peer(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, reply: DialReply) {
        if self.swarm.is_connected(&peer) {
            drop(reply.send(Ok(Dialled::default())));
            return;
        }
        if peer == self.shared.local {
            drop(reply.send(Err(RpcFailure::Dial("that is this node itself".into()))));
            return;
        }
        let began_ns = self.shared.clock.now_ns();
        self.to_peers.entry(peer).or_default().push((began_ns, reply));
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        match self.swarm.dial(options) {
            // Another dial to the peer is under way and answers for this one too.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => self.failed(&peer, &failure_of(&error)),
        }
    }

    fn dial_address(&mut self, addresses: Vec<Multiaddr>, reply: DialReply) {
        let Some(address) = addresses.into_iter().next() else {
            drop(reply.send(Err(RpcFailure::Dial("no address".into()))));
            return;
        };
        let options = DialOpts::unknown_peer_id().address(address).build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.to_addresses.insert(connection, reply)),
            Err(error) => drop(reply.send(Err(RpcFailure::Dial(error.to_string())))),
        }
    }

    fn failed(&mut self, peer: &PeerId, failure: &RpcFailure) {
        for (_, reply) in self.to_peers.remove(peer).unwrap_or_default() {
            drop(reply.send(Err(failure.clone())));
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.connected(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                let failure = failure_of(&error);
                if let Some(reply) = self.to_addresses.remove(&connection_id) {
                    drop(reply.send(Err(failure.clone())));
                }
                // A dial of the swarm's own may have failed while the peer connected to us.
                if let Some(peer) = peer_id.filter(|peer| !self.swarm.is_connected(peer)) {
                    self.failed(&peer, &failure);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.identified(peer_id, &info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => {
                if let Ok(rtt) = ping.result {
                    self.shared.measured_rtt(ping.peer, rtt);
                }
            }
            _ => {}
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        let now_ns = self.shared.clock.now_ns();
        let moments = self.shared.times.take(&peer);
        if let Some(reply) = self.to_addresses.remove(&connection) {
            drop(reply.send(Ok(Dialled::default())));
        }
        for (began_ns, reply) in self.to_peers.remove(&peer).unwrap_or_default() {
            drop(reply.send(Ok(dialled(began_ns, moments, now_ns))));
        }
    }

    /// Who speaks the protocol serves it, and belongs into the tables. Nothing else puts inbound peers there.
    fn identified(&mut self, peer: PeerId, info: &identify::Info) {
        if !info.protocols.contains(&self.shared.protocol) {
            return;
        }
        let allowed = info.listen_addrs.iter().filter(|address| self.shared.config.scope.allows(address));
        let addresses = distinct(allowed.take(MAX_ADDRESSES).cloned());
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            for address in &addresses {
                kad.add_address(&peer, address.clone());
            }
        }
        self.shared.table.write().insert(peer, &addresses);
    }
}

/// What a dial took from the moment at which somebody began to wait for it.
fn dialled(began_ns: MonotonicNs, moments: Option<Moments>, now_ns: MonotonicNs) -> Dialled {
    match moments {
        Some(moments) if moments.upgraded_ns >= began_ns => Dialled {
            dial_ns: moments.connected_ns.saturating_sub(began_ns),
            handshake_ns: moments.upgraded_ns - moments.connected_ns.max(began_ns),
        },
        // QUIC does both in one, and a connection that the peer opened has no dial of ours.
        _ => Dialled { dial_ns: 0, handshake_ns: now_ns.saturating_sub(began_ns) },
    }
}

/// Why a dial came to nothing. A bound of our own is no fault of the peer.
fn failure_of(error: &DialError) -> RpcFailure {
    match error {
        DialError::Denied { .. } => RpcFailure::Busy,
        other => RpcFailure::Dial(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_joins_a_dial_waited_for_the_rest_of_it() {
        let moments = Some(Moments { connected_ns: 100, upgraded_ns: 150 });
        let parts = |began_ns| {
            let dialled = dialled(began_ns, moments, 160);
            (dialled.dial_ns, dialled.handshake_ns)
        };
        assert_eq!([parts(40), parts(90), parts(120)], [(60, 50), (10, 50), (0, 30)]);
        assert_eq!(parts(155), (0, 5), "moments of an earlier dial");
    }
}
