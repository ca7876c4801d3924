//! What one download has learnt about its peers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use libp2p::PeerId;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;

use crate::content::Digest;

/// Peers that a session keeps; the worst one makes room.
const MAX_PEERS: usize = 32;

/// How often a session asks further peers whether they have what it needs, so that leechers find each other.
const WIDEN_EVERY: Duration = Duration::from_millis(500);

/// The peers of one download. Requests for blocks of the same dataset share a session, so that what one learns helps all.
#[derive(Debug)]
pub struct Session {
    /// What the session's peers announced, if anything: lookups in the DHT ask for this.
    root: Digest,
    state: Mutex<State>,
    /// Held while peers are looked for, so that a burst of requests causes one search.
    pub(super) search: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    peers: HashMap<PeerId, Score>,
    widened: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    in_flight: u32,
    blocks: f64,
    misses: f64,
    discovered: bool,
}

impl Score {
    fn reliability(&self) -> f64 {
        (self.blocks + 1.0) / (self.blocks + self.misses + 1.0)
    }
}

impl Session {
    /// A session for the dataset whose manifest (or whatever its holders announced) has this digest.
    pub fn new(root: Digest) -> Self {
        Self { root, state: Mutex::default(), search: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn root(&self) -> Digest {
        self.root
    }

    /// A peer has something of this dataset.
    pub(super) fn add(&self, peer: PeerId, discovered: bool) {
        let mut state = self.state.lock();
        if state.peers.len() >= MAX_PEERS
            && !state.peers.contains_key(&peer)
            && let Some(worst) = state.worst()
        {
            state.peers.remove(&worst);
        }
        let new = Score { in_flight: 0, blocks: 0.0, misses: 0.0, discovered };
        state.peers.entry(peer).or_insert(new);
    }

    /// The peer to ask next, other than those in `tried`: reliable and idle peers are likelier. The caller reports with
    /// [`Self::settle`].
    pub(super) fn pick(&self, tried: &HashSet<PeerId>) -> Option<PeerId> {
        let mut state = self.state.lock();
        let weight = |score: &Score| score.reliability().powi(2) / f64::from(1 + score.in_flight);
        let candidates: Vec<(PeerId, f64)> = state
            .peers
            .iter()
            .filter(|(peer, _)| !tried.contains(peer))
            .map(|(peer, score)| (*peer, weight(score)))
            .collect();
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        #[expect(
            clippy::disallowed_methods,
            reason = "which of several good peers is asked is no part of a run's plan"
        )]
        let mut draw = rand::rng().random::<f64>() * total;
        let mut picked = candidates.last()?.0;
        for (peer, weight) in candidates {
            draw -= weight;
            if draw <= 0.0 {
                picked = peer;
                break;
            }
        }
        state.peers.get_mut(&picked)?.in_flight += 1;
        Some(picked)
    }

    /// The request to a picked peer ended, with a block or without.
    pub(super) fn settle(&self, peer: PeerId, block: bool) {
        if let Some(score) = self.state.lock().peers.get_mut(&peer) {
            score.in_flight = score.in_flight.saturating_sub(1);
            // Old evidence fades, so that a peer that has caught up is asked again.
            (score.blocks, score.misses) = (score.blocks * 0.98, score.misses * 0.98);
            *(if block { &mut score.blocks } else { &mut score.misses }) += 1.0;
        }
    }

    /// A peer that is gone or lies.
    pub(super) fn drop_peer(&self, peer: PeerId) {
        self.state.lock().peers.remove(&peer);
    }

    /// Whether a lookup in the DHT brought the peer into the session.
    pub(super) fn was_discovered(&self, peer: &PeerId) -> bool {
        self.state.lock().peers.get(peer).is_some_and(|score| score.discovered)
    }

    /// Peers of `connected` that the session does not know, when it is time to ask some of them.
    pub(super) fn widen(&self, connected: &[PeerId], now: Instant) -> Vec<PeerId> {
        let mut state = self.state.lock();
        if state.widened.is_some_and(|last| now.duration_since(last) < WIDEN_EVERY) {
            return Vec::new();
        }
        // Not at once: the first block of a small download would pay for a search that it does not need.
        let first = state.widened.replace(now).is_none();
        if first {
            return Vec::new();
        }
        connected.iter().filter(|peer| !state.peers.contains_key(peer)).copied().take(8).collect()
    }
}

impl State {
    fn worst(&self) -> Option<PeerId> {
        let worst = self.peers.iter().min_by(|(_, a), (_, b)| a.reliability().total_cmp(&b.reliability()))?;
        Some(*worst.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::digest_of;

    #[test]
    fn reliable_peers_are_picked_more_often_and_tried_ones_never() {
        let session = Session::new(digest_of(b"root"));
        let (good, bad) = (PeerId::random(), PeerId::random());
        session.add(good, false);
        session.add(bad, true);
        (0..50).for_each(|_| {
            session.settle(good, true);
            session.settle(bad, false);
        });
        let picks = (0..200)
            .filter(|_| {
                let picked = session.pick(&HashSet::new()).unwrap();
                session.settle(picked, picked == good);
                picked == good
            })
            .count();
        assert!(picks > 150, "{picks} of 200");
        assert_eq!(session.pick(&HashSet::from([good])), Some(bad));
        assert_eq!(session.pick(&HashSet::from([good, bad])), None);
        assert!(session.was_discovered(&bad) && !session.was_discovered(&good));
    }

    #[test]
    fn a_session_keeps_a_bounded_number_of_peers() {
        let session = Session::new(digest_of(b"root"));
        (0..100).for_each(|_| session.add(PeerId::random(), false));
        assert_eq!(session.state.lock().peers.len(), MAX_PEERS);
    }
}
