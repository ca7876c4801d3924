//! The part of a protocol that lives with one connection: opens the outgoing stream when there is something to say, and runs
//! the sending and receiving loops inside the connection's own task.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, ConnectionId, StreamUpgradeError, SubstreamProtocol};

use super::Link;

/// Streams of one protocol that a peer may have open towards us on one connection; more are closed at once.
const MAX_INBOUND_STREAMS: usize = 8;

type Loop = BoxFuture<'static, io::Result<()>>;

enum Outbound {
    Closed,
    Opening,
    Open(Loop),
    /// The peer does not speak the protocol; asking again on this connection is pointless.
    Refused,
}

/// One connection's side of a protocol.
pub(crate) struct Handler<L: Link> {
    protocol: StreamProtocol,
    connection: ConnectionId,
    link: Arc<L>,
    inbound: FuturesUnordered<Loop>,
    outbound: Outbound,
}

impl<L: Link> Handler<L> {
    pub(super) fn new(protocol: StreamProtocol, connection: ConnectionId, link: Arc<L>) -> Self {
        Self { protocol, connection, link, inbound: FuturesUnordered::new(), outbound: Outbound::Closed }
    }

    fn poll_outbound(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.outbound {
                Outbound::Opening | Outbound::Refused => return Poll::Pending,
                Outbound::Open(sending) => match sending.poll_unpin(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => {
                        if let Err(error) = result {
                            tracing::debug!(protocol = %self.protocol, %error, "outgoing stream ended");
                        }
                        self.outbound = Outbound::Closed;
                        self.link.released(self.connection);
                    }
                },
                Outbound::Closed => {
                    futures::ready!(self.link.poll_wants_stream(self.connection, context));
                    self.outbound = Outbound::Opening;
                    return Poll::Ready(());
                }
            }
        }
    }

    fn refused(&mut self, error: &StreamUpgradeError<Infallible>) {
        let unsupported = matches!(error, StreamUpgradeError::NegotiationFailed);
        self.outbound = if unsupported { Outbound::Refused } else { Outbound::Closed };
        self.link.released(self.connection);
        self.link.stream_refused(unsupported);
    }
}

impl<L: Link> Drop for Handler<L> {
    fn drop(&mut self) {
        self.link.released(self.connection);
    }
}

impl<L: Link> ConnectionHandler for Handler<L> {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.link.keep_alive()
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        while let Poll::Ready(Some(result)) = self.inbound.poll_next_unpin(context) {
            if let Err(error) = result {
                tracing::debug!(protocol = %self.protocol, %error, "incoming stream ended");
            }
        }
        futures::ready!(self.poll_outbound(context));
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ());
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. })
                if self.inbound.len() < MAX_INBOUND_STREAMS =>
            {
                self.inbound.push(self.link.clone().receive(stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, .. }) => {
                self.outbound = Outbound::Open(self.link.clone().send(self.connection, stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => self.refused(&error),
            _ => {}
        }
    }
}
