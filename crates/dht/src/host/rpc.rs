//! The swarm's part in asking: it keeps a way to the task of every connection, so that a question goes there directly.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::NegotiationError;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use parking_lot::RwLock;
use peermark_core::{Clock, MonotonicNs};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::handler::Handler;
use crate::wire::{Answer, Question};

/// Questions that wait for one connection. More are refused: the peer is not keeping up.
const MAX_QUEUED: usize = 64;

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcFailure {
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection.
    #[error("cannot connect: {0}")]
    Dial(String),
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// The connection or the stream broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came is no answer.
    #[error("not an answer: {0}")]
    Protocol(String),
    /// This node is at a limit of its own: questions to one peer, connections, or the rate.
    #[error("this node is at a limit of its own")]
    Busy,
}

impl RpcFailure {
    /// What a broken stream says. The first use of a stream tells that the peer refused its protocol.
    pub(super) fn of_stream(error: &io::Error) -> Self {
        let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<NegotiationError>());
        match refused {
            Some(NegotiationError::Failed) => Self::Unsupported,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// An answered question.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// When the question began to be written.
    pub(crate) sent_ns: MonotonicNs,
    /// When it was written.
    pub(crate) written_ns: MonotonicNs,
    /// When its answer was complete; as `written_ns` where there is none.
    pub(crate) ended_ns: MonotonicNs,
    /// The answer, empty where none was asked for; or why none came although the question was written.
    pub(crate) answer: Result<Answer, RpcFailure>,
}

/// A question on its way to a connection.
pub(super) struct Call {
    pub(super) question: Question,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Answered, RpcFailure>>,
}

/// A connection and the way to its task.
type Link = (ConnectionId, mpsc::Sender<Call>);

/// The ways to all connections.
#[derive(Default)]
pub(super) struct Links {
    peers: RwLock<HashMap<PeerId, Vec<Link>>>,
}

impl Links {
    /// A way to a peer that is connected.
    pub(super) fn to(&self, peer: &PeerId) -> Option<mpsc::Sender<Call>> {
        self.peers.read().get(peer).and_then(|links| links.first()).map(|(_, sender)| sender.clone())
    }

    pub(super) fn peers(&self) -> usize {
        self.peers.read().len()
    }

    fn add(&self, peer: PeerId, connection: ConnectionId, sender: mpsc::Sender<Call>) {
        self.peers.write().entry(peer).or_default().push((connection, sender));
    }

    fn remove(&self, peer: PeerId, connection: ConnectionId) {
        let mut peers = self.peers.write();
        let Some(links) = peers.get_mut(&peer) else { return };
        links.retain(|(id, _)| *id != connection);
        if links.is_empty() {
            peers.remove(&peer);
        }
    }
}

/// Makes a handler for every connection and remembers the way to it.
pub(super) struct Behaviour {
    pub(super) protocol: StreamProtocol,
    pub(super) links: Arc<Links>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Behaviour {
    fn established(&self, peer: PeerId, connection: ConnectionId) -> Handler {
        let (sender, calls) = mpsc::channel(MAX_QUEUED);
        self.links.add(peer, connection, sender);
        Handler::new(self.protocol.clone(), calls, Arc::clone(&self.clock))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
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
                self.links.remove(peer_id, connection_id);
            }
            // Another behaviour may deny a connection after this one made its handler.
            FromSwarm::DialFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.links.remove(peer, failure.connection_id);
                }
            }
            FromSwarm::ListenFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.links.remove(peer, failure.connection_id);
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
