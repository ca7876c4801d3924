//! A million reports with the noise of the adversary suite.

use peermark_core::Seed;
use peermark_judge::Fixed;
use peermark_judge::robust::Observation;
use peermark_judge::verdict::Tally;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// Seats of a committee.
const SEATS: u32 = 31;

/// Committees: as many as make a million reports.
const COMMITTEES: u32 = 1_000_000_u32.div_ceil(SEATS);

/// Attesters, each a group of its own.
const ATTESTERS: u32 = 4_000;

/// One attester in this many lies about one hoster in five.
const LIARS_PER: u32 = 5;

/// Probes behind a report.
const PROBES: u64 = 30;

/// Standard deviations of the noise of a group, of a path and of one probe, natural logarithms.
const GROUP_SD: f64 = 0.25;
const PATH_SD: f64 = 0.15;
const SAMPLE_SD: f64 = 0.15;

/// The promised rate.
pub(super) const PROMISED_BITS_PER_S: u64 = 100_000_000;

pub(super) struct World {
    pub(super) hosters: u32,
    pub(super) groups: Vec<u32>,
    pub(super) reports: Vec<(Observation, Tally)>,
}

impl World {
    pub(super) fn new(seed: Seed) -> Self {
        let mut rng = seed.stream("bench.judge");
        let normal = |rng: &mut dyn Rng| -> f64 { StandardNormal.sample(rng) };
        let promised = (PROMISED_BITS_PER_S as f64).ln();
        let effects: Vec<f64> = (0..ATTESTERS).map(|_| GROUP_SD * normal(&mut rng)).collect();
        let mut pool: Vec<u32> = (0..ATTESTERS).collect();
        let mut reports = Vec::with_capacity((COMMITTEES * SEATS) as usize);
        for hoster in 0..COMMITTEES {
            // Natural logarithms: 10 to 1000 Mbit/s.
            let rate = 1e7_f64.ln() + rng.random::<f64>() * 100_f64.ln();
            let lie = if hoster % 5 == 0 { 4_f64.ln() } else { 0.0 };
            for attester in pool.partial_shuffle(&mut rng, SEATS as usize).0.iter() {
                let path = PATH_SD * normal(&mut rng);
                let lied = if attester % LIARS_PER == 0 { lie } else { 0.0 };
                let level = rate + effects[*attester as usize] + path + lied;
                let mut probes = [0.0; PROBES as usize];
                probes.iter_mut().for_each(|probe| *probe = level + SAMPLE_SD * normal(&mut rng));
                // What is reported is the median of the probes, and how many of the same probes reached what was promised.
                let met = probes.iter().filter(|probe| **probe >= promised).count() as u64;
                let median = *probes.select_nth_unstable_by(PROBES as usize / 2, f64::total_cmp).1;
                let value = Fixed::log2(median.exp() as u64).unwrap_or_default();
                reports.push((
                    Observation { hoster, attester: *attester, value },
                    Tally { group: *attester, met, of: PROBES },
                ));
            }
        }
        Self { hosters: COMMITTEES, groups: (0..ATTESTERS).collect(), reports }
    }

    pub(super) fn shuffled(&self, seed: Seed) -> Vec<(Observation, Tally)> {
        let mut reports = self.reports.clone();
        reports.shuffle(&mut seed.stream("bench.judge.order"));
        reports
    }

    /// What the figures are about.
    pub(super) fn shape(&self) -> String {
        format!(
            "{} reports of {COMMITTEES} committees of {SEATS} from {ATTESTERS} attesters, one in {LIARS_PER} of whom lies x4 for one hoster \
             in five; the median of {PROBES} probes each, \
             of which those count as met that reach {} Mbit/s; robust fit, one level and one share verdict per committee",
            self.reports.len(),
            PROMISED_BITS_PER_S / 1_000_000,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Report = (Observation, Tally);

    /// Half the hosters' rates lie on either side of the promise, so neither verdict is everybody's, and a report that says more met more.
    #[test]
    fn probes_meet_the_promise_by_their_rate() {
        let world = World::new(Seed(1));
        let promised = Fixed::log2(PROMISED_BITS_PER_S).unwrap();
        let (above, below): (Vec<&Report>, Vec<&Report>) =
            world.reports.iter().partition(|report| report.0.value >= promised);
        let share = above.len() as f64 / world.reports.len() as f64;
        assert!((0.4..0.6).contains(&share), "{share}");
        assert!(
            above.iter().all(|report| 2 * report.1.met >= PROBES)
                && below.iter().all(|report| 2 * report.1.met <= PROBES + 1)
        );
    }
}
