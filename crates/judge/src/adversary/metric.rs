//! What came out of trials, in figures.

use super::{Findings, Role, Verdict, World, kendall_tau_b};

/// Of one estimator over the trials of a setting. `None` is "no such thing there": no friend, no flag, no interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Mean of estimate / truth - 1 over friends.
    pub friend_bias: Option<f64>,
    /// Over victims.
    pub victim_bias: Option<f64>,
    /// Over everybody else.
    pub bystander_bias: Option<f64>,
    /// Median of |estimate / truth - 1| over all hosters.
    pub median_error: Option<f64>,
    /// 95th percentile of the same.
    pub p95_error: Option<f64>,
    /// Mean Kendall's tau-b between scores and true rates; only where true rates differ, which those of W2 do not.
    pub tau: Option<f64>,
    /// Share of friends below the promised rate that were said to keep it.
    pub false_qualify: Option<f64>,
    /// Share of victims above the promised rate that were said to break it.
    pub wrong_fail: Option<f64>,
    /// Share of victims above the promised rate left unproven or disputed.
    pub victims_unproven: Option<f64>,
    /// Share of friends below the promised rate left unproven or disputed.
    pub friends_unproven: Option<f64>,
    /// Friends that [`Self::false_qualify`] is a share of, and victims that [`Self::wrong_fail`] is a share of.
    pub decisions: (u64, u64),
    /// Share of the flagged attesters that lie, over all trials.
    pub flag_precision: Option<f64>,
    /// Share of the liars that are flagged.
    pub flag_recall: Option<f64>,
    /// Share of the honest attesters that are flagged.
    pub honest_flagged: Option<f64>,
    /// Median epochs until a liar is flagged for the first time, of those that ever are.
    pub epochs_to_flag: Option<f64>,
    /// Share of the intervals that hold the truth.
    pub coverage: Option<f64>,
    /// Mean of (high - low) / truth.
    pub interval_width: Option<f64>,
    /// Share of trials that end disputed.
    pub disputed: Option<f64>,
    /// Share of hosters without any estimate.
    pub absent: Option<f64>,
}

/// Of one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    hosters: Vec<OfHoster>,
    tau: Option<f64>,
    liars: usize,
    honest: usize,
    liars_flagged: usize,
    honest_flagged: usize,
    /// Epochs (from 1) in which liars were first flagged.
    first_flagged: Vec<f64>,
    disputed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct OfHoster {
    role: Role,
    keeps_promise: bool,
    verdict: Option<Verdict>,
    has_estimate: bool,
    /// Estimate / truth.
    ratio: Option<f64>,
    covered: Option<bool>,
    width: Option<f64>,
}

impl Outcome {
    pub(super) fn of(world: &World, last: &Findings, first_flagged: &[Option<u32>]) -> Self {
        let stated = |hoster: usize| last.hosters.get(hoster).copied().flatten();
        let hosters = (0..world.hosters())
            .map(|hoster| {
                let (truth, statement) = (world.rates_mbit[hoster], stated(hoster));
                let interval = statement.and_then(|statement| statement.interval_mbit);
                OfHoster {
                    role: world.roles[hoster],
                    keeps_promise: truth >= world.threshold_mbit,
                    verdict: statement.map(|statement| statement.verdict),
                    has_estimate: statement.is_some(),
                    ratio: statement.and_then(|statement| statement.rate_mbit).map(|rate| rate / truth),
                    covered: interval.map(|(low, high)| low <= truth && truth <= high),
                    width: interval.map(|(low, high)| (high - low) / truth),
                }
            })
            .collect();
        let (truths, scores): (Vec<f64>, Vec<f64>) =
            (0..world.hosters()).filter_map(|hoster| Some((world.rates_mbit[hoster], stated(hoster)?.score))).unzip();
        let is_flagged = |attester: usize| last.flagged.binary_search(&(attester as u32)).is_ok();
        let counted = |lies: bool| {
            (0..world.attesters()).filter(move |&attester| world.liars[attester] == lies).collect::<Vec<usize>>()
        };
        let (liars, honest) = (counted(true), counted(false));
        Self {
            hosters,
            tau: if has_ties(&world.rates_mbit) { None } else { kendall_tau_b(&truths, &scores) },
            liars: liars.len(),
            honest: honest.len(),
            liars_flagged: liars.iter().filter(|&&attester| is_flagged(attester)).count(),
            honest_flagged: honest.iter().filter(|&&attester| is_flagged(attester)).count(),
            first_flagged: liars.iter().filter_map(|&a| Some(f64::from(first_flagged[a]?) + 1.0)).collect(),
            disputed: last.disputed,
        }
    }
}

