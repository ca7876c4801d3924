//! The reports of one epoch: committees, honest measurements and what liars make of them.

use peermark_core::Seed;
use rand::RngExt;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::zoo::Lie;
use super::{Attack, Role, Setting, World};
use crate::special::normal_cdf;

/// Seconds of one measurement (reliability reference §2.1).
const SECONDS: u32 = 30;
/// Epochs after which a wrong clock is stepped.
const CLOCK_STEP: u32 = 5;
/// Chance that an on-off bloc lies in an epoch.
const DUTY: f64 = 0.2;

/// One report: an attester about a hoster in one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Hoster, dense from 0.
    pub hoster: u32,
    /// Attester, dense from 0.
    pub attester: u32,
    /// Group of the attester: one vote.
    pub group: u32,
    /// Median of the seconds of the measurement, Mbit/s.
    pub rate_mbit: f64,
    /// Seconds measured.
    pub probes: u32,
    /// Seconds at or above the promised rate.
    pub met: u32,
    /// Where its seconds lie among all that a measurement with this median may have: a chance, drawn once.
    pub(super) luck: f64,
    /// Standard deviation of the logarithm of one second.
    pub(super) second: f64,
}

impl Observation {
    /// Seconds at or above any rate.
    pub(super) fn met_at(&self, rate_mbit: f64) -> u32 {
        binomial_quantile(self.luck, self.probes, seconds_at_or_above(self.rate_mbit / rate_mbit, self.second))
    }
}

/// The number of `trials` that succeed with a chance each, at a quantile of its distribution.
fn binomial_quantile(quantile: f64, trials: u32, chance: f64) -> u32 {
    if chance >= 1.0 {
        return trials;
    }
    let mut term = (1.0 - chance).powi(trials.cast_signed());
    let mut sum = term;
    let mut hits = 0;
    while sum < quantile && hits < trials {
        term *= f64::from(trials - hits) / f64::from(hits + 1) * chance / (1.0 - chance);
        sum += term;
        hits += 1;
    }
    hits
}

