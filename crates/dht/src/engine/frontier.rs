//! Which peers a lookup knows and whom it asks next. No I/O: what a lookup decides can be tested without a network.
//!
//! Kademlia as Go's DHT runs it: ask the nearest peers that were heard of, `alpha` at once; it is settled once the `beta` nearest
//! that did not fail have all answered.

use std::collections::BTreeMap;

use libp2p::PeerId;

use crate::key::{Distance, Point};
use crate::wire::PeerAddresses;

/// Peers that one lookup remembers. A lookup in a network of 10,000 hears of some hundred; beyond this the farthest are forgotten.
const MAX_PEERS: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Heard,
    Waiting,
    Answered,
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    peer: PeerAddresses,
    state: State,
    parent: Option<u32>,
}

/// A peer to ask.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) peer: PeerAddresses,
    /// The hop that told of it.
    pub(super) parent: Option<u32>,
}

/// The peers of one lookup by their distance to its target.
#[derive(Clone, Debug)]
pub(super) struct Frontier {
    local: PeerId,
    target: Point,
    peers: BTreeMap<Distance, Candidate>,
}

impl Frontier {
    pub(super) fn new(local: PeerId, target: Point) -> Self {
        Self { local, target, peers: BTreeMap::new() }
    }

    pub(super) fn target(&self) -> &Point {
        &self.target
    }

    fn distance(&self, peer: &PeerId) -> Distance {
        Point::of_peer(peer).distance(&self.target)
    }

    /// Hears of peers, from a hop or from the routing table. Returns how many were new.
    pub(super) fn hear(&mut self, peers: Vec<PeerAddresses>, parent: Option<u32>) -> u16 {
        let mut new = 0;
        for peer in peers {
            if peer.peer == self.local {
                continue;
            }
            let distance = self.distance(&peer.peer);
            self.peers.entry(distance).or_insert_with(|| {
                new += 1;
                Candidate { peer, state: State::Heard, parent }
            });
        }
        while self.peers.len() > MAX_PEERS {
            self.peers.pop_last();
        }
        new
    }

    /// The nearest peer that was not asked yet, which now is.
    pub(super) fn next(&mut self) -> Option<Next> {
        self.next_among(usize::MAX)
    }

    /// The same, as long as it is one of the `nearest` that did not fail.
    pub(super) fn next_among(&mut self, nearest: usize) -> Option<Next> {
        let mut alive = self.peers.values_mut().filter(|candidate| candidate.state != State::Failed).take(nearest);
        let next = alive.find(|candidate| candidate.state == State::Heard)?;
        next.state = State::Waiting;
        Some(Next { peer: next.peer.clone(), parent: next.parent })
    }

    pub(super) fn answered(&mut self, peer: &PeerId) {
        self.set(peer, State::Answered);
    }

    pub(super) fn failed(&mut self, peer: &PeerId) {
        self.set(peer, State::Failed);
    }

    fn set(&mut self, peer: &PeerId, state: State) {
        let distance = self.distance(peer);
        if let Some(candidate) = self.peers.get_mut(&distance) {
            candidate.state = state;
        }
    }

    /// Whether the `beta` nearest that did not fail have all answered. Without any there is nothing left to ask.
    pub(super) fn is_settled(&self, beta: usize) -> bool {
        self.alive().take(beta).all(|candidate| candidate.state == State::Answered)
    }

    /// The `k` nearest that did not fail, with the hop that told of each.
    pub(super) fn closest(&self, k: usize) -> Vec<Next> {
        let closest = self.alive().take(k);
        closest.map(|candidate| Next { peer: candidate.peer.clone(), parent: candidate.parent }).collect()
    }

    /// Distances of the `k` nearest that did not fail, as shares of the key space.
    pub(super) fn shares(&self, k: usize) -> Vec<f64> {
        let alive = self.peers.iter().filter(|(_, candidate)| candidate.state != State::Failed);
        alive.take(k).map(|(distance, _)| distance.share()).collect()
    }

    fn alive(&self) -> impl Iterator<Item = &Candidate> {
        self.peers.values().filter(|candidate| candidate.state != State::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(count: usize) -> Vec<PeerAddresses> {
        (0..count).map(|_| PeerAddresses { peer: PeerId::random(), addresses: vec![] }).collect()
    }

    fn frontier(known: &[PeerAddresses]) -> Frontier {
        let mut frontier = Frontier::new(PeerId::random(), Point::of_peer(&PeerId::random()));
        frontier.hear(known.to_vec(), None);
        frontier
    }

    #[test]
    fn the_nearest_is_asked_first_and_once() {
        let mut frontier = frontier(&peers(10));
        let target = *frontier.target();
        let asked: Vec<_> = std::iter::from_fn(|| frontier.next()).map(|next| next.peer.peer).collect();
        assert_eq!(asked.len(), 10);
        assert!(asked.is_sorted_by_key(|peer| Point::of_peer(peer).distance(&target)));
    }

    #[test]
    fn it_is_settled_by_the_nearest_that_live() {
        let mut frontier = frontier(&peers(5));
        let order: Vec<_> = frontier.closest(5).into_iter().map(|next| next.peer.peer).collect();
        while frontier.next().is_some() {}
        frontier.answered(&order[0]);
        frontier.answered(&order[2]);
        frontier.answered(&order[3]);
        assert!(!frontier.is_settled(3), "the second nearest may still answer");
        frontier.failed(&order[1]);
        assert!(frontier.is_settled(3));
        assert!(!frontier.is_settled(4));
    }

    #[test]
    fn a_peer_is_new_once_and_the_asking_node_never() {
        let mut frontier = frontier(&[]);
        assert!(frontier.is_settled(3), "nobody is left to ask");
        let known = peers(3);
        let local = PeerAddresses { peer: frontier.local, addresses: vec![] };
        assert_eq!(frontier.hear(known.clone(), Some(1)), 3);
        assert_eq!(frontier.hear([known, vec![local]].concat(), Some(2)), 0);
        assert_eq!(frontier.next().and_then(|next| next.parent), Some(1));
    }

    #[test]
    fn memory_is_bounded_and_the_nearest_stay() {
        let known = peers(MAX_PEERS + 500);
        let frontier = frontier(&known);
        assert_eq!(frontier.peers.len(), MAX_PEERS);
        let nearest = known.iter().map(|known| frontier.distance(&known.peer)).min();
        assert_eq!(frontier.peers.keys().next().copied(), nearest);
    }
}
