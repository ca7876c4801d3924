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
    waiters: Vec<(u64, mpsc::Sender<WantEvent>)>,
    asked: HashSet<PeerId>,
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
    /// Starts to wait for a block.
    pub(super) fn wait(&self, digest: Digest) -> Waiter<'_> {
        let (sender, events) = mpsc::channel(EVENTS);
        let mut state = self.state.lock();
        state.next_waiter += 1;
        let id = state.next_waiter;
        state.wants.entry(digest).or_default().waiters.push((id, sender));
        Waiter { wants: self, digest, id, events }
    }

    /// Hands a verified block to everybody who waits for it.
    pub(super) fn arrived(&self, from: PeerId, digest: Digest, bytes: &Bytes) -> Arrival {
        let mut state = self.state.lock();
        let Some(want) = state.wants.remove(&digest) else {
            return if state.recent.contains(&digest) { Arrival::Late } else { Arrival::Unasked };
        };
        state.remember(digest);
        tell(&want, &WantEvent::Block(from, bytes.clone()));
        Arrival::Wanted
    }

    /// A peer's word on a block. Ignored unless the peer was asked.
    pub(super) fn presence(&self, from: PeerId, digest: Digest, have: bool) {
        let state = self.state.lock();
        if let Some(want) = state.wants.get(&digest).filter(|want| want.asked.contains(&from)) {
            tell(want, &if have { WantEvent::Have(from) } else { WantEvent::DontHave(from) });
        }
    }

    /// A peer that cannot answer any more, or whose answers are not to be trusted: `event` is told to all who asked it.
    pub(super) fn lost(&self, peer: PeerId, event: &WantEvent) {
        let mut state = self.state.lock();
        for want in state.wants.values_mut() {
            if want.asked.remove(&peer) {
                tell(want, event);
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
fn tell(want: &Want, event: &WantEvent) {
    want.waiters.iter().for_each(|(_, sender)| drop(sender.try_send(event.clone())));
}

impl Waiter<'_> {
    /// Notes that a peer is asked. `false` when it was already, or when enough are.
    pub(super) fn ask(&self, peer: PeerId) -> bool {
        let mut state = self.wants.state.lock();
        let Some(want) = state.wants.get_mut(&self.digest) else { return false };
        want.asked.len() < MAX_ASKED && want.asked.insert(peer)
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
            want.waiters.retain(|(id, _)| *id != self.id);
            if want.waiters.is_empty() {
                state.wants.remove(&self.digest);
                state.remember(self.digest);
            }
        }
    }
}
