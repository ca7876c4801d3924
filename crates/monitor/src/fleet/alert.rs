//! Rules with hysteresis: a condition that comes and goes is told once when it comes and once when it is gone for good.
//!
//! A rule is looked at after every question to a node: raised when K of the last N looks found its condition, cleared when M in a
//! row did not. A question without an answer is no look at what only an answer could tell.

mod file;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use peermark_core::MonotonicNs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{AlertRule, FleetConfig};
use super::document::RaisedAlert;
use super::state::{FleetState, value_in_words};
use crate::desk::{TaskState, TaskStatus};

use file::AlertFile;
pub use file::AlertFileError;

/// The value of `schema` in what a webhook receives.
pub const SCHEMA: &str = "peermark.monitor-alert/1";

/// What a webhook receives: one document when an alert is raised and one when it is cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertNotice {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Names this notice alone. A receiver that sees it twice (the sender died between sending and noting that it had) may drop the
    /// second.
    pub id: String,
    /// Whether it began or ended.
    pub event: AlertEvent,
    /// The alert. When it ended, `detail` is what had been found.
    #[serde(flatten)]
    pub raised: RaisedAlert,
    /// When this was decided, Unix ms.
    pub at_ms: u64,
}

/// Whether an alert began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertEvent {
    /// It began.
    Raised,
    /// It ended.
    Cleared,
}

/// Most notices that wait for their receivers. A fleet of 1000 nodes whose link goes and comes makes 2000.
const MAX_OWED: usize = 4096;

/// What one rule looks at: rule, node, task.
type Key = (String, String, Option<String>);

/// The last looks of one rule at one thing.
#[derive(Debug, Default)]
struct Watch {
    /// One bit a look, the latest lowest.
    looks: u64,
    raised: Option<RaisedAlert>,
    /// How often it was raised, ever.
    raises: u64,
}

/// Every rule at work.
#[derive(Debug)]
pub struct Alerts {
    rules: Vec<AlertRule>,
    nodes: Vec<String>,
    watches: BTreeMap<Key, Watch>,
    /// Notices whose delivery was not settled yet, oldest first.
    owed: VecDeque<AlertNotice>,
    file: Option<PathBuf>,
    /// Whether the file says less than this does.
    is_unsaved: bool,
}

impl Alerts {
    /// The rules of a fleet. What is raised is kept in `file`, so that a restart raises nothing twice; without one it is forgotten.
    ///
    /// # Errors
    /// [`AlertFileError`] where the file is there and cannot be read.
    pub fn open(config: &FleetConfig, file: Option<PathBuf>) -> Result<Self, AlertFileError> {
        let nodes = config.node.iter().map(|node| node.name.clone()).collect();
        let rules = config.alert.clone();
        let (watches, owed) = (BTreeMap::new(), VecDeque::new());
        let mut alerts = Self { rules, nodes, watches, owed, file, is_unsaved: false };
        if let Some(path) = &alerts.file
            && let Some(kept) = AlertFile::read(path)?
        {
            // What rules or nodes say no more is not there any more; nobody is left to be told.
            let rule_names: Vec<&str> = config.alert.iter().map(|rule| rule.name.as_str()).collect();
            let is_known =
                |alert: &str, node: &str| rule_names.contains(&alert) && alerts.nodes.iter().any(|name| name == node);
            for kept in kept.watches.into_iter().filter(|kept| is_known(&kept.alert, &kept.node)) {
                // What was raised takes as many looks to clear as if nobody had stopped looking.
                let looks = if kept.raised.is_some() { u64::MAX } else { 0 };
                let watch = Watch { looks, raised: kept.raised, raises: kept.raises };
                alerts.watches.insert((kept.alert, kept.node, kept.task), watch);
            }
            alerts.owed = kept.owed.into();
        }
        Ok(alerts)
    }

    /// The alerts that are raised, in the order of their rules.
    pub fn raised(&self) -> Vec<RaisedAlert> {
        let order = |alert: &RaisedAlert| self.rules.iter().position(|rule| rule.name == alert.alert);
        let mut raised: Vec<RaisedAlert> = self.watches.values().filter_map(|watch| watch.raised.clone()).collect();
        raised.sort_by_key(order);
        raised
    }

    /// The rule of a name.
    pub fn rule(&self, name: &str) -> Option<&AlertRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// Notices that receivers are still to be told, oldest first.
    pub fn owed(&self) -> impl Iterator<Item = &AlertNotice> {
        self.owed.iter()
    }

    /// Looks at a node after it was asked. What is returned is owed until it is [settled](Self::settle), and known to the next
    /// process after [`save`](Self::save).
    pub fn look(&mut self, node: usize, state: &FleetState, now_ns: MonotonicNs, now_ms: u64) -> Vec<AlertNotice> {
        let mut notices = Vec::new();
        let name = self.nodes[node].clone();
        for rule in self.rules.clone() {
            if rule.node.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            for (task, found) in self.looks(&rule, node, state, now_ns) {
                let watch = self.watches.entry((rule.name.clone(), name.clone(), task.clone())).or_default();
                notices.extend(watch.look(&rule, found, &(name.clone(), task), now_ms));
            }
        }
        self.is_unsaved |= !notices.is_empty();
        self.owed.extend(notices.iter().cloned());
        notices
    }

    /// Drops the oldest notices beyond 4096, and returns how many these were.
    pub fn drop_excess(&mut self) -> usize {
        let excess = self.owed.len().saturating_sub(MAX_OWED);
        self.owed.drain(..excess);
        excess
    }