/// Draws the reports of a trial, epoch by epoch.
pub(super) struct Reporter<'a> {
    setting: &'a Setting,
    world: &'a World,
    /// Committees and honest noise.
    honest: ChaCha8Rng,
    /// What liars draw.
    lies: ChaCha8Rng,
    /// Seconds at or above the promise and the order of reports: how much is drawn depends on the claims.
    counts: ChaCha8Rng,
    /// Whether an on-off bloc lies in each epoch.
    duty: Vec<bool>,
    /// Factor per attester.
    clocks: Vec<f64>,
    /// Partner per attester of [`Attack::Pair`].
    partners: Vec<Option<usize>>,
    /// Median of the last epoch's reports per hoster, Mbit/s.
    consensus: Vec<Option<f64>>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(setting: &'a Setting, world: &'a World, seed: Seed, trial: u64) -> Self {
        let mut lies = seed.stream_at("judge.adversary.lies", trial);
        let duty = (0..setting.epochs).map(|_| lies.random_bool(DUTY)).collect();
        Self {
            setting,
            world,
            honest: seed.stream_at("judge.adversary.honest", trial),
            lies,
            counts: seed.stream_at("judge.adversary.counts", trial),
            duty,
            clocks: vec![1.0; world.attesters()],
            partners: partners(world),
            consensus: vec![None; world.hosters()],
        }
    }

    /// The reports of the next epoch; epochs are asked for in ascending order.
    pub(super) fn epoch(&mut self, epoch: u32) -> Vec<Observation> {
        let phase = Phase::of(self.setting, epoch, &self.duty);
        if epoch.is_multiple_of(CLOCK_STEP) {
            let step = |_: &f64| self.lies.random_range(-1.0_f64..1.0).exp2();
            self.clocks = self.clocks.iter().map(step).collect();
        }
        let pool: Vec<usize> = (0..self.world.attesters())
            .filter(|&attester| {
                phase.sybils_are_there || !(self.world.liars[attester] && joins_late(self.setting.attack))
            })
            .collect();
        let mut reports = Vec::with_capacity(self.world.hosters() * self.setting.committee as usize);
        for hoster in 0..self.world.hosters() {
            let seats = index::sample(&mut self.honest, pool.len(), (self.setting.committee as usize).min(pool.len()));
            let members: Vec<usize> = seats.iter().map(|seat| pool[seat]).collect();
            // Every member measures, so that the honest noise is the same whatever the liars do.
            let measured: Vec<f64> = members.iter().map(|&attester| self.measure(hoster, attester)).collect();
            let claims: Vec<Option<f64>> =
                (0..members.len()).map(|seat| self.claim(&phase, hoster, seat, &members, &measured)).collect();
            let told = members.iter().zip(claims).filter_map(|(&attester, claim)| Some((attester, claim?)));
            reports.extend(told.map(|(attester, rate)| self.observation(hoster, attester, rate)).collect::<Vec<_>>());
            self.consensus[hoster] =
                median(reports.iter().filter(|r| r.hoster as usize == hoster).map(|r| r.rate_mbit));
        }
        // Nobody may rely on an order.
        reports.shuffle(&mut self.counts);
        reports
    }

    fn measure(&mut self, hoster: usize, attester: usize) -> f64 {
        let sample: f64 = StandardNormal.sample(&mut self.honest);
        let world = self.world;
        let path = world.pair_effect[attester * world.hosters() + hoster];
        world.rates_mbit[hoster] * (world.attester_effect[attester] + path + self.setting.noise.sample * sample).exp()
    }

    /// What the member in `seat` reports; `None` where it keeps its report back.
    fn claim(&mut self, phase: &Phase, hoster: usize, seat: usize, members: &[usize], measured: &[f64]) -> Option<f64> {
        let (attester, own) = (members[seat], measured[seat]);
        if !self.world.liars[attester] || !phase.lying {
            return Some(own);
        }
        let role = match (self.setting.attack, self.partners[attester]) {
            (Attack::Pair, Some(partner)) if partner != hoster => Role::Bystander,
            _ => self.world.roles[hoster],
        };
        match self.setting.attack.lie(&self.setting.noise, phase.epoch) {
            Lie::Factor(factor) => Some(match role {
                Role::Friend => own * factor,
                Role::Victim => own / factor,
                Role::Bystander => own,
            }),
            Lie::Withhold => {
                // A liar knows its own link; what is left is luck.
                let luck = (own / self.world.rates_mbit[hoster]).ln() - self.world.attester_effect[attester];
                let hurts = (role == Role::Friend && luck < 0.0) || (role == Role::Victim && luck > 0.0);
                (!hurts).then_some(own)
            }
            Lie::Noise => {
                let normal: f64 = StandardNormal.sample(&mut self.lies);
                Some(own * normal.exp())
            }
            Lie::Copy => {
                let other = self.lies.random_range(0..members.len());
                Some(measured[other])
            }
            Lie::LastConsensus => Some(self.consensus[hoster].unwrap_or(own)),
            Lie::Clock => Some(own * self.clocks[attester]),
        }
    }

    fn observation(&mut self, hoster: usize, attester: usize, rate_mbit: f64) -> Observation {
        let drawn = Observation {
            hoster: hoster as u32,
            attester: attester as u32,
            group: self.world.groups[attester],
            rate_mbit,
            probes: SECONDS,
            met: 0,
            luck: self.counts.random(),
            second: self.setting.noise.second,
        };
        Observation { met: drawn.met_at(self.world.threshold_mbit), ..drawn }
    }
}

/// What an attack does in one epoch.
struct Phase {
    epoch: u32,
    lying: bool,
    sybils_are_there: bool,
}

impl Phase {
    fn of(setting: &Setting, epoch: u32, duty: &[bool]) -> Self {
        let last_quarter = epoch >= setting.epochs - setting.epochs.div_ceil(4);
        let lying = match setting.attack {
            Attack::OnOff => duty.get(epoch as usize).copied().unwrap_or(false),
            // Counted from the end: the measured epoch is one of them.
            Attack::OnOffNow => (setting.epochs - 1 - epoch).is_multiple_of(5),
            Attack::Mimic => last_quarter,
            _ => true,
        };
        Self { epoch, lying, sybils_are_there: last_quarter }
    }
}

fn joins_late(attack: Attack) -> bool {
    matches!(attack, Attack::SybilBurst | Attack::SybilSpread)
}

fn partners(world: &World) -> Vec<Option<usize>> {
    let friends: Vec<usize> = (0..world.hosters()).filter(|&hoster| world.roles[hoster] == Role::Friend).collect();
    let mut next = 0;
    let mut partner = || {
        next += 1;
        friends.get(next % friends.len().max(1)).copied()
    };
    world.liars.iter().map(|&lies| if lies { partner() } else { None }).collect()
}

/// Chance that one second of a measurement with this median, as a ratio to the promised rate, is at or above it.
fn seconds_at_or_above(ratio: f64, second: f64) -> f64 {
    if second <= 0.0 {
        return f64::from(u8::from(ratio >= 1.0));
    }
    normal_cdf(ratio.ln() / second).clamp(0.0, 1.0)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}
