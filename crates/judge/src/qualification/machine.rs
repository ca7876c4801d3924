//! The steps between standings.

use super::criteria::{CriterionLine, lines};
use super::{Event, Evidence, Notice, Record, Standing};
use crate::policy::QualificationPolicy;

/// What an epoch made of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The record after it.
    pub record: Record,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Takes one epoch's evidence into account. An epoch that was already taken into account changes nothing.
pub fn step(record: &Record, evidence: &Evidence, policy: &QualificationPolicy) -> Step {
    let mut record = record.clone();
    let passed = evidence.epoch.saturating_sub(record.last_epoch);
    if passed == 0 || record.standing == Standing::Out {
        record.last_epoch = record.last_epoch.max(evidence.epoch);
        return Step { record, events: Vec::new() };
    }
    record.last_epoch = evidence.epoch;
    if evidence.disputed {
        if let Some(notice) = &mut record.notice {
            notice.due_epoch = notice.due_epoch.saturating_add(passed);
        }
        return Step { record, events: vec![Event::Frozen] };
    }
    let lines: Vec<CriterionLine> =
        lines(&record, evidence, policy).into_iter().filter(|line| !line.observed_only).collect();
    let mut events = Vec::new();
    // What was announced is the reason for as long as it asks for the step.
    let asking = || lines.iter().filter(|line| asks_down(record.standing, line));
    let announced = record.notice.and_then(|notice| asking().find(|line| line.criterion == notice.reason));
    match announced.or_else(|| asking().next()).copied() {
        Some(line) => fall(&mut record, evidence.epoch, &line, policy, &mut events),
        None => rise(&mut record, evidence.epoch, &lines, policy, &mut events),
    }
    Step { record, events }
}

/// Somebody who is out and has waited long enough, on probation again; `None` for everybody else.
pub fn readmit(record: &Record, epoch: u64, policy: &QualificationPolicy) -> Option<Record> {
    let waited = epoch.saturating_sub(record.since_epoch) >= u64::from(policy.readmit_epochs);
    (record.standing == Standing::Out && waited).then(|| Record::registered(epoch))
}

/// Whether a criterion asks for a step down from a standing: out of suspension leads only the time in it, so that who is measured
/// badly there has that long to mend it.
pub(super) fn asks_down(standing: Standing, line: &CriterionLine) -> bool {
    let is_time = line.criterion == super::Criterion::Suspension;
    line.leaves && (standing == Standing::Suspended) == is_time
}

/// The first epoch in which a step down may be taken that is announced now.
pub(super) fn due(record: &Record, epoch: u64, policy: &QualificationPolicy) -> u64 {
    let notice = epoch.saturating_add(u64::from(policy.notice_epochs.max(1)));
    notice.max(record.since_epoch.saturating_add(u64::from(policy.dwell_epochs)))
}

fn fall(record: &mut Record, epoch: u64, line: &CriterionLine, policy: &QualificationPolicy, events: &mut Vec<Event>) {
    let Some(to) = record.standing.down() else { return };
    if let Some(notice) = &mut record.notice
        && notice.reason != line.criterion
    {
        // The date stands, or changing reasons would put the step off for ever; the notice names the reason that there is.
        *notice = Notice { reason: line.criterion, given_epoch: epoch, ..*notice };
        events.push(Event::Noticed { notice: *notice });
    }
    match record.notice {
        Some(notice) if notice.due_epoch <= epoch => {
            record.notice = None;
            move_to(record, to, epoch, Some(line.criterion), events);
        }
        Some(_) => {}
        None => {
            let due_epoch = due(record, epoch, policy);
            let notice = Notice { to, reason: line.criterion, given_epoch: epoch, due_epoch };
            record.notice = Some(notice);
            events.push(Event::Noticed { notice });
        }
    }
}

fn rise(
    record: &mut Record,
    epoch: u64,
    lines: &[CriterionLine],
    policy: &QualificationPolicy,
    events: &mut Vec<Event>,
) {
    if let Some(notice) = record.notice.take() {
        events.push(Event::Withdrawn { notice });
    }
    let stayed = epoch.saturating_sub(record.since_epoch) >= u64::from(policy.dwell_epochs);
    if let Some(to) = record.standing.up().filter(|_| stayed && lines.iter().all(|line| line.enters)) {
        move_to(record, to, epoch, None, events);
    }
}

fn move_to(record: &mut Record, to: Standing, epoch: u64, reason: Option<super::Criterion>, events: &mut Vec<Event>) {
    let from = std::mem::replace(&mut record.standing, to);
    record.since_epoch = epoch;
    events.push(Event::Moved { from, to, reason });
}
