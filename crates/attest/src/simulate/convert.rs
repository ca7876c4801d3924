//! From what the judge found to the document.

use peermark_core::Seed;
use peermark_judge::adversary::{
    self, Attack, Breaking, Campaign, Contender, ENOUGH_TRIALS, Effort, GateResult, Kind, Limit, Row, Setting,
};

use super::document::{
    AdversaryReport, Bound, BreakingPoint, Estimator, Figures, GateLine, NoiseSetup, Part, RowLine, SCHEMA, Setup,
    World,
};

/// What the figures cannot say.
const WARNINGS: [&str; 3] = [
    "The worlds are synthetic: paths of real networks are alike within regions, and liars can do what is not in this list.",
    "A quiet lie for a single hoster is not detectable by statistics; its row says what it gains.",
    "Above one half of liars the honest side is the minority: the honest answer is then a dispute, not a number.",
];

pub(super) fn report(found: &Campaign, effort: &Effort, seed: Seed) -> AdversaryReport {
    let usual = Setting::usual(Kind::Range, Attack::Loud);
    let adversary::Noise { attester, pair, sample, .. } = usual.noise;
    let parts = [
        (Part::Gates, &found.gate_rows),
        (Part::Zoo, &found.zoo),
        (Part::Sizes, &found.sizes),
        (Part::Histories, &found.histories),
        (Part::Shares, &found.sweep),
    ];
    AdversaryReport {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: seed.0,
        trials: effort.trials,
        epochs: effort.epochs,
        setup: Setup {
            attesters: usual.attesters,
            hosters: usual.hosters,
            noise: NoiseSetup { attester, pair, sample },
        },
        held: found.gates.iter().all(|gate| gate.held),
        gates: found.gates.iter().map(gate).collect(),
        breaking: found.breaking.iter().map(breaking).collect(),
        rows: parts.into_iter().flat_map(|(part, rows)| rows.iter().map(move |found| row(part, found))).collect(),
        warnings: WARNINGS.map(str::to_owned).into_iter().chain(few_trials(&found.sweep)).collect(),
    }
}

/// That means broke no gate because too few trials are behind them.
fn few_trials(sweep: &[Row]) -> Option<String> {
    let trials = sweep.iter().map(|row| row.trials).min().filter(|trials| *trials < ENOUGH_TRIALS)?;
    Some(format!(
        "Breaking points are those of decisions alone: bias, tau and coverage take {ENOUGH_TRIALS} trials per share of liars, here are {trials}."
    ))
}

fn world(kind: Kind) -> World {
    match kind {
        Kind::Range => World::W1,
        Kind::Promise => World::W2,
    }
}

fn gate(found: &GateResult) -> GateLine {
    GateLine {
        world: world(found.kind),
        attack: found.attack.name().to_owned(),
        liar_share: found.liar_share,
        estimator: estimator(found.contender),
        gate: found.gate.to_owned(),
        limit: match found.limit {
            Limit::Most(limit) => Bound::AtMost(limit),
            Limit::Least(limit) => Bound::AtLeast(limit),
        },
        measured: found.measured,
        decisions: found.decisions,
        trials: found.trials,
        enough: found.enough,
        held: found.held,
    }
}

fn breaking(found: &Breaking) -> BreakingPoint {
    BreakingPoint {
        attack: found.attack.name().to_owned(),
        share: found.share,
        gates: found.gates.iter().map(|&gate| gate.to_owned()).collect(),
        disputed_from: found.disputed_from,
    }
}

fn row(part: Part, found: &Row) -> RowLine {
    let Row { setting, contender, trials, figures } = found;
    RowLine {
        part,
        world: world(setting.kind),
        attack: setting.attack.name().to_owned(),
        liar_share: setting.share(),
        committee: setting.committee,
        epochs: setting.epochs,
        trials: *trials,
        estimator: estimator(*contender),
        figures: self::figures(figures),
    }
}

fn estimator(contender: Contender) -> Estimator {
    match contender {
        Contender::Robust => Estimator::Robust,
        Contender::RobustNow => Estimator::RobustNow,
        Contender::RobustShares => Estimator::RobustShares,
        Contender::Mean => Estimator::Mean,
        Contender::Trimmed => Estimator::Trimmed,
        Contender::Median => Estimator::Median,
        Contender::Majority => Estimator::Majority,
    }
}

fn figures(found: &adversary::Figures) -> Figures {
    Figures {
        friend_bias: found.friend_bias,
        victim_bias: found.victim_bias,
        bystander_bias: found.bystander_bias,
        median_error: found.median_error,
        p95_error: found.p95_error,
        tau: found.tau,
        false_qualify: found.false_qualify,
        wrong_fail: found.wrong_fail,
        victims_unproven: found.victims_unproven,
        friends_unproven: found.friends_unproven,
        flag_precision: found.flag_precision,
        flag_recall: found.flag_recall,
        honest_flagged: found.honest_flagged,
        epochs_to_flag: found.epochs_to_flag,
        coverage: found.coverage,
        interval_width: found.interval_width,
        disputed: found.disputed,
        absent: found.absent,
    }
}
