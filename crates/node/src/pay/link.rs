//! The promises between this node and one peer.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures::future::BoxFuture;
use futures::{AsyncWriteExt, FutureExt};
use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Terms;
use super::promise::{MAX_MESSAGE_BYTES, PayMessage, Price, Promise, PromiseTerms, sign, verify};
use crate::wire::{self, frame};

/// Bytes that a payer promises ahead of what it received, so that no block waits for a promise.
const CREDIT_BYTES: u64 = 32 << 20;

/// How long a block waits for a promise that may be on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Promises that fail to verify before the peer's stream is closed.
const MAX_INVALID: u32 = 3;

/// The books with one peer.
pub(crate) struct PayLink {
    peer: PeerId,
    terms: Arc<Terms>,
    session: u64,
    books: Mutex<Books>,
    changed: Notify,
    signal: wire::Signal,
}

#[derive(Debug, Default)]
struct Books {
    // As payee.
    promised: u64,
    used: u64,
    sequence: u64,
    silent: bool,
    price_sent: bool,
    need: Option<u64>,
    invalid: u32,
    // As payer.
    price: Option<(u64, u64)>,
    given: u64,
    given_sequence: u64,
    spent: u64,
    outgoing: Option<u64>,
    owner: Option<ConnectionId>,
}

