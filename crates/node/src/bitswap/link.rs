//! One peer under Bitswap: what we have to tell it, what it wants from us, how much went either way.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use cid::Cid;
use futures::future::BoxFuture;
use futures::{AsyncWriteExt, FutureExt};
use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use parking_lot::Mutex;

use super::exchange::{ExchangeEvent, Shared};
use super::message::{
    Block, Entry, MAX_ITEMS, MAX_MESSAGE_BYTES, Message, Presence, PresenceType, WantType, Wantlist, read_cid,
};
use super::wants::{Arrival, WantEvent};
use crate::content::{Digest, digest_of};
use crate::metrics::{add, count};
use crate::wire::{self, frame};

/// Bytes of blocks after which a message is sent. Smaller messages let the receiver hash while the next one is on its way.
const BATCH_BYTES: usize = 256 << 10;

/// Entries and presences of one message.
const BATCH_ITEMS: usize = 1024;

/// Blocks that a peer may have queued here; further wants are answered with dont-have, so that it can ask elsewhere.
const MAX_QUEUED_BLOCKS: usize = 4096;

/// Answers that may wait for a peer to read them; one that asks on beyond it is not read any more.
const MAX_QUEUED_ANSWERS: usize = 4 * MAX_ITEMS;

/// A stream with nothing to say for this long is closed, which lets the connection become idle.
const IDLE: Duration = Duration::from_secs(5);

/// A peer that takes no byte for this long has its stream closed.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of one peer.
pub(crate) struct Link {
    pub(super) peer: PeerId,
    shared: Weak<Shared>,
    outbox: Mutex<Outbox>,
    signal: wire::Signal,
    kept: AtomicBool,
    unsupported: AtomicBool,
    pub(super) traffic: Traffic,
}

/// Blocks and their bytes, each way.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) blocks_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) blocks_received: AtomicU64,
    pub(super) bytes_received: AtomicU64,
}

#[derive(Debug, Default)]
struct Outbox {
    entries: VecDeque<Entry>,
    presences: VecDeque<Presence>,
    blocks: VecDeque<WantedBlock>,
    queued: HashSet<Digest>,
    owner: Option<ConnectionId>,
}

/// A block that the peer wants.
#[derive(Clone, Debug)]
struct WantedBlock {
    cid: Cid,
    digest: Digest,
    send_dont_have: bool,
}

/// A block on its way out, for the books that are kept once it is sent.
struct Sent {
    cid: Cid,
    bytes: u64,
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.presences.is_empty() && self.blocks.is_empty()
    }
}

impl Link {
    pub(super) fn new(peer: PeerId, shared: Weak<Shared>) -> Self {
        Self {
            peer,
            shared,
            outbox: Mutex::default(),
            signal: wire::Signal::default(),
            kept: AtomicBool::new(false),
            unsupported: AtomicBool::new(false),
            traffic: Traffic::default(),
        }
    }

