//! The part of a protocol that the swarm sees: it counts connections per peer and makes handlers, nothing else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::Protocol;
use super::handler::Handler;

/// The swarm's side of a [`Protocol`].
pub(crate) struct Behaviour<P: Protocol> {
    protocol: Arc<P>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
}

impl<P: Protocol> Behaviour<P> {
    pub(crate) fn new(protocol: Arc<P>) -> Self {
        Self { protocol, connections: HashMap::new() }
    }

    fn established(&mut self, peer: PeerId, connection: ConnectionId) -> Handler<P::Link> {
        self.connections.entry(peer).or_default().push(connection);
        Handler::new(self.protocol.name(), connection, self.protocol.connected(peer))
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(open) = self.connections.get_mut(&peer) else { return };
        open.retain(|id| *id != connection);
        if open.is_empty() {
            self.connections.remove(&peer);
            self.protocol.disconnected(peer);
        }
    }
}

impl<P: Protocol> NetworkBehaviour for Behaviour<P> {
    type ConnectionHandler = Handler<P::Link>;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.established(peer, connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.established(peer, connection))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.closed(peer_id, connection_id);
            }
            // Another behaviour may deny a connection after this one made its handler.
            FromSwarm::DialFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.closed(peer, failure.connection_id);
                }
            }
            FromSwarm::ListenFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.closed(peer, failure.connection_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