impl PayLink {
    pub(super) fn new(peer: PeerId, terms: Arc<Terms>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "has to be a number that nobody can foresee")]
        let session = rand::random();
        Self { peer, terms, session, books: Mutex::default(), changed: Notify::new(), signal: wire::Signal::default() }
    }

    /// Takes `cost` from the peer's promise; `false` when it does not cover it within [`PATIENCE`].
    pub(super) async fn charge(&self, cost: u64) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            let changed = self.changed.notified();
            {
                let mut books = self.books.lock();
                if books.promised.saturating_sub(books.used) >= cost {
                    books.used += cost;
                    return true;
                }
                if books.silent {
                    return false;
                }
                if books.price_sent {
                    books.need = Some(books.used.saturating_add(cost));
                }
            }
            self.signal.wake();
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return false;
            }
        }
    }

    /// Blocks came from the peer: renews the promise before it is used up.
    pub(super) fn received(&self, bytes: u64) {
        let mut books = self.books.lock();
        let Some((per_byte, _)) = books.price else { return };
        books.spent = books.spent.saturating_add(per_byte.saturating_mul(bytes));
        let credit = per_byte.saturating_mul(CREDIT_BYTES);
        if books.given.saturating_sub(books.spent) < credit / 2 {
            let wanted = books.spent.saturating_add(credit);
            self.promise(&mut books, wanted);
        }
    }

    /// Notes that a promise of this cumulative amount is to be sent, as far as the limit goes.
    fn promise(&self, books: &mut Books, cumulative: u64) {
        let cumulative = cumulative.min(self.terms.pay_limit);
        if cumulative > books.given {
            books.given = cumulative;
            books.outgoing = Some(cumulative);
            self.signal.wake();
        }
    }

    fn poll_message(&self, connection: ConnectionId, context: &mut Context<'_>) -> Poll<PayMessage> {
        self.signal.register(connection, context);
        let mut books = self.books.lock();
        if let (Some(per_byte), false) = (self.terms.price_per_byte, books.price_sent) {
            books.price_sent = true;
            let price = Some(Price { per_byte, session: self.session });
            return Poll::Ready(PayMessage { price, ..PayMessage::default() });
        }
        if let (Some(cumulative), Some((_, session))) = (books.outgoing.take(), books.price) {
            books.given_sequence += 1;
            let terms = PromiseTerms {
                payer: self.terms.key.public().to_peer_id().to_bytes(),
                payee: self.peer.to_bytes(),
                session,
                sequence: books.given_sequence,
                cumulative,
            };
            let promise = sign(&self.terms.key, &terms);
            return Poll::Ready(PayMessage { promise, ..PayMessage::default() });
        }
        match books.need.take() {
            Some(need) => Poll::Ready(PayMessage { need: Some(need), ..PayMessage::default() }),
            None => Poll::Pending,
        }
    }

    fn on_message(&self, message: &PayMessage) -> io::Result<()> {
        if let Some(price) = &message.price {
            let mut books = self.books.lock();
            books.price = Some((price.per_byte, price.session));
            (books.given, books.given_sequence, books.spent) = (0, 0, 0);
            self.promise(&mut books, price.per_byte.saturating_mul(CREDIT_BYTES));
        }
        if let Some(need) = message.need {
            let mut books = self.books.lock();
            if let Some((per_byte, _)) = books.price {
                let wanted = need.saturating_add(per_byte.saturating_mul(CREDIT_BYTES));
                self.promise(&mut books, wanted);
            }
        }
        if let Some(promise) = &message.promise {
            self.on_promise(promise)?;
        }
        Ok(())
    }

    pub(super) fn on_promise(&self, promise: &Promise) -> io::Result<()> {
        let local = self.terms.key.public().to_peer_id();
        let verified = verify(promise, self.peer, local, self.session);
        let mut books = self.books.lock();
        match verified {
            Ok(terms) if terms.sequence > books.sequence && terms.cumulative > books.promised => {
                books.sequence = terms.sequence;
                books.promised = terms.cumulative;
                drop(books);
                self.changed.notify_waiters();
            }
            Ok(_) => {}
            Err(error) => {
                books.invalid += 1;
                tracing::warn!(peer = %self.peer, %error, "a peer sent a promise that is worth nothing");
                if books.invalid >= MAX_INVALID {
                    return Err(frame::invalid(format!("{MAX_INVALID} invalid promises")));
                }
            }
        }
        Ok(())
    }

    async fn send_loop(self: Arc<Self>, connection: ConnectionId, mut stream: Stream) -> io::Result<()> {
        stream.ignore_for_keep_alive();
        let mut buffer = BytesMut::new();
        loop {
            let message = std::future::poll_fn(|context| self.poll_message(connection, context)).await;
            buffer.clear();
            frame::encode(&message, &mut buffer);
            stream.write_all(&buffer).await?;
            stream.flush().await?;
        }
    }

    async fn receive_loop(self: Arc<Self>, mut stream: Stream) -> io::Result<()> {
        stream.ignore_for_keep_alive();
        while let Some(message) = frame::read::<PayMessage>(&mut stream, MAX_MESSAGE_BYTES).await? {
            self.on_message(&message)?;
        }
        Ok(())
    }
}

impl wire::Link for PayLink {
    fn poll_wants_stream(&self, connection: ConnectionId, context: &mut Context<'_>) -> Poll<()> {
        self.signal.register(connection, context);
        let mut books = self.books.lock();
        let price = self.terms.price_per_byte.is_some() && !books.price_sent;
        let something = price || books.outgoing.is_some() || books.need.is_some();
        if books.owner.is_some() || books.silent || !something {
            return Poll::Pending;
        }
        books.owner = Some(connection);
        Poll::Ready(())
    }

    fn send(self: Arc<Self>, connection: ConnectionId, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        self.send_loop(connection, stream).boxed()
    }

    fn receive(self: Arc<Self>, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        self.receive_loop(stream).boxed()
    }

    fn stream_refused(&self, unsupported: bool) {
        // Whoever does not speak the protocol will not promise: what waits for it need not wait longer.
        self.books.lock().silent |= unsupported;
        self.changed.notify_waiters();
    }

    fn released(&self, connection: ConnectionId) {
        self.signal.forget(connection);
        let mut books = self.books.lock();
        if books.owner == Some(connection) {
            books.owner = None;
            drop(books);
            self.signal.wake();
        }
    }

    fn keep_alive(&self) -> bool {
        false
    }
}