    /// Keeps the connection open while it is idle.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
        self.signal.wake();
    }

    pub(super) fn is_unsupported(&self) -> bool {
        self.unsupported.load(Ordering::Relaxed)
    }

    /// Asks the peer.
    pub(super) fn want(&self, cid: &Cid, want_type: WantType) {
        self.tell(Entry::want(cid, want_type));
    }

    /// Takes a want back.
    pub(super) fn cancel(&self, cid: &Cid) {
        self.tell(Entry::cancel(cid));
    }

    fn tell(&self, entry: Entry) {
        self.outbox.lock().entries.push_back(entry);
        self.signal.wake();
    }

    fn answer(&self, cid: &Cid, presence: PresenceType) {
        self.outbox.lock().presences.push_back(Presence::new(cid, presence));
        self.signal.wake();
    }

    /// Takes what is to be said next. Blocks are taken one by one later, as they are read.
    fn poll_message(&self, connection: ConnectionId, context: &mut Context<'_>) -> Poll<Message> {
        self.signal.register(connection, context);
        let mut outbox = self.outbox.lock();
        if outbox.is_empty() {
            return Poll::Pending;
        }
        let entries: Vec<Entry> = take(&mut outbox.entries, BATCH_ITEMS);
        let presences = take(&mut outbox.presences, BATCH_ITEMS);
        let wantlist = (!entries.is_empty()).then_some(Wantlist { entries, full: false });
        Poll::Ready(Message { wantlist, payload: Vec::new(), presences, pending_bytes: 0 })
    }

    fn next_block(&self) -> Option<WantedBlock> {
        let mut outbox = self.outbox.lock();
        let next = outbox.blocks.pop_front()?;
        outbox.queued.remove(&next.digest);
        Some(next)
    }

    async fn send_loop(self: Arc<Self>, connection: ConnectionId, mut stream: Stream) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            let next = std::future::poll_fn(|context| self.poll_message(connection, context));
            let mut message = match tokio::time::timeout(IDLE, next).await {
                Ok(message) => message,
                Err(_) if self.kept.load(Ordering::Relaxed) => {
                    std::future::poll_fn(|context| self.poll_message(connection, context)).await
                }
                Err(_) => return stream.close().await,
            };
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            let sent = self.add_blocks(&shared, &mut message).await;
            buffer.clear();
            frame::encode(&message, &mut buffer);
            let written = async {
                stream.write_all(&buffer).await?;
                stream.flush().await
            };
            tokio::time::timeout(SEND_TIMEOUT, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
            self.book_sent(&shared, &sent);
            if buffer.capacity() > 2 * BATCH_BYTES {
                buffer = BytesMut::new();
            }
        }
    }

    /// Fills a message with blocks up to [`BATCH_BYTES`]; wants that cannot be served become presences.
    async fn add_blocks(&self, shared: &Shared, message: &mut Message) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(wanted) = self.next_block()
        {
            let found = shared.blocks.get(wanted.digest).await.unwrap_or_else(|error| {
                tracing::error!(%error, cid = %wanted.cid, "cannot read a block that a peer wants");
                None
            });
            match found {
                Some(data) if shared.admits(self.peer, data.len() as u64).await => {
                    bytes += data.len();
                    sent.push(Sent { cid: wanted.cid, bytes: data.len() as u64 });
                    message.payload.push(Block::new(&wanted.cid, data));
                }
                Some(_) => message.presences.push(Presence::new(&wanted.cid, PresenceType::DontHave)),
                None if wanted.send_dont_have => {
                    message.presences.push(Presence::new(&wanted.cid, PresenceType::DontHave));
                }
                None => {}
            }
        }
        sent
    }

    fn book_sent(&self, shared: &Shared, sent: &[Sent]) {
        for block in sent {
            count(&self.traffic.blocks_sent);
            add(&self.traffic.bytes_sent, block.bytes);
            count(&shared.metrics.blocks_sent);
            add(&shared.metrics.block_bytes_sent, block.bytes);
            shared.event(|| ExchangeEvent::Sent { peer: self.peer, cid: block.cid, bytes: block.bytes });
        }
    }

    async fn receive_loop(self: Arc<Self>, mut stream: Stream) -> io::Result<()> {
        while let Some(message) = frame::read::<Message>(&mut stream, MAX_MESSAGE_BYTES).await? {
            let Some(shared) = self.shared.upgrade() else { break };
            if message.items() > MAX_ITEMS {
                return Err(frame::invalid(format!("message of {} items, at most {MAX_ITEMS}", message.items())));
            }
            if self.outbox.lock().presences.len() > MAX_QUEUED_ANSWERS {
                return Err(frame::invalid(format!("a want, and {MAX_QUEUED_ANSWERS} answers that are not read")));
            }
            for block in &message.payload {
                self.receive_block(&shared, block);
            }
            for presence in message.presences {
                if let Some((_, digest)) = read_cid(&presence.cid) {
                    shared.wants.presence(self.peer, digest, presence.presence == PresenceType::Have as i32);
                }
            }
            for entry in message.wantlist.map(|list| list.entries).unwrap_or_default() {
                self.receive_want(&shared, &entry).await;
            }
        }
        Ok(())
    }

    fn receive_block(&self, shared: &Shared, block: &Block) {
        let bytes = block.data.len() as u64;
        let digest = digest_of(&block.data);
        match shared.wants.arrived(self.peer, digest, &block.data) {
            Arrival::Wanted => {
                count(&self.traffic.blocks_received);
                add(&self.traffic.bytes_received, bytes);
                count(&shared.metrics.blocks_received);
                add(&shared.metrics.block_bytes_received, bytes);
                shared.paid_for(self.peer, bytes);
                shared.event(|| ExchangeEvent::Received { peer: self.peer, digest, bytes });
            }
            Arrival::Late => {
                count(&shared.metrics.spurious_blocks);
                shared.paid_for(self.peer, bytes);
            }
            Arrival::Unasked => {
                count(&shared.metrics.wrong_blocks);
                tracing::warn!(peer = %self.peer, ?digest, "a peer sent a block with a hash that nobody asked for");
                shared.wants.lost(self.peer, &WantEvent::Wrong(self.peer));
            }
        }
    }

    async fn receive_want(&self, shared: &Shared, entry: &Entry) {
        let Some((cid, digest)) = read_cid(&entry.cid) else { return };
        if entry.cancel {
            let mut outbox = self.outbox.lock();
            if outbox.queued.remove(&digest) {
                outbox.blocks.retain(|wanted| wanted.digest != digest);
            }
            return;
        }
        count(&shared.metrics.wants_received);
        let block = entry.want_type == WantType::Block as i32;
        shared.event(|| ExchangeEvent::Wanted { peer: self.peer, cid, block });
        if block {
            self.queue_block(WantedBlock { cid, digest, send_dont_have: entry.send_dont_have });
            return;
        }
        let have = shared.blocks.has(digest).await.unwrap_or(false);
        if have {
            self.answer(&cid, PresenceType::Have);
        } else if entry.send_dont_have {
            self.answer(&cid, PresenceType::DontHave);
        }
    }

    fn queue_block(&self, wanted: WantedBlock) {
        let mut outbox = self.outbox.lock();
        if outbox.queued.len() >= MAX_QUEUED_BLOCKS {
            drop(outbox);
            self.answer(&wanted.cid, PresenceType::DontHave);
            return;
        }
        if outbox.queued.insert(wanted.digest) {
            outbox.blocks.push_back(wanted);
        }
        drop(outbox);
        self.signal.wake();
    }
}

