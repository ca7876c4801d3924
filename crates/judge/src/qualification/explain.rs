//! Why a hoster has its standing, how far each threshold is, and what would change it.

use serde::{Deserialize, Serialize};

use super::criteria::{Criterion, CriterionLine, lines};
use super::machine::{asks_down, due};
use super::{Evidence, Notice, Record, Standing};
use crate::policy::QualificationPolicy;

/// Why a hoster has its standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The standing.
    pub standing: Standing,
    /// The epoch since which.
    pub since_epoch: u64,
    /// A step down that is announced.
    pub notice: Option<Notice>,
    /// The evaluation is disputed: nothing changes.
    pub frozen: bool,
    /// Every criterion beside its thresholds, by weight.
    pub criteria: Vec<CriterionLine>,
    /// What leads up; absent from the best standing and from outside.
    pub up: Option<Way>,
    /// What leads down; absent from outside.
    pub down: Option<Way>,
}

/// What must happen for a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Where it leads.
    pub to: Standing,
    /// Up: all that is missing, nothing where the step is only a matter of time. Down: by how much each criterion must fall to ask for
    /// it, the nearest first; 0 where it already does.
    pub needs: Vec<Need>,
    /// The first epoch in which it can be taken.
    pub earliest_epoch: u64,
}

/// How far one criterion is from having its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The criterion.
    pub criterion: Criterion,
    /// The distance, parts per million of a share, else a count; absent where nothing is known of it.
    pub by: Option<u64>,
}

/// Why a hoster has its standing, how far each threshold is, and what would change it.
pub fn explain(record: &Record, evidence: &Evidence, policy: &QualificationPolicy) -> Explanation {
    let criteria = lines(record, evidence, policy);
    let next = record.last_epoch.max(evidence.epoch);
    Explanation {
        standing: record.standing,
        since_epoch: record.since_epoch,
        notice: record.notice,
        frozen: evidence.disputed,
        up: record.standing.up().map(|to| up(to, record, &criteria, next, policy)),
        down: record.standing.down().map(|to| down(to, record, &criteria, next, policy)),
        criteria,
    }
}

fn up(to: Standing, record: &Record, criteria: &[CriterionLine], next: u64, policy: &QualificationPolicy) -> Way {
    let deciding = criteria.iter().filter(|line| !line.observed_only);
    let missing = deciding.filter(|line| !line.enters || asks_down(record.standing, line));
    let needs = missing.map(|line| Need { criterion: line.criterion, by: line.to_enter.map(below) }).collect();
    let dwell = record.since_epoch.saturating_add(u64::from(policy.dwell_epochs));
    let vetted = match record.standing {
        Standing::Probation => record.registered_epoch.saturating_add(u64::from(policy.vetting_epochs)),
        _ => 0,
    };
    Way { to, needs, earliest_epoch: dwell.max(vetted).max(next) }
}

fn down(to: Standing, record: &Record, criteria: &[CriterionLine], next: u64, policy: &QualificationPolicy) -> Way {
    let is_time = record.standing == Standing::Suspended;
    let deciding = criteria.iter().filter(|line| {
        !line.observed_only && line.leave.is_some() && (line.criterion == Criterion::Suspension) == is_time
    });
    let mut needs: Vec<Need> = deciding
        .map(|line| {
            // At the threshold itself one stays, so that the fall is one more than the distance. Time is up when it is reached.
            let fall = |distance: i64| if is_time { above(distance) } else { above(distance.saturating_add(1)) };
            Need { criterion: line.criterion, by: line.to_leave.map(fall) }
        })
        .collect();
    needs.sort_by_key(|need| (need.by.is_none(), need.by, need.criterion));
    let waiting = needs.first().and_then(|need| need.by).filter(|_| is_time).unwrap_or(0);
    let earliest_epoch = match record.notice {
        Some(notice) => notice.due_epoch,
        None => due(record, next.saturating_add(waiting), policy),
    };
    Way { to, needs, earliest_epoch }
}

fn below(distance: i64) -> u64 {
    if distance < 0 { distance.unsigned_abs() } else { 0 }
}

fn above(distance: i64) -> u64 {
    u64::try_from(distance).unwrap_or(0)
}
