//! Long-lived streams: the shape that block exchange and payment share.
//!
//! Each side opens one stream per peer for what it has to say and reads on the streams that the other side opened, so an answer
//! arrives on another stream than its question. A [`Link`] is what this node knows of one peer under one protocol; the handlers
//! of all connections to that peer share it, and one connection at a time writes for it.

mod behaviour;
pub(crate) mod frame;
mod handler;
mod signal;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream, StreamProtocol};

pub(crate) use behaviour::Behaviour;
pub(crate) use signal::Signal;

/// A protocol of long-lived streams.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// Its state per peer.
    type Link: Link;

    /// Its name on the wire.
    fn name(&self) -> StreamProtocol;

    /// The state of a peer, made when its first connection is established. Every call for one peer gives the same state
    /// until [`Self::disconnected`].
    fn connected(&self, peer: PeerId) -> Arc<Self::Link>;

    /// The last connection to the peer is closed.
    fn disconnected(&self, peer: PeerId);
}

/// What this node knows of one peer under one protocol.
pub(crate) trait Link: Send + Sync + 'static {
    /// Ready when there is something to send and no other connection sends it. Registers the task otherwise.
    fn poll_wants_stream(&self, connection: ConnectionId, context: &mut Context<'_>) -> Poll<()>;

    /// Sends until the stream fails or there was nothing to send for a while. Runs inside the connection's task.
    fn send(self: Arc<Self>, connection: ConnectionId, stream: Stream) -> BoxFuture<'static, io::Result<()>>;

    /// Reads until the stream ends. Runs inside the connection's task.
    fn receive(self: Arc<Self>, stream: Stream) -> BoxFuture<'static, io::Result<()>>;

    /// The peer does not speak the protocol, or a stream to it could not be opened.
    fn stream_refused(&self, unsupported: bool);

    /// A connection of this peer stopped sending: another one may.
    fn released(&self, connection: ConnectionId);

    /// Whether an idle connection should stay open for this protocol's sake.
    fn keep_alive(&self) -> bool;
}
