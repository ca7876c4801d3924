//! Asks on one connection. Streams are kept and used again: negotiating one costs a round trip, and peers of both families serve
//! several questions on one stream, one after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{AsyncWriteExt, FutureExt};
use libp2p::StreamProtocol;
use libp2p::core::upgrade::{DeniedUpgrade, ReadyUpgrade};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, Stream, StreamUpgradeError, SubstreamProtocol};
use peermark_core::Clock;
use tokio::sync::mpsc;

use super::rpc::{Answered, Call, RpcFailure};
use crate::wire::{Answer, WireError, read_answer};

/// Streams of one connection at once; libp2p's Rust implementation serves 32.
const MAX_STREAMS: usize = 16;

/// Questions that wait for a stream.
const MAX_WAITING: usize = 64;

/// What became of an asked question's stream.
enum Ended {
    /// It can carry another one.
    Kept(Stream),
    /// It cannot.
    Gone,
    /// The peer had closed it before the question came: the question is still to be asked, on a new one.
    Stale(Call),
}

/// The part of asking that lives in a connection's task.
pub(super) struct Handler {
    protocol: StreamProtocol,
    clock: Arc<dyn Clock>,
    calls: mpsc::Receiver<Call>,
    waiting: VecDeque<Call>,
    idle: Vec<Stream>,
    /// Streams that carried a question and were kept; a peer may have closed them since.
    used: Vec<Stream>,
    /// Streams that were asked for and are not there yet.
    opening: usize,
    asking: FuturesUnordered<BoxFuture<'static, Ended>>,
}

impl Handler {
    pub(super) fn new(protocol: StreamProtocol, calls: mpsc::Receiver<Call>, clock: Arc<dyn Clock>) -> Self {
        let asking = FuturesUnordered::new();
        Self {
            protocol,
            clock,
            calls,
            waiting: VecDeque::new(),
            idle: Vec::new(),
            used: Vec::new(),
            opening: 0,
            asking,
        }
    }

    /// Gives waiting questions to streams that are free, new ones last.
    fn assign(&mut self) {
        while let Some(call) = self.waiting.pop_front() {
            // On a kept stream that the peer has closed, a question without an answer would be lost unseen.
            let used = if call.question.answer.is_some() { self.used.pop() } else { None };
            let reused = used.is_some();
            let Some(stream) = used.or_else(|| self.idle.pop()) else {
                self.waiting.push_front(call);
                return;
            };
            self.asking.push(ask(stream, call, Arc::clone(&self.clock), reused).boxed());
        }
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Kept(stream) => self.used.push(stream),
            Ended::Gone => {}
            Ended::Stale(call) => {
                // The others that were kept are as old.
                self.used.clear();
                self.waiting.push_front(call);
            }
        }
    }

    fn take_calls(&mut self, context: &mut Context<'_>) {
        while self.waiting.len() < MAX_WAITING {
            let Poll::Ready(Some(call)) = self.calls.poll_recv(context) else { return };
            // Who gave up waiting needs no answer.
            if !call.reply.is_closed() {
                self.waiting.push_back(call);
            }
        }
    }

    fn refuse(&mut self, failure: &RpcFailure) {
        for call in self.waiting.drain(..) {
            drop(call.reply.send(Err(failure.clone())));
        }
    }
}

/// Asks one question.
async fn ask(mut stream: Stream, call: Call, clock: Arc<dyn Clock>, reused: bool) -> Ended {
    let sent_ns = clock.now_ns();
    let written = tokio::time::timeout_at(call.deadline, write(&mut stream, &call.question.bytes)).await;
    let failure = match written {
        Ok(Ok(())) => None,
        Ok(Err(_)) if reused => return Ended::Stale(call),
        Ok(Err(error)) => Some(RpcFailure::of_stream(&error)),
        Err(_elapsed) => Some(RpcFailure::Timeout),
    };
    if let Some(failure) = failure {
        // Who asked may have given up.
        drop(call.reply.send(Err(failure)));
        return Ended::Gone;
    }
    let written_ns = clock.now_ns();
    let Some(kind) = call.question.answer else {
        let answer = Ok(Answer::default());
        drop(call.reply.send(Ok(Answered { sent_ns, written_ns, ended_ns: written_ns, answer })));
        // Closed in order: what was written must not be thrown away with the stream.
        drop(tokio::time::timeout_at(call.deadline, stream.close()).await);
        return Ended::Gone;
    };
    let answer = match tokio::time::timeout_at(call.deadline, read_answer(&mut stream, kind)).await {
        // Nothing of an answer came: the question may be asked again without being asked twice.
        Ok(Err(WireError::Io(_))) if reused => return Ended::Stale(call),
        Ok(answer) => answer.map_err(|error| match error {
            WireError::Io(error) => RpcFailure::of_stream(&error),
            other => RpcFailure::Protocol(other.to_string()),
        }),
        Err(_elapsed) => Err(RpcFailure::Timeout),
    };
    let usable = answer.is_ok();
    // The answer may no longer be wanted; the stream is worth keeping all the same.
    drop(call.reply.send(Ok(Answered { sent_ns, written_ns, ended_ns: clock.now_ns(), answer })));
    if usable { Ended::Kept(stream) } else { Ended::Gone }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    fn connection_keep_alive(&self) -> bool {
        !self.asking.is_empty() || !self.waiting.is_empty() || self.opening > 0
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Infallible>> {
        loop {
            while let Poll::Ready(Some(ended)) = self.asking.poll_next_unpin(context) {
                self.ended(ended);
            }
            self.take_calls(context);
            let before = self.asking.len();
            self.assign();
            // New work has to be polled once, or nobody would wake this task for it.
            if self.asking.len() == before {
                break;
            }
        }
        if self.opening < self.waiting.len() && self.opening + self.asking.len() < MAX_STREAMS {
            self.opening += 1;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: mut stream, .. }) => {
                self.opening = self.opening.saturating_sub(1);
                // Kept streams must not keep the connection: how long it stays is the experiment's to say.
                stream.ignore_for_keep_alive();
                self.idle.push(stream);
                self.assign();
            }
            ConnectionEvent::DialUpgradeError(refused) => {
                self.opening = self.opening.saturating_sub(1);
                let failure = match refused.error {
                    StreamUpgradeError::NegotiationFailed => RpcFailure::Unsupported,
                    StreamUpgradeError::Timeout => RpcFailure::Timeout,
                    StreamUpgradeError::Io(error) => RpcFailure::Broken(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.refuse(&failure);
            }
            _ => {}
        }
    }
}
