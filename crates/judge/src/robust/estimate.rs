//! One epoch from reports to estimates.

use crate::fixed::Fixed;

use super::history::{GroupRecord, History};
use super::interval::{bracket, gauge, of_median};
use super::polish::{Fit, Prior, effect_spread, polish, row_voices};
use super::select::{FULL_WEIGHT, Weighted, cap_weights, weighted_deviation, weighted_median};
use super::spectral::{Collusion, collusion, evidence};
use super::table::{Table, collapse, copies, group_count};
use super::{Dispute, Epoch, Estimate, Evaluation, Flag, FlagReason, GroupFit, HosterFit, RobustError, Settings};

/// Hosters that stand for a group about which nothing is known: about the ratio of the variances of pairs and groups, times pi / 2.
const UNKNOWN_HOSTERS: u32 = 2;

pub(super) fn evaluate(
    history: &mut History,
    epoch: &Epoch<'_>,
    settings: &Settings,
) -> Result<Evaluation, RobustError> {
    if let Some(last) = history.last_epoch().filter(|last| epoch.number <= *last) {
        return Err(RobustError::StaleEpoch { epoch: epoch.number, last });
    }
    let groups = group_count(epoch)?.max(history.groups().len());
    let table = Table::new(collapse(epoch)?, epoch.hosters as usize, groups);
    let before = history.at(epoch.number, epoch.hosters, groups, settings);
    let barred = barred(epoch, groups);
    let copies = if epoch.exact { copies(&table) } else { vec![false; table.cells.len()] };

    let weights: Vec<u32> = before.groups().iter().map(|group| group.weight_ppm).collect();
    let first = Pass::new(&before, (&table, &copies), masked(weights, &barred), settings);
    let (suspects, noises) = first.history.residual_table();
    let found = collusion((&suspects, &noises), &first.trusted(&barred, settings), &before.effects(), settings);
    let mut weights = first.trusted(&barred, settings);
    found.members.iter().for_each(|member| weights[member.group as usize] = 0);
    // Whoever is found out now has moved the estimate of this epoch: it is made again without them.
    let changed = weights.iter().zip(&first.weights).any(|(now, then)| (*now == 0) != (*then == 0));
    let pass = if changed { Pass::new(&before, (&table, &copies), weights, settings) } else { first };

    let flags = flags(&pass, &suspects, &found, &barred, settings);
    let dispute = dispute(&suspects, &flags, &found, settings);
    Ok(pass.finish(history, epoch, &table, flags, dispute, settings))
}

fn barred(epoch: &Epoch<'_>, groups: usize) -> Vec<bool> {
    let mut barred = vec![false; groups];
    epoch.barred.iter().for_each(|group| barred[*group as usize] = true);
    barred
}

fn masked(mut weights: Vec<u32>, barred: &[bool]) -> Vec<u32> {
    weights.iter_mut().zip(barred).filter(|(_, barred)| **barred).for_each(|(weight, _)| *weight = 0);
    weights
}

/// The epoch fitted with one set of weights, and the history with it.
struct Pass {
    weights: Vec<u32>,
    fit: Fit,
    history: History,
}

impl Pass {
    fn new(before: &History, (table, copies): (&Table, &[bool]), weights: Vec<u32>, settings: &Settings) -> Self {
        let (effects, hosters) = (before.effects(), before.measured());
        let prior = Prior { effects: &effects, hosters: &hosters, unknown: UNKNOWN_HOSTERS };
        let fit = polish(table, &weights, prior, settings);
        let mut history = before.clone();
        history.absorb(table, copies, &fit, settings);
        Self { weights, fit, history }
    }

    /// Weights by reputation alone.
    fn trusted(&self, barred: &[bool], settings: &Settings) -> Vec<u32> {
        let weight = |(group, copied): (&GroupRecord, Option<u32>)| {
            let reputation = group.reputation;
            let is_out = copied.is_some() || reputation.trust_ppm() < settings.trust_floor_ppm;
            if is_out { 0 } else { reputation.weight_ppm() }
        };
        masked(self.history.groups().iter().zip(self.history.copied_ppm()).map(weight).collect(), barred)
    }

