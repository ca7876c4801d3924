//! Simulated hosters and attesters whose truth is known.

use peermark_core::Seed;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::{Attack, Setting, Targets};

/// Slowest and fastest hoster of a log-uniform world, Mbit/s.
const RATES_MBIT: (f64, f64) = (10.0, 1000.0);
/// The promised rate that verdicts are about, Mbit/s: the middle of the logarithmic range.
pub(super) const THRESHOLD_MBIT: f64 = 100.0;
/// Of the threshold: what friends and victims really deliver in [`Kind::Promise`].
const PROMISE: (f64, f64) = (0.8, 1.25);
/// One of so many hosters is a friend, and one a victim, where the liars have several targets.
const TARGETS_PER: usize = 5;

/// How the true rates of hosters are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// W1: every hoster log-uniform between 10 and 1000 Mbit/s.
    Range,
    /// W2: friends at 0.8 and victims at 1.25 of the promised rate, the others as in W1. Here a wrong estimate is a wrong verdict.
    Promise,
}

/// Standard deviations of the honest noise, natural logarithm (reliability reference §2.6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Of an attester's own link, the same towards every hoster and in every epoch.
    pub attester: f64,
    /// Of the path between one attester and one hoster, the same in every epoch.
    pub pair: f64,
    /// Of one measurement.
    pub sample: f64,
    /// Of one second within a measurement.
    pub second: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { attester: 0.25, pair: 0.15, sample: 0.15, second: 0.10 }
    }
}

/// What a hoster is to the liars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whom they praise.
    Friend,
    /// Whom they run down.
    Victim,
    /// Whom they report honestly, unless their attack spares nobody.
    Bystander,
}

/// One drawn world.
#[derive(Clone, Debug)]
pub struct World {
    /// True rate per hoster, Mbit/s.
    pub rates_mbit: Vec<f64>,
    /// Per hoster.
    pub roles: Vec<Role>,
    /// Per attester: whether it lies.
    pub liars: Vec<bool>,
    /// Group per attester (one vote each): its own, except where an attack gathers identities in few networks.
    pub groups: Vec<u32>,
    /// Promised rate that verdicts are about, Mbit/s.
    pub threshold_mbit: f64,
    /// Logarithm of each attester's own effect.
    pub(super) attester_effect: Vec<f64>,
    /// Logarithm of each path's effect, attester-major.
    pub(super) pair_effect: Vec<f64>,
}

impl World {
    /// Draws the world of one trial. Rates and honest effects depend on the seed and the trial alone, so that attacks and shares of
    /// liars are compared on the same worlds.
    pub fn draw(setting: &Setting, seed: Seed, trial: u64) -> Self {
        let mut rng = seed.stream_at("judge.adversary.world", trial);
        let (hosters, attesters) = (setting.hosters as usize, setting.attesters as usize);
        let drawn: Vec<f64> = (0..hosters).map(|_| log_uniform(&mut rng)).collect();
        let order = shuffled(hosters, &mut rng);
        let attester_effect = normals(attesters, setting.noise.attester, &mut rng);
        let pair_effect = normals(attesters * hosters, setting.noise.pair, &mut rng);
        let suspects = shuffled(attesters, &mut rng);

        let share = setting.attack.fixed_share().unwrap_or(setting.liar_share);
        let liar_count = ((share * attesters as f64).round() as usize).min(attesters);
        let mut liars = vec![false; attesters];
        suspects.iter().take(liar_count).for_each(|&attester| liars[attester] = true);
        let roles = roles(setting.attack, &order, liar_count);
        let rates_mbit = drawn.iter().zip(&roles).map(|(&rate, &role)| setting.kind.rate(rate, role)).collect();
        let groups = groups(setting.attack, &liars);
        Self { rates_mbit, roles, liars, groups, threshold_mbit: THRESHOLD_MBIT, attester_effect, pair_effect }
    }

    /// Number of hosters.
    pub fn hosters(&self) -> usize {
        self.rates_mbit.len()
    }

    /// Number of attesters in the pool.
    pub fn attesters(&self) -> usize {
        self.liars.len()
    }
}

impl Kind {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "W1",
            Self::Promise => "W2",
        }
    }

    fn rate(self, drawn: f64, role: Role) -> f64 {
        match (self, role) {
            (Self::Promise, Role::Friend) => THRESHOLD_MBIT * PROMISE.0,
            (Self::Promise, Role::Victim) => THRESHOLD_MBIT * PROMISE.1,
            _ => drawn,
        }
    }
}

fn roles(attack: Attack, order: &[usize], liars: usize) -> Vec<Role> {
    let several = order.len() / TARGETS_PER;
    let (friends, victims) = match attack.targets() {
        Targets::Several => (several, several),
        Targets::OneFriend => (1, 0),
        Targets::OneVictim => (0, 1),
        Targets::PartnerEach => (liars.clamp(several, order.len() - several), 0),
    };
    let mut roles = vec![Role::Bystander; order.len()];
    order.iter().take(friends).for_each(|&hoster| roles[hoster] = Role::Friend);
    order.iter().skip(friends).take(victims).for_each(|&hoster| roles[hoster] = Role::Victim);
    roles
}

/// Sybils share the groups of the first few of them; everybody else has one of its own.
fn groups(attack: Attack, liars: &[bool]) -> Vec<u32> {
    const NETWORKS: usize = 2;
    let own = || (0..liars.len() as u32).collect::<Vec<u32>>();
    if attack != Attack::SybilBurst {
        return own();
    }
    let sybils: Vec<u32> = own().into_iter().filter(|&attester| liars[attester as usize]).collect();
    let mut groups = own();
    sybils.iter().enumerate().for_each(|(i, &sybil)| groups[sybil as usize] = sybils[i % NETWORKS.min(sybils.len())]);
    groups
}

fn log_uniform(rng: &mut impl Rng) -> f64 {
    let (low, high) = RATES_MBIT;
    (rng.random_range(low.ln()..high.ln())).exp()
}

fn normals(n: usize, sd: f64, rng: &mut impl Rng) -> Vec<f64> {
    let mut draw = || -> f64 { StandardNormal.sample(rng) };
    (0..n).map(|_| sd * draw()).collect()
}

fn shuffled(n: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    order
}
