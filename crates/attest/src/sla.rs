//! `peermark sla CONTRACT`: is what was promised kept? Verdicts, windows, causes, budgets. Schema `peermark.sla/1`.

use peermark_judge::case::{Placement, TermFinding};
use peermark_judge::verdict::Verdict;
use peermark_judge::windows::WindowStatement;
use serde::{Deserialize, Serialize};

use crate::backtest::Observed;
use crate::source::{Basis, Judged};
use crate::table::columns;
use crate::words;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.sla/1";

/// The promises of one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What it rests on.
    pub basis: Basis,
    /// The contract.
    pub contract: String,
    /// Every hoster of it, by name, seen from every region.
    pub hosters: Vec<SlaLine>,
    /// What another policy would say, without effect.
    pub observed: Option<Observed>,
}

/// One hoster of the contract, seen from one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaLine {
    /// Who.
    pub hoster: String,
    /// The region.
    pub region: String,
    /// Every promise.
    pub terms: Vec<TermFinding>,
    /// Hour, day and month: availability, its causes and its budget.
    pub windows: Vec<WindowStatement>,
}

impl SlaDocument {
    /// The promises of a contract of a judged job; `None` for one that was not measured.
    pub fn new(judged: &Judged, contract: &str, observed: Option<Observed>) -> Option<Self> {
        let line = |hoster: &str, placement: &Placement| SlaLine {
            hoster: hoster.to_owned(),
            region: placement.region.clone(),
            terms: placement.terms.clone(),
            windows: placement.windows.clone(),
        };
        let hosters: Vec<SlaLine> = judged
            .statement
            .hosters
            .iter()
            .flat_map(|hoster| hoster.placements.iter().map(move |placement| (hoster, placement)))
            .filter(|(_, placement)| placement.contract == contract)
            .map(|(hoster, placement)| line(&hoster.hoster, placement))
            .collect();
        (!hosters.is_empty()).then(|| Self {
            schema: SCHEMA.to_owned(),
            basis: judged.basis.clone(),
            contract: contract.to_owned(),
            hosters,
            observed,
        })
    }

    /// Whether any promise FAILS.
    pub fn is_broken(&self) -> bool {
        self.hosters.iter().flat_map(|hoster| &hoster.terms).any(|term| term.finding.verdict == Verdict::Fails)
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = self.basis.lines();
        for hoster in &self.hosters {
            lines.extend([
                String::new(),
                format!("contract {}, hoster {}, seen from {}", self.contract, hoster.hoster, hoster.region),
            ]);
            lines.extend(columns(hoster.terms.iter().map(cells)));
            let head = ["  window", "available", "probes", "failed", "left out", "budget used", "causes"];
            let rows = hoster.windows.iter().map(window);
            lines.extend(columns(std::iter::once(head.map(str::to_owned)).chain(rows)));
        }
        lines.extend(self.observed.iter().flat_map(Observed::lines));
        lines.join("\n")
    }
}

/// One promise: what was promised, the verdict, what it rests on.
pub(crate) fn cells(term: &TermFinding) -> [String; 4] {
    let mut found = words::found(term);
    if let Some(level) = term.meets_level {
        found.push_str(&format!(", MEETS and the lower end at {}", words::level(term.term, level)));
    }
    if term.unclear > 0 {
        found.push_str(&format!(", {} too near to tell", term.unclear));
    }
    if term.finding.verdict == Verdict::Disputed {
        found.push_str(&format!("; until it is settled {} stands", words::verdict(&term.standing)));
    }
    [
        format!("  {}", term.term.as_str()),
        words::promise(term.term, term.level, term.guarantee_ppm),
        words::verdict_because(&term.finding.verdict),
        found,
    ]
}

fn window(window: &WindowStatement) -> [String; 7] {
    let causes: Vec<String> = window
        .causes
        .iter()
        .map(|cause| format!("{} {} ({})", cause.count, cause.outcome.as_str(), words::short(cause.share_ppm)))
        .collect();
    let burn = window.budget.map_or_else(
        || "-".to_owned(),
        |budget| match budget.burn_ppm {
            u64::MAX => "without end".to_owned(),
            burn => format!("{}.{:02} x", burn / 1_000_000, burn % 1_000_000 / 10_000),
        },
    );
    [
        format!("  {}", window.window.as_str()),
        window.availability_ppm.map_or_else(|| "n/a".to_owned(), words::short),
        window.counted.to_string(),
        window.failed.to_string(),
        window.excluded.to_string(),
        burn,
        causes.join(", "),
    ]
}