    fn finish(
        mut self,
        history: &mut History,
        epoch: &Epoch<'_>,
        table: &Table,
        flags: Vec<Flag>,
        dispute: Option<Dispute>,
        settings: &Settings,
    ) -> Evaluation {
        let mut weights = self.trusted(&[], settings);
        flags.iter().for_each(|flag| weights[flag.group as usize] = 0);
        // Effects are found with outliers at the limit: a group that measures through a very slow link comes to be understood.
        let nothing = vec![Fixed::ZERO; weights.len()];
        let prior = Prior { effects: &nothing, hosters: &vec![0; weights.len()], unknown: UNKNOWN_HOSTERS };
        let effects = polish(&self.history.residual_table().0, &weights, prior, settings).effects;
        for ((group, effect), weight) in self.history.groups_mut().iter_mut().zip(&effects).zip(&weights) {
            (group.effect, group.weight_ppm) = (*effect, *weight);
        }
        let (levels, recency) = self.history.level_table();
        let now = estimates(table, None, &weights, &self.fit.effects, settings);
        let mut pooled = estimates(&levels, Some(&recency), &weights, &effects, settings);
        pooled.resize(now.len(), None);
        let hosters = now.into_iter().zip(pooled).map(|(now, pooled)| HosterFit { now, pooled }).collect();
        let groups = self.history.groups().iter().map(|group| GroupFit {
            effect: group.effect,
            trust_ppm: group.reputation.trust_ppm(),
            weight_ppm: group.weight_ppm,
        });
        let groups = groups.collect();
        *history = self.history;
        Evaluation { epoch: epoch.number, hosters, groups, flags, dispute }
    }
}

/// The estimate of every hoster of a table. `recency` is how much each cell counts of its group's weight, all of it when absent.
fn estimates(
    table: &Table,
    recency: Option<&[u32]>,
    weights: &[u32],
    effects: &[Fixed],
    settings: &Settings,
) -> Vec<Option<Estimate>> {
    let gauge = gauge(effect_spread(table, weights, effects));
    let mut voices = Vec::new();
    let estimate = |hoster| {
        row_voices(table, weights, effects, hoster, &mut voices);
        let mut recent = u64::from(FULL_WEIGHT).saturating_mul(voices.len() as u64);
        if let Some(recency) = recency {
            let recency = &recency[table.row_range(hoster)];
            let counted = voices.iter().zip(recency).filter(|(voice, _)| voice.weight > 0);
            recent = counted.map(|(_, recent)| u64::from(*recent)).sum();
            let scaled = |(voice, recent): (&mut Weighted, &u32)| {
                voice.weight = (u64::from(voice.weight) * u64::from(*recent) / u64::from(FULL_WEIGHT)) as u32;
            };
            voices.iter_mut().zip(recency).for_each(scaled);
        }
        cap_weights(&mut voices);
        let value = weighted_median(&mut voices)?;
        let (interval, bracket) = (of_median(&voices, recent, gauge, settings), bracket(&voices));
        let groups = voices.len() as u32;
        let spread = weighted_deviation(&mut voices, value)?;
        Some(Estimate { value, interval, bracket, spread, groups })
    };
    (0..table.hosters()).map(estimate).collect()
}

fn flags(pass: &Pass, suspects: &Table, found: &Collusion, barred: &[bool], settings: &Settings) -> Vec<Flag> {
    let mut members = found.members.iter().peekable();
    let copied = pass.history.copied_ppm();
    let reason = |group: u32| {
        let member = members.next_if(|member| member.group == group);
        let trust_ppm = pass.history.groups()[group as usize].reputation.trust_ppm();
        if barred[group as usize] {
            Some(FlagReason::Barred)
        } else if let Some(member) = member {
            Some(FlagReason::Collusion { pattern: member.pattern, distance: member.distance })
        } else if let Some(share_ppm) = copied[group as usize] {
            Some(FlagReason::Copied { share_ppm })
        } else {
            (trust_ppm < settings.trust_floor_ppm).then_some(FlagReason::Trust { trust_ppm })
        }
    };
    let reasons: Vec<Option<FlagReason>> = (0..barred.len() as u32).map(reason).collect();
    let flag = |(group, reason): (u32, Option<FlagReason>)| {
        let evidence = evidence(suspects, &found.entries, group, settings.evidence_rows);
        Some(Flag { group, reason: reason?, evidence })
    };
    (0..).zip(reasons).filter(|(_, reason)| reason.is_some()).filter_map(flag).collect()
}

/// Whether so much is flagged, or the groups are so evenly split, that the honest side cannot be told from the other. Groups count by
/// number: by trust, those that a majority of liars has discredited would weigh nothing.
fn dispute(suspects: &Table, flags: &[Flag], found: &Collusion, settings: &Settings) -> Option<Dispute> {
    let known = |group: usize| !suspects.column(group).is_empty();
    let all = (0..suspects.groups()).filter(|group| known(*group)).count() as u64;
    let flagged = flags.iter().filter(|flag| known(flag.group as usize)).count() as u64;
    let share_ppm = (flagged * 1_000_000).checked_div(all).unwrap_or(0) as u32;
    if share_ppm > settings.breaker_weight_ppm {
        return Some(Dispute::FlaggedWeight { share_ppm });
    }
    let split = found.split_ppm;
    (split >= settings.breaker_split_ppm).then_some(Dispute::EvenSplit { share_ppm: split })
}
