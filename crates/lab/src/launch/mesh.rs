//! Which node dials which.

use peermark_core::Seed;
use rand::seq::IteratorRandom;

/// The dials of a run: for every node the peers that it connects to and keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    dials: Vec<Vec<u32>>,
}

impl Topology {
    /// Draws `dials` different peers for each of `nodes` nodes by the seed; all others where there are fewer.
    pub fn draw(nodes: u32, dials: u32, seed: Seed) -> Self {
        let draw = |node: u32| {
            let mut stream = seed.stream_at("topology", u64::from(node));
            let mut peers: Vec<u32> = (0..nodes).filter(|peer| *peer != node).sample(&mut stream, dials as usize);
            peers.sort_unstable();
            peers
        };
        Self { dials: (0..nodes).map(draw).collect() }
    }

    /// The peers that a node dials.
    pub fn dials_of(&self, node: u32) -> &[u32] {
        self.dials.get(node as usize).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_dials_others_once() {
        let topology = Topology::draw(50, 8, Seed(3));
        for node in 0..50 {
            let dials = topology.dials_of(node);
            assert_eq!(dials.len(), 8);
            assert!(!dials.contains(&node));
            assert!(dials.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!(topology, Topology::draw(50, 8, Seed(3)));
        assert_ne!(topology, Topology::draw(50, 8, Seed(4)));
        assert_eq!(Topology::draw(3, 8, Seed(1)).dials_of(0), [1, 2]);
        assert!(Topology::draw(1, 8, Seed(1)).dials_of(0).is_empty());
    }
}
