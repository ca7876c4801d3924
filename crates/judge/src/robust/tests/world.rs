//! A small simulated world whose truth is known.

use peermark_core::Seed;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::fixed::Fixed;
use crate::robust::Observation;

/// What liars do to the logarithm (natural) of what they measured of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lie {
    /// Times or divided by so much, in every epoch.
    Factor(f64),
    /// The same in one of five epochs.
    OnOff(f64),
    /// All of them repeat what everybody found in the epoch before.
    Lazy,
    /// Each repeats another member of the committee.
    Copy,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) hosters: usize,
    pub(super) attesters: usize,
    pub(super) committee: usize,
    /// Natural logarithm of what is true.
    pub(super) truth: Vec<f64>,
    /// 1 for friends of the liars, -1 for victims, 0 for others.
    pub(super) side: Vec<f64>,
    pub(super) liars: usize,
    pub(super) lie: Lie,
    effects: Vec<f64>,
    pairs: Vec<f64>,
    seed: Seed,
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

impl World {
    pub(super) fn new(seed: u64, liar_share: f64, lie: Lie) -> Self {
        Self::sized(seed, (30, 120, 31), liar_share, lie)
    }

    pub(super) fn sized(
        seed: u64,
        (hosters, attesters, committee): (usize, usize, usize),
        liar_share: f64,
        lie: Lie,
    ) -> Self {
        let seed = Seed(seed);
        let mut rng = seed.stream("world");
        let truth = (0..hosters).map(|_| 10_f64.ln() + rng.random::<f64>() * 100_f64.ln()).collect();
        let fifth = hosters / 5;
        let side = (0..hosters)
            .map(|h| {
                if h < fifth {
                    1.0
                } else if h < 2 * fifth {
                    -1.0
                } else {
                    0.0
                }
            })
            .collect();
        Self {
            hosters,
            attesters,
            committee,
            truth,
            side,
            liars: (attesters as f64 * liar_share).round() as usize,
            lie,
            effects: (0..attesters).map(|_| 0.25 * normal(&mut rng)).collect(),
            pairs: (0..attesters * hosters).map(|_| 0.15 * normal(&mut rng)).collect(),
            seed,
        }
    }

    /// Friends at 0.8 and victims at 1.25 of 100.
    pub(super) fn promise(mut self) -> Self {
        for (truth, side) in self.truth.iter_mut().zip(&self.side) {
            if *side != 0.0 {
                *truth = 100_f64.ln() + if *side > 0.0 { 0.8_f64.ln() } else { 1.25_f64.ln() };
            }
        }
        self
    }

    /// The reports of one epoch. Attesters below [`World::liars`] lie.
    pub(super) fn reports(&self, epoch: u64) -> Vec<Observation> {
        let mut rng = self.seed.stream_at("epoch", epoch);
        let lying = match self.lie {
            Lie::Factor(factor) => factor.ln(),
            Lie::OnOff(factor) if epoch % 5 == 4 => factor.ln(),
            Lie::OnOff(_) | Lie::Lazy | Lie::Copy => 0.0,
        };
        let mut pool: Vec<usize> = (0..self.attesters).collect();
        let mut reports = Vec::new();
        for hoster in 0..self.hosters {
            let (drawn, _) = pool.partial_shuffle(&mut rng, self.committee);
            for attester in drawn.iter() {
                let mut value = self.truth[hoster]
                    + self.effects[*attester]
                    + self.pairs[attester * self.hosters + hoster]
                    + 0.15 * normal(&mut rng);
                if *attester < self.liars {
                    value += lying * self.side[hoster];
                }
                if *attester < self.liars && self.lie == Lie::Lazy {
                    value = self.truth[hoster] + 0.02 * ((epoch + hoster as u64) as f64).sin();
                }
                let copied = reports.len().checked_sub(1 + attester % 10).map(|index: usize| reports[index]);
                if let Some(Observation { hoster: of, value, .. }) = copied
                    && *attester < self.liars
                    && self.lie == Lie::Copy
                    && of == hoster as u32
                {
                    reports.push(Observation { hoster: of, attester: *attester as u32, value });
                    continue;
                }
                let value = Fixed::from_raw((value / 2_f64.ln() * 4_294_967_296.0) as i64);
                reports.push(Observation { hoster: hoster as u32, attester: *attester as u32, value });
            }
        }
        reports
    }
}

/// A fixed-point logarithm to base 2 as a natural one.
pub(super) fn natural(value: Fixed) -> f64 {
    value.raw() as f64 / 4_294_967_296.0 * 2_f64.ln()
}
