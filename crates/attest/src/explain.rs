//! `peermark explain HOSTER`: why it stands where it stands, how far each threshold is, what would change it. Schema
//! `peermark.explain/1`.

use peermark_judge::case::{EpochLine, FlagLine, HosterStatement, Placement};
use peermark_judge::qualification::{Need, Way};
use serde::{Deserialize, Serialize};

use crate::backtest::Observed;
use crate::source::{Basis, Judged};
use crate::table::columns;
use crate::words;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.explain/1";

/// Everything about one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What it rests on.
    pub basis: Basis,
    /// The hoster.
    pub hoster: HosterStatement,
    /// Every epoch in which something happened to it.
    pub history: Vec<EpochLine>,
    /// Groups whose voice about it does not count, with the evidence.
    pub flags: Vec<FlagLine>,
    /// What another policy would say of it, without effect.
    pub observed: Option<Observed>,
}

impl ExplainDocument {
    /// Everything about one hoster of a judged job; `None` for somebody who was not measured.
    pub fn new(judged: &Judged, hoster: &str, observed: Option<Observed>) -> Option<Self> {
        let statement = &judged.statement;
        let found = statement.hosters.iter().find(|other| other.hoster == hoster)?;
        let history = statement.epochs.iter().filter(|line| line.hoster == hoster && !line.events.is_empty());
        Some(Self {
            schema: SCHEMA.to_owned(),
            basis: judged.basis.clone(),
            hoster: found.clone(),
            history: history.cloned().collect(),
            flags: statement.flags.clone(),
            observed: observed.map(|observed| observed.only(hoster)),
        })
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let hoster = &self.hoster;
        let explanation = &hoster.explanation;
        let mut lines = self.basis.lines();
        lines.extend([
            String::new(),
            format!(
                "{}: {}; {} since epoch {}",
                hoster.hoster,
                words::fit(&hoster.fit),
                words::standing(explanation.standing),
                explanation.since_epoch
            ),
        ]);
        lines.extend(words::hindrances(&hoster.fit).iter().map(|why| format!("  because {}", words::hindrance(why))));
        if let Some(notice) = explanation.notice {
            lines.push(format!("  {}", words::event(&peermark_judge::qualification::Event::Noticed { notice })));
        }
        lines.extend([String::new(), "criteria, by weight".to_owned()]);
        lines.extend(self.criteria());
        lines.extend(explanation.up.iter().flat_map(|way| self.way(way, "up", "is missing")));
        lines.extend(explanation.down.iter().flat_map(|way| self.way(way, "down", "must fall by")));
        lines.extend(hoster.placements.iter().flat_map(placement));
        if !hoster.claims.is_empty() {
            lines.extend([
                String::new(),
                "what it says about itself (may lower what counts, never raise it)".to_owned(),
            ]);
        }
        lines.extend(hoster.claims.iter().map(|claim| {
            let used = claim.used_bps.map_or_else(
                || "nothing was measured".to_owned(),
                |bps| format!("{} counts", words::measured(peermark_judge::case::Metric::Egress, bps)),
            );
            let flag = if claim.flagged { "; FLAGGED: deviates again and again" } else { "" };
            let said = words::measured(peermark_judge::case::Metric::Egress, claim.egress_bps);
            format!("  {}: {said} of egress, {used}{flag}", claim.contract)
        }));
        if !self.history.is_empty() {
            lines.extend([String::new(), "history".to_owned()]);
        }
        lines.extend(self.history.iter().map(|line| {
            let events: Vec<String> = line.events.iter().map(words::event).collect();
            format!("  epoch {}: {}", line.epoch, events.join("; "))
        }));
        if !self.flags.is_empty() {
            lines.extend([String::new(), "voices that do not count".to_owned()]);
        }
        lines.extend(
            self.flags
                .iter()
                .map(|flag| format!("  {} ({}): {}", flag.group, flag.metric.as_str(), words::flag(&flag.reason))),
        );
        lines.extend(self.observed.iter().flat_map(Observed::lines));
        lines.join("\n")
    }

    fn criteria(&self) -> Vec<String> {
        let head = ["", "from", "to", "enter at", "distance", "leave below", "distance", ""].map(str::to_owned);
        let rows = self.hoster.explanation.criteria.iter().map(|line| {
            let value = |value| words::criterion_value(line.criterion, value);
            let says = match (line.leaves, line.enters) {
                (true, _) => "asks for a step down",
                (_, true) => "ok",
                _ => "not enough to enter",
            };
            let observed = if line.observed_only { " (observed only)" } else { "" };
            [
                line.criterion.as_str().to_owned(),
                value(line.low),
                value(line.high),
                value(line.enter),
                words::distance(line.criterion, line.to_enter),
                value(line.leave),
                words::distance(line.criterion, line.to_leave),
                format!("{says}{observed}"),
            ]
        });
        columns(std::iter::once(head).chain(rows))
    }

    fn way(&self, way: &Way, direction: &str, verb: &str) -> Vec<String> {
        let to = words::standing(way.to);
        let mut lines =
            vec![String::new(), format!("{direction}: {to}, in epoch {} at the earliest", way.earliest_epoch)];
        if way.needs.is_empty() {
            lines.push("  nothing is missing but time".to_owned());
        }
        lines.extend(way.needs.iter().map(|need: &Need| match need.by {
            None => format!("  {}: nothing is known of it", need.criterion.as_str()),
            Some(0) => format!("  {}: already asks for it", need.criterion.as_str()),
            by => format!("  {} {verb} {}", need.criterion.as_str(), words::criterion_value(need.criterion, by)),
        }));
        lines
    }
}

/// What was measured of it in one contract from one region.
fn placement(placement: &Placement) -> Vec<String> {
    let mut lines = vec![String::new(), format!("contract {}, seen from {}", placement.contract, placement.region)];
    let estimates = placement.estimates.iter().map(|estimate| {
        let value = |value: u64| words::measured(estimate.metric, value);
        let interval = match (estimate.low, estimate.high) {
            (Some(low), Some(high)) => format!("{} to {}", value(low), value(high)),
            _ => "no interval: too few groups".to_owned(),
        };
        let from = format!("{} values, {} groups, {} rounds", estimate.samples, estimate.groups, estimate.rounds);
        [format!("  {}", estimate.metric.as_str()), value(estimate.value), interval, from]
    });
    lines.extend(columns(estimates));
    lines.extend(columns(placement.terms.iter().map(crate::sla::cells)));
    lines
}
