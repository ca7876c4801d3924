//! The routing table of the lookup engine: peers that answered, in buckets by their distance.

use libp2p::{Multiaddr, PeerId};

use crate::key::Point;
use crate::wire::PeerAddresses;

/// Peers that the full table of a crawl may hold. Amino has some 10,000 servers.
const MAX_CRAWLED: usize = 200_000;

/// A peer that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    peer: PeerId,
    point: Point,
    addresses: Vec<Multiaddr>,
    failures: u8,
}

/// Peers by bucket: at most `k` for each number of leading bits in common with the local node. Without a bound per bucket it holds
/// a whole network.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    local: Point,
    per_bucket: usize,
    buckets: Vec<Vec<Entry>>,
}

impl Table {
    /// An empty table of the node at `local`, with `k` peers a bucket.
    pub(crate) fn new(local: Point, k: usize) -> Self {
        Self { local, per_bucket: k, buckets: vec![Vec::new(); 256] }
    }

    /// An empty table for every peer of a network.
    pub(crate) fn whole(local: Point) -> Self {
        Self::new(local, MAX_CRAWLED)
    }

    /// Takes a peer that answered. One that is known gets its new addresses; in a full bucket it replaces a peer that failed lately,
    /// and is left out otherwise: who has been there longest stays.
    pub(crate) fn insert(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        let (point, limit) = (Point::of_peer(&peer), self.per_bucket);
        let Some(bucket) = self.bucket(&point) else { return };
        if let Some(known) = bucket.iter_mut().find(|entry| entry.peer == peer) {
            known.failures = 0;
            if !addresses.is_empty() {
                known.addresses = addresses.to_vec();
            }
            return;
        }
        let entry = Entry { peer, point, addresses: addresses.to_vec(), failures: 0 };
        if bucket.len() < limit {
            bucket.push(entry);
        } else if let Some(failing) = bucket.iter_mut().find(|entry| entry.failures > 0) {
            *failing = entry;
        }
    }

    /// A peer failed to answer. At the second time in a row it goes.
    pub(crate) fn failed(&mut self, peer: &PeerId) {
        let point = Point::of_peer(peer);
        let Some(bucket) = self.bucket(&point) else { return };
        if let Some(entry) = bucket.iter_mut().find(|entry| entry.peer == *peer) {
            entry.failures += 1;
        }
        bucket.retain(|entry| entry.failures < 2);
    }

    /// The `count` peers nearest to `target`, nearest first.
    pub(crate) fn closest(&self, target: &Point, count: usize) -> Vec<PeerAddresses> {
        let mut all: Vec<_> =
            self.buckets.iter().flatten().map(|entry| (entry.point.distance(target), entry)).collect();
        if all.len() > count && count > 0 {
            all.select_nth_unstable_by_key(count - 1, |(distance, _)| *distance);
            all.truncate(count);
        }
        all.sort_unstable_by_key(|(distance, _)| *distance);
        let found = all.into_iter().take(count);
        found.map(|(_, entry)| PeerAddresses { peer: entry.peer, addresses: entry.addresses.clone() }).collect()
    }

    /// Peers in the table.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// Peers with so many leading bits in common with the local node.
    pub(crate) fn len_at(&self, common_bits: u16) -> usize {
        self.buckets.get(usize::from(common_bits)).map_or(0, Vec::len)
    }

    /// The deepest bucket that has a peer.
    pub(crate) fn depth(&self) -> Option<u16> {
        self.buckets.iter().rposition(|bucket| !bucket.is_empty()).map(|depth| depth as u16)
    }

    /// The bucket of a point; `None` for the local node's own.
    fn bucket(&mut self, point: &Point) -> Option<&mut Vec<Entry>> {
        self.buckets.get_mut(usize::from(self.local.distance(point).common_bits()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_come_nearest_first() {
        let local = PeerId::random();
        let mut table = Table::whole(Point::of_peer(&local));
        let peers: Vec<_> = (0..200).map(|_| PeerId::random()).collect();
        peers.iter().for_each(|peer| table.insert(*peer, &[]));
        table.insert(local, &[]);
        assert_eq!(table.len(), 200, "a node is not in its own table");
        let target = Point::of_peer(&PeerId::random());
        let mut expected = peers;
        expected.sort_by_key(|peer| Point::of_peer(peer).distance(&target));
        let found: Vec<_> = table.closest(&target, 20).into_iter().map(|found| found.peer).collect();
        assert_eq!(found, expected[..20]);
        assert_eq!(table.closest(&target, 1000).len(), 200);
        assert!(table.closest(&target, 0).is_empty());
    }

    #[test]
    fn buckets_are_bounded_and_keep_who_answers() {
        let mut table = Table::new(Point::of_peer(&PeerId::random()), 3);
        let peers: Vec<_> = (0..400).map(|_| PeerId::random()).collect();
        peers.iter().for_each(|peer| table.insert(*peer, &[]));
        assert_eq!(table.len_at(0), 3);
        let target = Point::of_peer(&peers[0]);
        let before = table.closest(&target, 500);
        table.failed(&before[0].peer);
        assert_eq!(table.len(), before.len(), "one failure is forgiven");
        table.failed(&before[0].peer);
        assert_eq!(table.len(), before.len() - 1);
    }
}