fn take<T>(queue: &mut VecDeque<T>, most: usize) -> Vec<T> {
    let count = queue.len().min(most);
    queue.drain(..count).collect()
}

impl wire::Link for Link {
    fn poll_wants_stream(&self, connection: ConnectionId, context: &mut Context<'_>) -> Poll<()> {
        self.signal.register(connection, context);
        let mut outbox = self.outbox.lock();
        let something = !outbox.is_empty() || self.kept.load(Ordering::Relaxed);
        if outbox.owner.is_some() || !something {
            return Poll::Pending;
        }
        outbox.owner = Some(connection);
        Poll::Ready(())
    }

    fn send(self: Arc<Self>, connection: ConnectionId, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        self.send_loop(connection, stream).boxed()
    }

    fn receive(self: Arc<Self>, stream: Stream) -> BoxFuture<'static, io::Result<()>> {
        self.receive_loop(stream).boxed()
    }

    fn stream_refused(&self, unsupported: bool) {
        self.unsupported.store(unsupported, Ordering::Relaxed);
        *self.outbox.lock() = Outbox::default();
        if let Some(shared) = self.shared.upgrade() {
            shared.wants.lost(self.peer, &WantEvent::Lost(self.peer));
        }
    }

    fn released(&self, connection: ConnectionId) {
        self.signal.forget(connection);
        let mut outbox = self.outbox.lock();
        if outbox.owner == Some(connection) {
            outbox.owner = None;
            drop(outbox);
            self.signal.wake();
        }
    }

    fn keep_alive(&self) -> bool {
        self.kept.load(Ordering::Relaxed) || !self.outbox.lock().is_empty()
    }
}