    /// A notice was delivered, or nobody will try any more.
    pub fn settle(&mut self, id: &str) {
        self.owed.retain(|notice| notice.id != id);
        self.is_unsaved = true;
    }

    /// Whether the file, where there is one, does not say all of this yet.
    pub fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// Writes the file, where there is one and it does not say all of this yet.
    ///
    /// # Errors
    /// [`AlertFileError`]; the alerts then stand in memory, but a restart may tell them again.
    pub fn save(&mut self) -> Result<(), AlertFileError> {
        if self.is_unsaved {
            self.write()?;
            self.is_unsaved = false;
        }
        Ok(())
    }

    /// What a rule finds at a node: by task, `Some(what)` where its condition holds.
    fn looks(
        &self,
        rule: &AlertRule,
        node: usize,
        state: &FleetState,
        now_ns: MonotonicNs,
    ) -> Vec<(Option<String>, Option<String>)> {
        let quiet_s = state.quiet_s(node, now_ns);
        if rule.silent {
            let found = state.is_silent(node, now_ns).then(|| format!("no answer for {quiet_s} s"));
            return vec![(None, found)];
        }
        // What is not run on purpose is not late.
        let is_paused = state.is_paused(node, now_ns);
        if is_paused && rule.age_over_s.is_some() {
            return Vec::new();
        }
        // Age goes on while a node says nothing; everything else has to be said.
        if state.is_failing(node) && rule.age_over_s.is_none() {
            return Vec::new();
        }
        let Some(said) = state.said(node) else { return Vec::new() };
        let wanted = |task: &&TaskStatus| {
            rule.task.as_ref().is_none_or(|only| *only == task.name) && task.state != TaskState::NotConfigured
        };
        let mut looks: Vec<_> = said
            .tasks
            .iter()
            .filter(wanted)
            .filter(|task| !(is_paused && task.state == TaskState::Stale && rule.state.contains(&TaskState::Stale)))
            .map(|task| (Some(task.name.clone()), condition(rule, task, quiet_s)))
            .collect();
        if is_paused {
            return looks;
        }
        // A task that is no longer there is no longer in a bad way.
        for ((alert, of, task), watch) in &self.watches {
            let is_gone = *alert == rule.name && *of == self.nodes[node] && watch.raised.is_some();
            if is_gone && !looks.iter().any(|(seen, _)| seen == task) {
                looks.push((task.clone(), None));
            }
        }
        looks
    }

    fn write(&self) -> Result<(), AlertFileError> {
        let Some(path) = &self.file else { return Ok(()) };
        let watches = self.watches.iter().filter(|(_, watch)| watch.raises > 0);
        let watches = watches.map(|((alert, node, task), watch)| file::KeptWatch {
            alert: alert.clone(),
            node: node.clone(),
            task: task.clone(),
            raised: watch.raised.clone(),
            raises: watch.raises,
        });
        AlertFile { schema: file::SCHEMA.into(), watches: watches.collect(), owed: self.owed.iter().cloned().collect() }
            .write(path)
    }
}

impl Watch {
    fn look(
        &mut self,
        rule: &AlertRule,
        found: Option<String>,
        (node, task): &(String, Option<String>),
        now_ms: u64,
    ) -> Option<AlertNotice> {
        self.looks = self.looks << 1 | u64::from(found.is_some());
        let latest = |count: u32| self.looks & (u64::MAX >> (64 - count.clamp(1, 64)));
        let [least, of] = rule.raise;
        let (event, raised) = match (&self.raised, found) {
            (None, Some(detail)) if latest(of).count_ones() >= least => {
                let raised = RaisedAlert {
                    alert: rule.name.clone(),
                    node: node.clone(),
                    task: task.clone(),
                    since_ms: now_ms,
                    detail,
                };
                self.raises += 1;
                self.raised = Some(raised.clone());
                (AlertEvent::Raised, raised)
            }
            (Some(_), None) if latest(rule.clear) == 0 => {
                // The looks that raised it shall not raise it again.
                self.looks = 0;
                (AlertEvent::Cleared, self.raised.take()?)
            }
            _ => return None,
        };
        let what = match event {
            AlertEvent::Raised => "raised",
            AlertEvent::Cleared => "cleared",
        };
        let of = task.as_deref().unwrap_or("-");
        // The count begins anew where no file keeps it; the moment does not.
        let id = format!("{}/{node}/{of}/{}/{}/{what}", rule.name, self.raises, raised.since_ms);
        Some(AlertNotice { schema: SCHEMA.to_owned(), id, event, raised, at_ms: now_ms })
    }
}

fn condition(rule: &AlertRule, task: &TaskStatus, quiet_s: u64) -> Option<String> {
    if rule.state.contains(&task.state) {
        let problem = task.problems.first();
        let word = super::state::CellState::from(task.state).as_str();
        return Some(problem.map_or_else(
            || word.to_owned(),
            |problem| format!("{word}: {}: {}. {}", problem.said.code, problem.said.detail, problem.advice),
        ));
    }
    let success = task.success.as_ref()?;
    if let Some(most) = rule.age_over_s {
        let age_s = success.age_s.saturating_add(quiet_s);
        return (age_s > most).then(|| format!("the latest success is {age_s} s old, more than {most} s"));
    }
    let value = success.value?;
    let words = |value| value_in_words(value, task.unit);
    match (rule.value_over, rule.value_under) {
        (Some(most), _) if value > most => Some(format!("{} is more than {}", words(value), words(most))),
        (_, Some(least)) if value < least => Some(format!("{} is less than {}", words(value), words(least))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
