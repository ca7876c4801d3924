//! Getting one block: from the store, from a peer of the session, from a connected peer that has it, from a provider in the DHT.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use libp2p::PeerId;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::exchange::{Exchange, Shared};
use super::message::WantType;
use super::session::Session;
use super::wants::{MAX_ASKED, Waiter, WantEvent};
use crate::blocks::BlocksError;
use crate::content::{Digest, InvalidCid};
use crate::metrics::count;

/// How long one peer may take for one block before another one is asked.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long connected peers may take to say whether they have a block.
const PRESENCE: Duration = Duration::from_millis(500);

/// Searches for a block before it counts as not found, with pauses of [`RETRY_PAUSE`] and twice that between them.
const SEARCHES: u32 = 3;

const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Providers of one lookup that are tried.
const MAX_PROVIDERS: usize = 16;

/// Why a block could not be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The CID cannot be served by anybody through this node.
    #[error(transparent)]
    Cid(#[from] InvalidCid),
    /// Nobody who could be reached has it.
    #[error("block not found: {asked} connected peers asked, {providers} providers tried")]
    NotFound {
        /// Connected peers that were asked, over all searches.
        asked: usize,
        /// Providers from the DHT that were tried, over all searches.
        providers: usize,
    },
    /// The peer that was to send it said that it does not have it, or will not give it.
    #[error("peer {peer} does not serve the block")]
    Refused {
        /// The peer.
        peer: PeerId,
    },
    /// The peer sent something else in its place.
    #[error("peer {peer} sent a block with the wrong hash")]
    Wrong {
        /// The peer.
        peer: PeerId,
    },
    /// The peer that was to send it is not connected, or the connection broke.
    #[error("connection to peer {peer} lost")]
    Lost {
        /// The peer.
        peer: PeerId,
    },
    /// No block before the deadline.
    #[error("deadline passed while waiting for a block")]
    Deadline,
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] BlocksError),
}

/// How an attempt with one peer ended.
enum Attempt {
    Block(PeerId, Bytes),
    NoBlock(FetchError),
}

/// One block's way in.
struct Fetch<'a> {
    shared: &'a Shared,
    session: &'a Session,
    cid: Cid,
    deadline: Instant,
    waiter: Waiter<'a>,
    tried: HashSet<PeerId>,
    asked: usize,
    providers: usize,
    last_failure: Option<FetchError>,
}

impl Exchange {
    /// A verified block, from the store or from whoever has it; fetched blocks are kept as cache.
    ///
    /// # Errors
    /// [`FetchError`], at the latest at the deadline.
    pub async fn fetch(&self, cid: Cid, session: &Session, deadline: Instant) -> Result<Bytes, FetchError> {
        let digest = Digest::of_cid(&cid)?;
        if let Some(bytes) = self.shared.blocks.get(digest).await? {
            return Ok(bytes);
        }
        self.fetch_remote(cid, digest, session, deadline).await
    }

    /// As [`Self::fetch`], for a block that is known not to be in the store.
    async fn fetch_remote(
        &self,
        cid: Cid,
        digest: Digest,
        session: &Session,
        deadline: Instant,
    ) -> Result<Bytes, FetchError> {
        let shared = &*self.shared;
        let started = Instant::now();
        let waiter = shared.wants.wait(digest, None);
        let fetch = Fetch {
            shared,
            session,
            cid,
            deadline,
            waiter,
            tried: HashSet::new(),
            asked: 0,
            providers: 0,
            last_failure: None,
        };
        let (peer, bytes) = timeout_at(deadline, fetch.run()).await.map_err(|_| FetchError::Deadline)??;
        shared.metrics.block_fetched(started.elapsed());
        if session.was_discovered(&peer) {
            count(&shared.metrics.blocks_from_discovery);
        }
        shared.blocks.keep_soon(digest, bytes.clone()).await?;
        Ok(bytes)
    }

    /// A verified block from one chosen peer and nobody else, whatever the store holds. Not kept.
    ///
    /// # Errors
    /// [`FetchError`], at the latest at the deadline.
    pub async fn fetch_from(&self, peer: PeerId, cid: Cid, deadline: Instant) -> Result<Bytes, FetchError> {
        let digest = Digest::of_cid(&cid)?;
        let shared = &*self.shared;
        let mut waiter = shared.wants.wait(digest, Some(peer));
        let started = Instant::now();
        match attempt(shared, &mut waiter, peer, &cid, deadline, |_| ()).await {
            Attempt::Block(_, bytes) => {
                shared.metrics.block_fetched(started.elapsed());
                Ok(bytes)
            }
            Attempt::NoBlock(failure) => Err(failure),
        }
    }
}

