//! The whole suite: gates, the zoo, committee sizes, time and breaking points.

use peermark_core::Seed;

use super::gate::{PROMISE, PROMISE_HONEST, RANGE, SILENT_PROMISE, SILENT_RANGE, SINGLE_QUIET};
use super::{Attack, Contender, Gate, GateResult, Kind, Row, Setting, measure};

/// Attacks that the gates are about.
const GATED: [Attack; 3] = [Attack::Loud, Attack::Stealth, Attack::OnOff];
/// Committee sizes that are compared.
const SIZES: [u32; 5] = [5, 7, 9, 15, 31];
/// Shares of liars at which sizes are compared.
const SIZE_SHARES: [f64; 7] = [0.0, 0.1, 0.2, 1.0 / 3.0, 0.4, 0.5, 0.6];
/// Epochs of history that are compared.
const HISTORIES: [u32; 5] = [1, 5, 10, 20, 60];
/// Shares of liars in which breaking points are sought, in percent.
const SWEEP_PERCENT: [u32; 13] = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60];
/// Of the trials, for the zoo, for sizes and histories, and for shares of liars: the more settings, the fewer trials each.
const ZOO: u32 = 5;
const COMPARISONS: u32 = 10;
const SHARES: u32 = 20;
/// Fewest trials of anything.
const LEAST_TRIALS: u32 = 4;

/// How much to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Trials per setting of the gates; the zoo takes a fifth, sizes and histories a tenth, shares of liars a twentieth.
    pub trials: u32,
    /// Epochs per trial.
    pub epochs: u32,
    /// Threads; figures do not depend on it.
    pub threads: usize,
}

/// Where an attack first breaks a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaking {
    /// The attack.
    pub attack: Attack,
    /// Smallest share of liars at which a gate breaks; `None`: at none up to 60 %.
    pub share: Option<f64>,
    /// The gates that break there.
    pub gates: Vec<&'static str>,
    /// Smallest share of liars from which on most trials end disputed in W1 up to 60 %; `None`: at none.
    pub disputed_from: Option<f64>,
}

/// Everything that the suite found. A part that was not asked for is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Campaign {
    /// Gates, held or missed.
    pub gates: Vec<GateResult>,
    /// Rows behind the gates, every estimator.
    pub gate_rows: Vec<Row>,
    /// The rest of the zoo at one third of liars in both worlds, every estimator.
    pub zoo: Vec<Row>,
    /// Committee sizes, robust estimate and median.
    pub sizes: Vec<Row>,
    /// Epochs of history, robust estimate and median.
    pub histories: Vec<Row>,
    /// Robust estimate and median over shares of liars.
    pub sweep: Vec<Row>,
    /// Breaking points of the robust estimate and of verdicts on shares.
    pub breaking: Vec<Breaking>,
}

/// Runs everything. `told` is called with the name of each part before it begins.
pub fn campaign(effort: &Effort, seed: Seed, mut told: impl FnMut(&str)) -> Campaign {
    told("gates");
    let mut found = gates(effort, seed);
    told("zoo");
    found.zoo = zoo(effort, seed);
    told("committee sizes");
    found.sizes = sizes(effort, seed);
    told("histories");
    found.histories = histories(effort, seed);
    told("shares of liars");
    found.sweep = Attack::ALL
        .into_iter()
        .filter(|attack| attack.fixed_share().is_none())
        .flat_map(|attack| sweep(attack, effort, seed))
        .collect();
    found.breaking = breaking(&found.sweep);
    found
}

/// Runs the gates alone.
pub fn gates(effort: &Effort, seed: Seed) -> Campaign {
    let mut found = Campaign::default();
    let mut gated = |kind, attack, liar_share, gates: &[Gate]| {
        let setting = Setting { liar_share, epochs: effort.epochs, ..Setting::usual(kind, attack) };
        let rows = measure(&setting, &Contender::ALL, effort.trials, seed, effort.threads);
        let gated = rows.iter().filter(|row| gated_in(kind).contains(&row.contender));
        found.gates.extend(gated.flat_map(|row| gates.iter().map(|gate| gate.check(row))));
        found.gate_rows.extend(rows);
    };
    for attack in GATED {
        gated(Kind::Range, attack, ONE_THIRD, &RANGE);
    }
    gated(Kind::Promise, Attack::Loud, 0.0, &PROMISE_HONEST);
    for attack in GATED {
        gated(Kind::Promise, attack, ONE_THIRD, &PROMISE);
    }
    gated(Kind::Range, Attack::SingleQuiet, ONE_THIRD, &SINGLE_QUIET);
    found
}

/// The estimators that are held against the gates of a world. Where verdicts are judged these are both ways to make one: on the estimated
/// rate, and on a share of seconds by the policy's terms, which is how a job's promises are judged.
fn gated_in(kind: Kind) -> &'static [Contender] {
    match kind {
        Kind::Range => &[Contender::Robust],
        Kind::Promise => &[Contender::Robust, Contender::RobustShares],
    }
}

