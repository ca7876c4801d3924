//! One long libp2p stream over TCP, Noise and Yamux, with nothing of ours on top: the reference for block exchange.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use tokio::sync::mpsc;

use crate::BenchError;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/peermark/bench/stream/1");

/// The streams of a swarm.
pub(crate) struct Dialogue {
    /// Streams that the other side opened.
    pub(crate) inbound: mpsc::Receiver<Stream>,
    /// One stream per connection that this side dialled.
    pub(crate) outbound: mpsc::Receiver<Stream>,
}

/// A swarm that opens one stream on every connection it dials.
pub(crate) fn swarm() -> Result<(Swarm<Streams>, Dialogue), BenchError> {
    let (inbound_sender, inbound) = mpsc::channel(16);
    let (outbound_sender, outbound) = mpsc::channel(16);
    let failed = |error: &dyn std::fmt::Display| BenchError::subject("building a swarm", error);
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| failed(&error))?
        .with_behaviour(|_| Streams { inbound: inbound_sender, outbound: outbound_sender })
        .map_err(|error| failed(&error))?
        .build();
    Ok((swarm, Dialogue { inbound, outbound }))
}

/// A tokio socket as a `futures` stream.
pub(crate) fn compat(socket: tokio::net::TcpStream) -> impl AsyncRead + AsyncWrite + Unpin {
    tokio_util::compat::TokioAsyncReadCompatExt::compat(socket)
}

pub(crate) struct Streams {
    inbound: mpsc::Sender<Stream>,
    outbound: mpsc::Sender<Stream>,
}

pub(crate) struct Handler {
    requests: VecDeque<()>,
    inbound: mpsc::Sender<Stream>,
    outbound: mpsc::Sender<Stream>,
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { requests: VecDeque::new(), inbound: self.inbound.clone(), outbound: self.outbound.clone() })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler { requests: VecDeque::from([()]), inbound: self.inbound.clone(), outbound: self.outbound.clone() })
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Infallible>> {
        match self.requests.pop_front() {
            Some(()) => {
                let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        // A benchmark that has ended takes no more streams.
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let _ = self.inbound.try_send(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                let _ = self.outbound.try_send(protocol);
            }
            _ => {}
        }
    }
}
