//! Optimistic provide: store while looking, return early.
//!
//! Source: "Optimistic Provide" (INFOCOM 2024) as go-libp2p-kad-dht has it. With N peers spread evenly, the distance of the i-th
//! closest one to a key follows a gamma distribution of shape i and rate N. A peer nearer than the 10 % quantile of the k-th is
//! among the k closest with 90 % certainty and gets the record at once; the walk ends when the mean distance of the k closest
//! peers that were heard of is below the 90 % quantile for the middle one.

use std::collections::HashSet;

use statrs::distribution::{ContinuousCDF, Gamma};

use super::Engine;
use super::provide::{Returned, finish_sends};
use super::walk::Walk;
use crate::key::Point;

/// Certainty that a peer that gets a record early is among the closest.
const INDIVIDUAL_CERTAINTY: f64 = 0.9;

/// Strictness of ending the walk.
const SET_STRICTNESS: f64 = 0.1;

/// Share of the sends after which the call returns.
const RETURN_SHARE: f64 = 0.75;

/// Distances, as shares of the key space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    individual: f64,
    set: f64,
}

impl Thresholds {
    /// The thresholds for `k` in a network of `size` peers.
    pub(super) fn new(k: usize, size: f64) -> Option<Self> {
        let quantile = |shape: f64, p: f64| Gamma::new(shape, 1.0).ok().map(|gamma| gamma.inverse_cdf(p));
        let individual = quantile(k as f64, 1.0 - INDIVIDUAL_CERTAINTY)? / size;
        let set = quantile(k as f64 / 2.0 + 1.0, 1.0 - SET_STRICTNESS)? / size;
        Some(Self { individual, set })
    }
}

impl Engine {
    /// The thresholds, once the size of the network can be estimated.
    pub(super) fn thresholds(&self) -> Option<Thresholds> {
        self.network_size().and_then(|size| Thresholds::new(self.config.k, size))
    }

    pub(super) async fn provide_on_the_way(&self, walk: &mut Walk<'_>, thresholds: &Thresholds) -> Returned {
        let k = self.config.k;
        let mut sent = HashSet::new();
        let mut stop = |walk: &mut Walk<'_>, after: Option<u32>| {
            let target = *walk.frontier.target();
            let closest = walk.frontier.closest(k);
            let shares = walk.frontier.shares(k);
            for next in closest {
                let near = Point::of_peer(&next.peer.peer).distance(&target).share() <= thresholds.individual;
                if near && sent.insert(next.peer.peer) {
                    walk.mark_useful(next.parent);
                    walk.store(next, after);
                }
            }
            sent.len() >= k || shares.iter().sum::<f64>() / (k as f64) < thresholds.set && shares.len() >= k
        };
        let last = self.find_closest(walk, &mut stop).await;
        // The end of the question that ended it, on the same clock as the ends of the sends.
        let walked_ns = last.map_or(0, |hop| walk.hops[hop as usize].ended_ns);
        for next in walk.frontier.closest(k) {
            if sent.insert(next.peer.peer) {
                walk.mark_useful(next.parent);
                walk.store(next, last);
            }
        }
        let enough = ((k as f64 * RETURN_SHARE).ceil() as usize).min(sent.len());
        walk.all_sent().await;
        finish_sends(walk, Returned::After { count: enough, walked_ns }, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_quantiles_of_the_gamma_distribution() {
        // Chi-squared tables: half the 10 % quantile at 40 degrees of freedom (29.051), half the 90 % quantile at 22 (30.813).
        let thresholds = Thresholds::new(20, 1.0).unwrap();
        assert!((thresholds.individual - 14.5255).abs() < 1e-3, "{thresholds:?}");
        assert!((thresholds.set - 15.4066).abs() < 1e-3, "{thresholds:?}");
        let larger = Thresholds::new(20, 10_000.0).unwrap();
        assert!((larger.individual * 1e4 - thresholds.individual).abs() < 1e-9);
    }
}