const ONE_THIRD: f64 = 1.0 / 3.0;

fn zoo(effort: &Effort, seed: Seed) -> Vec<Row> {
    let honest = [Kind::Range].map(|kind| Setting { liar_share: 0.0, ..Setting::usual(kind, Attack::Loud) });
    let others = Attack::ALL.into_iter().filter(|attack| !GATED.contains(attack));
    let both = others.flat_map(|attack| [Kind::Range, Kind::Promise].map(|kind| Setting::usual(kind, attack)));
    let settings: Vec<Setting> = honest
        .into_iter()
        .chain(both.filter(|setting| (setting.kind, setting.attack) != (Kind::Range, Attack::SingleQuiet)))
        .collect();
    rows(&settings, &Contender::ALL, effort, effort.one_of(ZOO), seed)
}

fn sizes(effort: &Effort, seed: Seed) -> Vec<Row> {
    let mut settings = Vec::new();
    for attack in [Attack::Loud, Attack::Stealth] {
        for kind in [Kind::Range, Kind::Promise] {
            for committee in SIZES {
                let usual = Setting { committee, ..Setting::usual(kind, attack) };
                settings.extend(SIZE_SHARES.map(|liar_share| Setting { liar_share, ..usual }));
            }
        }
    }
    rows(&settings, &COMPARED, effort, effort.one_of(COMPARISONS), seed)
}

fn histories(effort: &Effort, seed: Seed) -> Vec<Row> {
    let attacks = [Attack::Loud, Attack::Stealth, Attack::OnOff, Attack::SlowPoison];
    let settings = attacks.into_iter().flat_map(|attack| HISTORIES.map(|epochs| (attack, epochs)));
    settings
        .flat_map(|(attack, epochs)| {
            let setting = Setting { epochs, ..Setting::usual(Kind::Range, attack) };
            measure(&setting, &COMPARED, effort.one_of(COMPARISONS), seed, effort.threads)
        })
        .collect()
}

/// The estimators that are compared over many settings.
const COMPARED: [Contender; 3] = [Contender::Robust, Contender::RobustShares, Contender::Median];

fn sweep(attack: Attack, effort: &Effort, seed: Seed) -> Vec<Row> {
    let settings: Vec<Setting> = [Kind::Range, Kind::Promise]
        .into_iter()
        .flat_map(|kind| {
            SWEEP_PERCENT
                .map(|percent| Setting { liar_share: f64::from(percent) / 100.0, ..Setting::usual(kind, attack) })
        })
        .collect();
    rows(&settings, &COMPARED, effort, effort.one_of(SHARES), seed)
}

fn rows(settings: &[Setting], contenders: &[Contender], effort: &Effort, trials: u32, seed: Seed) -> Vec<Row> {
    let row = |setting: &Setting| {
        let setting = Setting { epochs: effort.epochs, ..*setting };
        measure(&setting, contenders, trials, seed, effort.threads)
    };
    settings.iter().flat_map(row).collect()
}

impl Effort {
    fn one_of(&self, share: u32) -> u32 {
        (self.trials / share).max(LEAST_TRIALS)
    }
}

pub(super) fn breaking(sweep: &[Row]) -> Vec<Breaking> {
    let robust: Vec<&Row> = sweep.iter().filter(|row| gated_in(row.setting.kind).contains(&row.contender)).collect();
    let mut attacks: Vec<Attack> = robust.iter().map(|row| row.setting.attack).collect();
    attacks.dedup();
    attacks
        .into_iter()
        .map(|attack| {
            let rows = robust.iter().filter(|row| row.setting.attack == attack);
            let mut broken: Vec<(f64, &'static str)> = rows
                .clone()
                .flat_map(|row| broken_by(row).into_iter().map(|gate| (row.setting.share(), gate)))
                .collect();
            broken.sort_by(|a, b| a.0.total_cmp(&b.0));
            let share = broken.first().map(|first| first.0);
            let mut gates: Vec<&'static str> =
                broken.iter().filter(|found| Some(found.0) == share).map(|found| found.1).collect();
            // Both ways to a verdict break the same gates.
            gates.sort_unstable();
            gates.dedup();
            let ranged: Vec<_> = rows.filter(|row| row.setting.kind == Kind::Range).collect();
            let mostly = ranged.iter().rev().take_while(|row| row.figures.disputed.is_some_and(|share| share > 0.5));
            let disputed_from = mostly.last().map(|row| row.setting.share());
            Breaking { attack, share, gates, disputed_from }
        })
        .collect()
}

/// A disputed trial publishes nothing: where most are, nothing breaks in silence.
fn broken_by(row: &Row) -> Vec<&'static str> {
    if row.figures.disputed.is_some_and(|share| share > 0.5) {
        return Vec::new();
    }
    let gates: &[Gate] = match row.setting.kind {
        Kind::Range => &SILENT_RANGE,
        Kind::Promise => &SILENT_PROMISE,
    };
    gates.iter().filter(|gate| gate.breaks(row)).map(|gate| gate.name).collect()
}