impl Figures {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let hosters: Vec<&OfHoster> = outcomes.iter().flat_map(|outcome| &outcome.hosters).collect();
        let bias =
            |role: Role| mean(hosters.iter().filter(|h| h.role == role).filter_map(|h| h.ratio).map(|r| r - 1.0));
        let errors = sorted(hosters.iter().filter_map(|h| h.ratio).map(|ratio| (ratio - 1.0).abs()));
        let friends: Vec<_> = hosters.iter().filter(|h| h.role == Role::Friend && !h.keeps_promise).collect();
        let victims: Vec<_> = hosters.iter().filter(|h| h.role == Role::Victim && h.keeps_promise).collect();
        let said = |of: &[&&OfHoster], verdicts: &[Verdict]| {
            share(of.iter().map(|h| h.verdict.is_some_and(|verdict| verdicts.contains(&verdict))))
        };
        let undecided =
            |of: &[&&OfHoster]| share(of.iter().map(|h| !matches!(h.verdict, Some(Verdict::Meets | Verdict::Fails))));
        let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>() as f64;
        let (liars_flagged, honest_flagged) = (sum(|o| o.liars_flagged), sum(|o| o.honest_flagged));
        let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let first = sorted(outcomes.iter().flat_map(|outcome| outcome.first_flagged.iter().copied()));
        Self {
            friend_bias: bias(Role::Friend),
            victim_bias: bias(Role::Victim),
            bystander_bias: bias(Role::Bystander),
            median_error: at(&errors, 0.5),
            p95_error: at(&errors, 0.95),
            tau: mean(outcomes.iter().filter_map(|outcome| outcome.tau)),
            false_qualify: said(&friends, &[Verdict::Meets]),
            wrong_fail: said(&victims, &[Verdict::Fails]),
            victims_unproven: undecided(&victims),
            friends_unproven: undecided(&friends),
            decisions: (friends.len() as u64, victims.len() as u64),
            flag_precision: ratio(liars_flagged, liars_flagged + honest_flagged),
            flag_recall: ratio(liars_flagged, sum(|o| o.liars)),
            honest_flagged: ratio(honest_flagged, sum(|o| o.honest)),
            epochs_to_flag: at(&first, 0.5),
            coverage: share(hosters.iter().filter_map(|h| h.covered)),
            interval_width: mean(hosters.iter().filter_map(|h| h.width)),
            disputed: share(outcomes.iter().map(|outcome| outcome.disputed)),
            absent: share(hosters.iter().map(|h| !h.has_estimate)),
        }
    }

    /// The larger of the biases of friends and victims, without sign.
    pub fn target_bias(&self) -> Option<f64> {
        let biases = [self.friend_bias, self.victim_bias];
        biases.into_iter().flatten().map(f64::abs).max_by(f64::total_cmp)
    }
}

fn has_ties(values: &[f64]) -> bool {
    sorted(values.iter().copied()).windows(2).any(|pair| pair[0] == pair[1])
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u64), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

fn share(hits: impl Iterator<Item = bool>) -> Option<f64> {
    mean(hits.map(|hit| f64::from(u8::from(hit))))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Nearest rank.
fn at(ascending: &[f64], share: f64) -> Option<f64> {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.max(1) - 1).copied()
}
