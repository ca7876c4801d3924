//! The size of a network, estimated from how close the closest peers are.
//!
//! Source: go-libp2p-kad-dht's estimator. With N peers spread evenly over the key space, the i-th closest peer to any key is on
//! average i / (N + 1) of it away: a line through the origin over the mean distances has the slope 1 / (N + 1). Lookups whose
//! bucket is not full weigh less, by a factor of two per missing peer; ranks count by how much their distances spread.

use std::collections::VecDeque;

/// Lookups before there is an estimate.
const MIN_LOOKUPS: usize = 5;

/// Lookups that are remembered.
const MAX_LOOKUPS: usize = 150;

/// Distances of the closest peers of the last lookups.
#[derive(Clone, Debug)]
pub(super) struct NetworkSize {
    k: usize,
    lookups: VecDeque<(f64, Vec<f64>)>,
}

impl NetworkSize {
    pub(super) fn new(k: usize) -> Self {
        Self { k, lookups: VecDeque::new() }
    }

    /// Takes the distances of a lookup's `k` closest peers, as shares of the key space, nearest first; `peers` is how many the bucket
    /// of its key holds. A lookup that found fewer than `k` says nothing about the size.
    pub(super) fn track(&mut self, shares: &[f64], peers: usize) {
        if shares.len() != self.k {
            return;
        }
        if self.lookups.len() >= MAX_LOOKUPS {
            self.lookups.pop_front();
        }
        let missing = self.k.saturating_sub(peers).min(64);
        self.lookups.push_back((0.5_f64.powi(missing as i32), shares.to_vec()));
    }

    /// Peers in the network; `None` before five lookups.
    pub(super) fn estimate(&self) -> Option<f64> {
        if self.lookups.len() < MIN_LOOKUPS {
            return None;
        }
        let weights: f64 = self.lookups.iter().map(|(weight, _)| weight).sum();
        let (mut along, mut across) = (0.0, 0.0);
        for rank in 0..self.k {
            let mean = self.lookups.iter().map(|(weight, shares)| weight * shares[rank]).sum::<f64>() / weights;
            let spread =
                self.lookups.iter().map(|(weight, shares)| weight * (shares[rank] - mean).powi(2)).sum::<f64>();
            let deviation = (spread / weights).sqrt();
            let x = (rank + 1) as f64;
            along += deviation * x * mean;
            across += deviation * x * x;
        }
        let size = across / along - 1.0;
        (size.is_finite() && size >= 1.0).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::Seed;
    use rand::Rng;

    use super::*;

    #[test]
    fn a_network_of_known_size_is_estimated_within_a_tenth() {
        let mut random = Seed(7).stream("network size");
        for peers in [200_usize, 2_000, 20_000] {
            let mut sizes = NetworkSize::new(20);
            for _ in 0..MAX_LOOKUPS {
                let mut shares: Vec<f64> = (0..peers).map(|_| random.next_u64() as f64 / 2_f64.powi(64)).collect();
                shares.sort_by(f64::total_cmp);
                sizes.track(&shares[..20], 20);
            }
            let estimate = sizes.estimate().unwrap();
            assert!((estimate / peers as f64 - 1.0).abs() < 0.1, "{estimate} of {peers}");
        }
    }

    #[test]
    fn too_little_is_no_estimate() {
        let mut sizes = NetworkSize::new(2);
        for _ in 0..MIN_LOOKUPS - 1 {
            sizes.track(&[0.1, 0.2], 2);
        }
        sizes.track(&[0.1], 2);
        assert_eq!(sizes.estimate(), None);
        sizes.track(&[0.1, 0.2], 2);
        assert_eq!(sizes.estimate(), None, "equal distances have no spread to weigh by");
        sizes.track(&[0.05, 0.21], 2);
        assert!(sizes.estimate().is_some_and(|size| (5.0..15.0).contains(&size)));
    }
}