impl Fetch<'_> {
    async fn run(mut self) -> Result<(PeerId, Bytes), FetchError> {
        let mut pause = RETRY_PAUSE;
        for search in 0..SEARCHES {
            if search > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
                self.tried.clear();
            }
            if let Some(found) = self.try_session().await {
                return Ok(found);
            }
            let guard = self.session.search.lock().await;
            // Whoever held the search before may have found the peers that are needed here.
            let mut found = self.try_session().await;
            if found.is_none() {
                found = self.ask_connected().await;
            }
            if found.is_none() {
                found = self.try_providers().await;
            }
            drop(guard);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        match self.last_failure {
            Some(failure @ FetchError::Wrong { .. }) => Err(failure),
            _ => Err(FetchError::NotFound { asked: self.asked, providers: self.providers }),
        }
    }

    /// Asks the session's peers one after the other.
    async fn try_session(&mut self) -> Option<(PeerId, Bytes)> {
        while let Some(peer) = self.session.pick(&self.tried) {
            self.tried.insert(peer);
            self.widen();
            if let Some(found) = self.try_peer(peer).await {
                return Some(found);
            }
        }
        None
    }

    /// Now and then asks further peers whether they have the block; those that do join the session.
    fn widen(&self) {
        let connected = self.shared.peers();
        for peer in self.session.widen(&connected, Instant::now()) {
            if self.waiter.ask(peer) {
                self.shared.ask(&peer, &self.cid, WantType::Have);
            }
        }
    }

    async fn try_peer(&mut self, peer: PeerId) -> Option<(PeerId, Bytes)> {
        let deadline = self.deadline.min(Instant::now() + ATTEMPT);
        let session = self.session;
        let found =
            attempt(self.shared, &mut self.waiter, peer, &self.cid, deadline, |other| session.add(other, false)).await;
        match found {
            Attempt::Block(from, bytes) => {
                session.settle(peer, from == peer);
                Some((from, bytes))
            }
            Attempt::NoBlock(failure) => {
                session.settle(peer, false);
                if matches!(failure, FetchError::Lost { .. } | FetchError::Wrong { .. }) {
                    session.drop_peer(peer);
                }
                self.last_failure = Some(failure);
                None
            }
        }
    }

    /// Asks connected peers whether they have the block, and fetches it from the first that does.
    async fn ask_connected(&mut self) -> Option<(PeerId, Bytes)> {
        let mut open = HashSet::new();
        for peer in self.shared.peers().into_iter().filter(|peer| !self.tried.contains(peer)).take(MAX_ASKED) {
            if self.waiter.ask(peer) && self.shared.ask(&peer, &self.cid, WantType::Have) {
                open.insert(peer);
            }
        }
        self.asked += open.len();
        let until = self.deadline.min(Instant::now() + PRESENCE);
        while !open.is_empty() {
            match timeout_at(until, self.waiter.next()).await {
                Ok(WantEvent::Have(peer)) => {
                    self.session.add(peer, false);
                    self.tried.insert(peer);
                    if let Some(found) = self.try_peer(peer).await {
                        return Some(found);
                    }
                    open.remove(&peer);
                }
                Ok(WantEvent::Block(peer, bytes)) => return Some((peer, bytes)),
                Ok(WantEvent::DontHave(peer) | WantEvent::Lost(peer) | WantEvent::Wrong(peer)) => {
                    open.remove(&peer);
                }
                Err(_) => break,
            }
        }
        None
    }

    /// Looks for providers in the DHT and tries them as they are found.
    async fn try_providers(&mut self) -> Option<(PeerId, Bytes)> {
        let discovery = self.shared.discovery()?.clone();
        let mut providers = discovery.providers(self.session.root());
        let mut seen = 0;
        while let Some(peer) = providers.recv().await {
            seen += 1;
            if seen > MAX_PROVIDERS {
                break;
            }
            if !self.tried.insert(peer) || !discovery.connect(peer).await {
                continue;
            }
            self.providers += 1;
            self.session.add(peer, true);
            if let Some(found) = self.try_peer(peer).await {
                return Some(found);
            }
        }
        None
    }
}

/// Asks one peer for the block and waits for its answer. Words of other peers go to `has_it`.
async fn attempt(
    shared: &Shared,
    waiter: &mut Waiter<'_>,
    peer: PeerId,
    cid: &Cid,
    deadline: Instant,
    has_it: impl Fn(PeerId),
) -> Attempt {
    if waiter.ask_block(peer) && !shared.ask(&peer, cid, WantType::Block) {
        waiter.give_up(peer);
        return Attempt::NoBlock(FetchError::Lost { peer });
    }
    loop {
        match timeout_at(deadline, waiter.next()).await {
            Ok(WantEvent::Block(from, bytes)) => return Attempt::Block(from, bytes),
            Ok(WantEvent::DontHave(from)) if from == peer => return Attempt::NoBlock(FetchError::Refused { peer }),
            Ok(WantEvent::Wrong(from)) if from == peer => return Attempt::NoBlock(FetchError::Wrong { peer }),
            Ok(WantEvent::Lost(from)) if from == peer => return Attempt::NoBlock(FetchError::Lost { peer }),
            Ok(WantEvent::Have(from)) => has_it(from),
            Ok(_) => {}
            Err(_) => {
                if waiter.give_up(peer)
                    && let Some(link) = shared.link(&peer)
                {
                    link.cancel(cid);
                }
                return Attempt::NoBlock(FetchError::Deadline);
            }
        }
    }
}
