//! Rules about hosters themselves, whatever job they are judged by: how full they are, and whether they report.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peermark_judge::alert::{Memory, Metric, Round, Rule};
use peermark_judge::case::AlertLine;
use serde::{Deserialize, Serialize};

use super::super::super::State;
use super::super::super::accounts::Account;
use super::Court;
use crate::Id;
use crate::item::judged::JobKey;
use crate::item::record::{Body, SelfReportShort};
use crate::item::user::Role;
use crate::item::{Record, Resources, User};
use crate::outcome::Refusal;

/// Most values of a window that are kept.
const MOST_VALUES: usize = 1_024;

/// What is remembered of a rule about a hoster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    memory: Memory,
    /// Second and value, oldest first.
    values: VecDeque<(u64, i64)>,
}

/// Name of the rule, and the hoster.
pub(crate) type WatchKey = (String, Id);

impl State {
    /// Lets the rules about hosters look at an epoch: at what they are missing reports of, and at how full the last reports that are all
    /// in say that they were. Whoever hosts nothing is not looked at, and forgotten.
    pub(in crate::state::work) fn watch_hosters(
        &mut self,
        ended: u64,
        missing: &BTreeMap<Id, i64>,
    ) -> Result<(), Refusal> {
        let judge = self.judge_policy();
        let is_ours = |rule: &&Rule| matches!(rule.metric, Metric::UtilisationPpm | Metric::MissingReports);
        let rules: Vec<&Rule> = judge.alerts.iter().filter(is_ours).collect();
        let hosters: BTreeSet<Id> = self.hostings.iter().map(|((hoster, _), _)| *hoster).collect();
        let over: Vec<WatchKey> = self
            .watches
            .iter()
            .map(|(key, _)| key)
            .filter(|(rule, hoster)| !hosters.contains(hoster) || !rules.iter().any(|other| other.name == *rule))
            .cloned()
            .collect();
        over.iter().for_each(|key| _ = self.watches.take(key));
        let end_s = self.height.saturating_mul(self.policy().block_seconds.into()).saturating_sub(1);
        let mut lines = Vec::new();
        for rule in rules {
            for hoster in &hosters {
                let value = match rule.metric {
                    Metric::MissingReports => missing.get(hoster).copied(),
                    _ => self.utilisation_of(*hoster, ended)?,
                };
                lines.extend(self.look(rule, *hoster, (ended, end_s), value));
            }
        }
        let key = JobKey::default();
        let court = Court { observed: None, key: &key, epoch: ended, judge: &judge };
        let alerts = self.record_alerts(&lines, &court);
        self.schedule_alerts(&alerts);
        Ok(())
    }

    fn look(&mut self, rule: &Rule, hoster: Id, (number, at_s): (u64, u64), value: Option<i64>) -> Option<AlertLine> {
        let key = (rule.name.clone(), hoster);
        let mut watch = self.watches.get(&key).cloned().unwrap_or_default();
        watch.values.extend(value.map(|value| (at_s, value)));
        let first = at_s.saturating_sub(rule.window.seconds());
        let is_old = |(at_s, _): &(u64, i64)| *at_s < first;
        while watch.values.len() > MOST_VALUES || watch.values.front().is_some_and(is_old) {
            watch.values.pop_front();
        }
        let values: Vec<i64> = watch.values.iter().map(|(_, value)| *value).collect();
        // Where rules change the length of an epoch, numbers go on from where they were.
        let number = watch.memory.last_round.map_or(number, |last| number.max(last.saturating_add(1)));
        let (memory, event) = rule.look(&watch.memory, &Round { number, at_s, subject: hoster, values: &values });
        watch.memory = memory;
        self.watches.put(key, watch);
        event.map(|event| AlertLine { hoster: hoster.to_string(), event })
    }

    /// The fullest of a hoster's resources, parts per million: tasks and bytes that it holds, and what it reported of the epoch before to
    /// have sent, received and computed, beside what it offered. That it says so itself can only count against it.
    fn utilisation_of(&self, hoster: Id, ended: u64) -> Result<Option<i64>, Refusal> {
        let Ok(User { form: Some(form), .. }) = self.item::<User>(hoster) else { return Ok(None) };
        let offered = self.item::<Resources>(form.resources)?;
        let tasks = self.jobs_of(hoster).filter(|(role, ..)| *role == Role::Hoster).count() as u64;
        let bytes = self.held_bytes(hoster);
        let mut shares = vec![
            share(
                tasks.into(),
                u128::from(tasks) + u128::from(self.balance(&Account::FreeSlots(hoster, Role::Hoster))),
            ),
            share(bytes.into(), u128::from(bytes) + u128::from(self.balance(&Account::FreeBytes(hoster)))),
        ];
        if let Some(before) = ended.checked_sub(1) {
            let blocks = self.epoch_span(before).map_or(self.policy().epoch_blocks, |span| span.blocks);
            let seconds = u128::from(blocks) * u128::from(self.policy().block_seconds);
            let sum = self.used_by(hoster, before)?;
            shares.push(share(sum.sent * 8, u128::from(offered.upload_bits_per_s) * seconds));
            shares.push(share(sum.received * 8, u128::from(offered.download_bits_per_s) * seconds));
            shares.push(share(sum.cpu_ms, u128::from(offered.cpu_milli) * seconds));
            shares.push(share(sum.memory, offered.memory_bytes.into()));
        }
        Ok(shares.into_iter().flatten().max())
    }

    fn used_by(&self, hoster: Id, epoch: u64) -> Result<Used, Refusal> {
        let mut used = Used::default();
        for (contract, _) in self.hosted_by(hoster) {
            let Some(record) = self.self_reports.get(&(epoch, contract, hoster)) else { continue };
            let Body::SelfReport(report) = &self.item::<Record>(*record)?.body else { continue };
            let SelfReportShort { ingress, egress, resources, .. } = report;
            used.sent += u128::from(egress.bytes);
            used.received += u128::from(ingress.bytes);
            used.cpu_ms += u128::from(resources.cpu_ms.unwrap_or(0));
            used.memory += u128::from(resources.memory_bytes.unwrap_or(0));
        }
        Ok(used)
    }
}

/// What a hoster says that it used in an epoch.
#[derive(Default)]
struct Used {
    sent: u128,
    received: u128,
    cpu_ms: u128,
    memory: u128,
}

/// Parts per million; `None` of what is not offered.
fn share(used: u128, of: u128) -> Option<i64> {
    let ppm = used.saturating_mul(1_000_000).checked_div(of)?;
    Some(i64::try_from(ppm).unwrap_or(i64::MAX))
}
