//! A small version of the gates: fewer trials, limits that chance does not break, and that an estimate without defence does.

use super::*;

#[test]
fn gates_are_held_against_what_was_measured() {
    let gate = gate::RANGE[2];
    let mut row = Row {
        setting: Setting::usual(Kind::Range, Attack::Loud),
        contender: Contender::Robust,
        trials: ENOUGH_TRIALS,
        figures: Figures { tau: Some(0.95), ..Figures::default() },
    };
    assert!(gate.check(&row).held);
    row.figures.tau = Some(0.949);
    assert!(!gate.check(&row).held);
    row.figures.tau = None;
    assert!(!gate.check(&row).held, "what was not measured does not hold");
    row.figures.tau = Some(1.0);
    row.trials = 1;
    let found = gate.check(&row);
    assert!(!found.held && !found.enough, "one trial shows nothing");
}

#[test]
fn one_unlucky_decision_of_few_is_no_breaking_point() {
    let figures =
        |hits: f64, n: u64| Figures { false_qualify: Some(hits / n as f64), decisions: (n, 0), ..Figures::default() };
    let row = |figures| Row {
        setting: Setting::usual(Kind::Promise, Attack::Loud),
        contender: Contender::Robust,
        trials: 50,
        figures,
    };
    let gate = gate::SILENT_PROMISE[0];
    assert!(!gate.breaks(&row(figures(1.0, 300))), "1 of 300 is compatible with 0.1 %");
    assert!(gate.breaks(&row(figures(5.0, 300))));
    assert!(!gate.check(&row(figures(1.0, 300))).held, "the gate itself takes the figure as it is");
    // 2.7055 / (n + 2.7055) is at most 0.1 % from 2,703 decisions on: 451 trials of six friends.
    let shown = |hits, n| gate.check(&row(figures(hits, n)));
    let few = shown(0.0, 2_702);
    assert!(!few.enough && !few.held && few.measured == Some(0.0), "{few:?}");
    let found = shown(2.0, 3_000);
    assert!(found.held && (found.decisions, found.trials) == (Some(3_000), 50), "{found:?}");
    assert!(!shown(4.0, 3_000).held);
}

/// Trials behind each check: the limits below are as many standard errors wider than the gates as few trials need.
const TRIALS: u32 = 4;
/// Attacks of the gates.
const GATED: [Attack; 3] = [Attack::Loud, Attack::Stealth, Attack::OnOff];

/// What is published about rates, with limits for a few trials.
fn publishes_well(figures: &Figures) -> Result<(), String> {
    let checks = [
        ("bias", figures.target_bias().is_some_and(|bias| bias <= 0.08)),
        ("tau", figures.tau.is_some_and(|tau| tau >= 0.95)),
        // The common level of all attesters is one draw per trial, and all intervals of the trial share it.
        ("coverage", figures.coverage.is_some_and(|coverage| coverage >= 0.8)),
    ];
    let missed: Vec<&str> = checks.iter().filter(|check| !check.1).map(|check| check.0).collect();
    if missed.is_empty() { Ok(()) } else { Err(missed.join(", ")) }
}

/// What is decided about promises, with limits for a few trials.
fn decides_well(figures: &Figures) -> bool {
    (figures.false_qualify, figures.wrong_fail) == (Some(0.0), Some(0.0))
        && figures.victims_unproven.is_some_and(|share| share <= 0.5)
}

#[test]
fn one_third_of_liars_moves_no_published_rate() {
    for attack in GATED {
        let figures = row(&Setting::usual(Kind::Range, attack), Contender::Robust, TRIALS);
        assert_eq!(publishes_well(&figures), Ok(()), "{attack:?} {figures:?}");
    }
}

#[test]
fn one_third_of_liars_decides_no_promise() {
    for attack in GATED {
        let figures = row(&Setting::usual(Kind::Promise, attack), Contender::Robust, TRIALS);
        assert!(decides_well(&figures), "{attack:?} {figures:?}");
    }
}

