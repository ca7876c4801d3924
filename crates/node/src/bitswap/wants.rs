//! The blocks that this node waits for, and who was asked for them.
//!
//! Several fetches of one block share one entry. Peers that were asked are remembered, so that a presence or a missing
//! connection reaches exactly the fetches that it concerns, and an answer from a peer that was never asked reaches nobody.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use libp2p::PeerId;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::content::Digest;

/// Peers that are asked for one block at most.
pub(super) const MAX_ASKED: usize = 64;

/// Room for every event that the asked peers can cause: one presence and one loss each, and the block.
const EVENTS: usize = 4 * MAX_ASKED;

/// Digests that were waited for lately: a block that comes late is no sign of ill will.
const RECENT: usize = 4096;

/// Something that happened to a want.
#[derive(Clone, Debug)]
pub(super) enum WantEvent {
    /// The block, verified, and who sent it.
    Block(PeerId, Bytes),
    /// The peer has it.
    Have(PeerId),
    /// The peer says that it does not have it, or will not give it.
    DontHave(PeerId),
    /// The peer is gone, or its stream broke.
    Lost(PeerId),
    /// The peer sent a block with another hash than any that was asked for.
    Wrong(PeerId),
}

/// What to make of a block that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was waited for and was handed over.
    Wanted,
    /// It was waited for lately: it came late or twice.
    Late,
    /// Nobody ever asked for it.
    Unasked,
}

#[derive(Debug, Default)]
pub(super) struct Wants {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wants: HashMap<Digest, Want>,
    recent: HashSet<Digest>,
    recent_order: VecDeque<Digest>,
    next_waiter: u64,
}

#[derive(Debug, Default)]
struct Want {
    waiters: Vec<Waiting>,
    /// Who was asked, and whether for the block itself.
    asked: HashMap<PeerId, bool>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    /// The one peer whose block counts, where it is not all the same.
    only: Option<PeerId>,
    events: mpsc::Sender<WantEvent>,
}

/// One fetch that waits for a block. Dropping it takes the want back.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    wants: &'a Wants,
    digest: Digest,
    id: u64,
    events: mpsc::Receiver<WantEvent>,
}

impl Wants {
    /// Starts to wait for a block, from whomever it comes or from one peer only.
    pub(super) fn wait(&self, digest: Digest, only: Option<PeerId>) -> Waiter<'_> {
        let (sender, events) = mpsc::channel(EVENTS);
        let mut state = self.state.lock();
        state.next_waiter += 1;
        let id = state.next_waiter;
        state.wants.entry(digest).or_default().waiters.push(Waiting { id, only, events: sender });
        Waiter { wants: self, digest, id, events }
    }

    /// Hands a verified block to everybody who waits for it from this peer.
    pub(super) fn arrived(&self, from: PeerId, digest: Digest, bytes: &Bytes) -> Arrival {
        let mut state = self.state.lock();
        let mut want = state.wants.remove(&digest).unwrap_or_default();
        want.asked.remove(&from);
        let counts = |waiting: &Waiting| waiting.only.is_none_or(|only| only == from);
        let (served, waiting): (Vec<_>, Vec<_>) = want.waiters.into_iter().partition(counts);
        want.waiters = waiting;
        if !want.waiters.is_empty() {
            state.wants.insert(digest, want);
        }
        if served.is_empty() {
            return if state.recent.contains(&digest) { Arrival::Late } else { Arrival::Unasked };
        }
        state.remember(digest);
        tell(&served, &WantEvent::Block(from, bytes.clone()));
        Arrival::Wanted
    }

    /// A peer's word on a block. Ignored unless the peer was asked.
    pub(super) fn presence(&self, from: PeerId, digest: Digest, have: bool) {
        let mut state = self.state.lock();
        let Some(want) = state.wants.get_mut(&digest).filter(|want| want.asked.contains_key(&from)) else { return };
        if !have {
            // That was its last word: who wants to hear another one has to ask again.
            want.asked.remove(&from);
        }
        tell(&want.waiters, &if have { WantEvent::Have(from) } else { WantEvent::DontHave(from) });
    }

    /// A peer that cannot answer any more, or whose answers are not to be trusted: `event` is told to all who asked it.
    pub(super) fn lost(&self, peer: PeerId, event: &WantEvent) {
        let mut state = self.state.lock();
        for want in state.wants.values_mut() {
            if want.asked.remove(&peer).is_some() {
                tell(&want.waiters, event);
            }
        }
    }
}

impl State {
    fn remember(&mut self, digest: Digest) {
        if self.recent.insert(digest) {
            self.recent_order.push_back(digest);
        }
        if self.recent_order.len() > RECENT
            && let Some(oldest) = self.recent_order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }
}

/// A waiter that is gone needs no events, and the channel holds every event that the asked peers can cause.
fn tell(waiters: &[Waiting], event: &WantEvent) {
    waiters.iter().for_each(|waiting| drop(waiting.events.try_send(event.clone())));
}

impl Waiter<'_> {
    /// Notes that a peer is asked whether it has the block. `false` when it was already asked, or when enough are.
    pub(super) fn ask(&self, peer: PeerId) -> bool {
        let mut state = self.wants.state.lock();
        let Some(want) = state.wants.get_mut(&self.digest) else { return false };
        if want.asked.len() >= MAX_ASKED || want.asked.contains_key(&peer) {
            return false;
        }
        want.asked.insert(peer, false).is_none()
    }

    /// Notes that a peer is asked for the block. `false` when it is on its way already: its answer reaches all who wait.
    pub(super) fn ask_block(&self, peer: PeerId) -> bool {
        let mut state = self.wants.state.lock();
        let Some(want) = state.wants.get_mut(&self.digest) else { return false };
        want.asked.insert(peer, true) != Some(true)
    }

    /// Notes that a peer's answer is waited for no longer. `false` when others still wait for it.
    pub(super) fn give_up(&self, peer: PeerId) -> bool {
        let mut state = self.wants.state.lock();
        let Some(want) = state.wants.get_mut(&self.digest) else { return false };
        want.waiters.len() == 1 && want.asked.remove(&peer).is_some()
    }

    /// The next event. Waits for ever when nobody was asked. Safe to cancel.
    pub(super) async fn next(&mut self) -> WantEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The senders went with the want when its block came; whoever waits on after that has not read its events.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.wants.state.lock();
        if let Some(want) = state.wants.get_mut(&self.digest) {
            want.waiters.retain(|waiting| waiting.id != self.id);
            if want.waiters.is_empty() {
                state.wants.remove(&self.digest);
                state.remember(self.digest);
            }
        }
    }
}