/// Verdicts as a job's are made: on the share of seconds, by the policy's terms.
#[test]
fn one_third_of_liars_decides_no_share() {
    let policy = crate::policy::Policy::public();
    assert_eq!(robust::terms(), policy.terms(500_000), "what a job with the least guarantee is judged by");
    for attack in GATED {
        let figures = row(&Setting::usual(Kind::Promise, attack), Contender::RobustShares, TRIALS);
        assert!(decides_well(&figures), "{attack:?} {figures:?}");
    }
}

#[test]
fn both_ways_to_a_verdict_are_held_against_the_gates() {
    let found = gates(&Effort { trials: 1, epochs: 1, threads: 2 }, Seed(1)).gates;
    for contender in [Contender::Robust, Contender::RobustShares] {
        let promise = found.iter().filter(|gate| (gate.kind, gate.contender) == (Kind::Promise, contender));
        assert_eq!(promise.count(), 12, "three gates of no liars and of three attacks");
    }
    assert!(found.iter().all(|gate| !gate.held), "one trial shows nothing");
}

/// The same limits, so that the two tests above can fail: every plain estimate breaks them.
#[test]
fn plain_estimates_break_what_the_robust_one_holds() {
    let plain = [Contender::Mean, Contender::Trimmed, Contender::Median];
    for kind in [Kind::Range, Kind::Promise] {
        let setting = Setting { epochs: 1, ..Setting::usual(kind, Attack::Loud) };
        for row in measure(&setting, &plain, TRIALS, Seed(1), 2) {
            let is_good = match kind {
                Kind::Range => publishes_well(&row.figures).is_ok(),
                Kind::Promise => decides_well(&row.figures),
            };
            assert!(!is_good, "{row:?}");
        }
    }
}

#[test]
fn loud_and_stealthy_liars_are_named_and_the_honest_are_not() {
    for attack in [Attack::Loud, Attack::Stealth] {
        let figures = row(&Setting::usual(Kind::Range, attack), Contender::Robust, TRIALS);
        assert!(figures.flag_recall >= Some(0.95) && figures.honest_flagged <= Some(0.02), "{attack:?} {figures:?}");
    }
}

#[test]
fn nobody_is_named_where_nobody_lies() {
    let figures =
        row(&Setting { liar_share: 0.0, ..Setting::usual(Kind::Promise, Attack::Loud) }, Contender::Robust, TRIALS);
    assert!(figures.honest_flagged <= Some(0.01) && figures.victims_unproven <= Some(0.1), "{figures:?}");
    assert!(decides_well(&figures), "{figures:?}");
}

#[test]
fn above_one_half_of_liars_the_answer_is_disputed() {
    let figures = row(&Setting::usual(Kind::Promise, Attack::Takeover), Contender::Robust, TRIALS);
    assert_eq!((figures.disputed, figures.false_qualify, figures.wrong_fail), (Some(1.0), Some(0.0), Some(0.0)));
}

/// Known and printed, not hidden: no statistic sees a quiet lie for a single hoster.
#[test]
fn a_quiet_lie_for_one_hoster_gains_little() {
    let figures = row(&Setting::usual(Kind::Range, Attack::SingleQuiet), Contender::Robust, 2 * TRIALS);
    assert!(figures.friend_bias.is_some_and(|bias| bias <= 0.2), "{figures:?}");
}

#[test]
fn breaking_points_are_where_gates_first_break() {
    let figures = |bias, disputed| Figures { friend_bias: Some(bias), disputed: Some(disputed), ..Figures::default() };
    let row = |share, figures| Row {
        setting: Setting { liar_share: share, ..Setting::usual(Kind::Range, Attack::Loud) },
        contender: Contender::Robust,
        trials: 20,
        figures,
    };
    let rows = [row(0.1, figures(0.01, 0.0)), row(0.2, figures(0.04, 0.0)), row(0.3, figures(0.9, 1.0))];
    let found = campaign::breaking(&rows);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].share, found[0].gates.clone(), found[0].disputed_from), (Some(0.2), vec!["bias"], Some(0.3)));
    assert_eq!(campaign::breaking(&rows[2..])[0].share, None, "a dispute is no break in silence");
    let few = Row { trials: 19, ..rows[1].clone() };
    assert_eq!(campaign::breaking(&[few])[0].share, None, "a mean of few trials is chance");
}
