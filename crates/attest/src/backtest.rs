//! Which past decisions another policy would have made. Schema `peermark.backtest/1`.

use std::collections::{BTreeMap, BTreeSet};

use peermark_judge::case::{EpochLine, Fit, Term};
use peermark_judge::verdict::Verdict;
use peermark_page::format;
use serde::{Deserialize, Serialize};

use crate::source::{Basis, Judged};
use crate::table::columns;
use crate::words;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.backtest/1";

/// What stands where a policy has not decided anything yet.
const UNKNOWN: &str = "not known yet";

/// Two policies over the same evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacktestDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What it rests on; the policy is the first.
    pub basis: Basis,
    /// The first policy.
    pub a: String,
    /// The second policy.
    pub b: String,
    /// Decisions that were compared: every hoster at every end of an epoch of either policy.
    pub decisions: u64,
    /// Those that differ in anything.
    pub changed: u64,
    /// What differs, by hoster and time.
    pub changes: Vec<Change>,
    /// Who might be given the job at the end under one policy and not, or otherwise, under the other.
    pub fits: Vec<FitChange>,
}

/// Whether a hoster may have the job, where the two policies do not agree at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitChange {
    /// Who.
    pub hoster: String,
    /// What the first policy says.
    pub a: String,
    /// What the second says.
    pub b: String,
    /// What hinders it under the first.
    pub a_because: Vec<String>,
    /// What hinders it under the second.
    pub b_because: Vec<String>,
}

/// One decision that differs, for as long as it does in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who.
    pub hoster: String,
    /// `standing` or a promise.
    pub what: String,
    /// Second from which on it differs: the end of an epoch.
    pub from_s: u64,
    /// Second until which it is known to differ: the end of an epoch.
    pub to_s: u64,
    /// What the first policy decided.
    pub a: String,
    /// What the second would have decided.
    pub b: String,
    /// Why it begins to differ.
    pub why: String,
}

/// What another policy would say beside the one that holds. It decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Name and version of the observed policy.
    pub policy: String,
    /// What it would decide otherwise in the last epoch.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Who.
    pub hoster: String,
    /// What: whether it may have the job, its standing, or a promise.
    pub what: String,
    /// What holds.
    pub holds: String,
    /// What the observed policy would say.
    pub would_be: String,
}

impl BacktestDocument {
    /// Compares what two policies decide over the same evidence.
    pub fn new(a: &Judged, b: &Judged) -> Self {
        let mut found = Differences::default();
        let (mut decisions, mut changed) = (0, 0);
        let (first, second) = (by_hoster(a), by_hoster(b));
        let hosters: BTreeSet<&str> = first.keys().chain(second.keys()).copied().collect();
        for hoster in hosters {
            let [one, other] = [(&first, a), (&second, b)]
                .map(|(lines, judged)| Past { lines: lines.get(hoster).map_or(&[], Vec::as_slice), judged });
            let ends: BTreeSet<u64> = one.ends().chain(other.ends()).collect();
            for end_s in ends {
                decisions += 1;
                changed += u64::from(found.compare(hoster, end_s, one.at(end_s), other.at(end_s)));
            }
        }
        Self {
            schema: SCHEMA.to_owned(),
            basis: a.basis.clone(),
            a: a.basis.policy.clone(),
            b: b.basis.policy.clone(),
            decisions,
            changed,
            changes: found.changes,
            fits: fits(a, b),
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = self.basis.lines();
        lines.extend([
            String::new(),
            format!("{} against {}: {} of {} decisions differ", self.a, self.b, self.changed, self.decisions),
        ]);
        if !self.changes.is_empty() {
            let head = ["hoster", "what", "at the ends of epochs", "was", "would be", "why"].map(str::to_owned);
            let rows = self.changes.iter().map(|change| {
                let utc = |second: u64| format::utc(second.saturating_mul(1_000)).to_string();
                let when = match change.from_s == change.to_s {
                    true => utc(change.from_s),
                    false => format!("{} to {}", utc(change.from_s), utc(change.to_s)),
                };
                let Change { hoster, what, a, b, why, .. } = change.clone();
                [hoster, what, when, a, b, why]
            });
            lines.extend(columns(std::iter::once(head).chain(rows)));
        }
        lines.push(String::new());
        lines.push(match self.fits.len() {
            0 => "at the end both give the job to the same hosters".to_owned(),
            count => format!("at the end {} may have the job otherwise", format::counted(count as u64, "hoster")),
        });
        lines.extend(self.fits.iter().map(|fit| {
            let why = |because: &[String]| match because {
                [] => String::new(),
                because => format!(" ({})", because.join("; ")),
            };
            let FitChange { hoster, a, b, a_because, b_because } = fit;
            format!("  {hoster}: {a}{} -> {b}{}", why(a_because), why(b_because))
        }));
        lines.join("\n")
    }
}

/// What one policy decided about one hoster, by time.
#[derive(Clone, Copy)]
struct Past<'a> {
    lines: &'a [&'a EpochLine],
    judged: &'a Judged,
}

impl<'a> Past<'a> {
    fn end_s(&self, line: &EpochLine) -> u64 {
        line.epoch.saturating_add(1).saturating_mul(self.judged.epoch_s)
    }

    fn ends(self) -> impl Iterator<Item = u64> + 'a {
        self.lines.iter().map(move |line| self.end_s(line))
    }

    /// What held at a second: what the last epoch that was over decided.
    fn at(&self, second: u64) -> Option<&'a EpochLine> {
        self.lines[..self.lines.partition_point(|line| self.end_s(line) <= second)].last().copied()
    }
}

fn fits(a: &Judged, b: &Judged) -> Vec<FitChange> {
    let of = |judged: &Judged| -> BTreeMap<String, Fit> {
        judged.statement.hosters.iter().map(|hoster| (hoster.hoster.clone(), hoster.fit.clone())).collect()
    };
    let (first, second) = (of(a), of(b));
    let hosters: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let word = |fit: Option<&Fit>| fit.map_or(UNKNOWN, words::fit).to_owned();
    let because = |fit: Option<&Fit>| -> Vec<String> {
        fit.map_or(&[][..], words::hindrances).iter().map(words::hindrance).collect()
    };
    hosters
        .into_iter()
        .map(|hoster| (hoster, first.get(hoster), second.get(hoster)))
        .filter(|(_, one, other)| word(*one) != word(*other))
        .map(|(hoster, one, other)| FitChange {
            hoster: hoster.clone(),
            a: word(one),
            b: word(other),
            a_because: because(one),
            b_because: because(other),
        })
        .collect()
}

/// Differences of one hoster after the other; what goes on at the next end of an epoch is the same change.
#[derive(Default)]
struct Differences {
    changes: Vec<Change>,
    /// The last second at which a hoster's decisions were compared.
    last_s: BTreeMap<String, u64>,
}

impl Differences {
    /// Compares two decisions about a hoster; whether anything differs.
    fn compare(&mut self, hoster: &str, end_s: u64, a: Option<&EpochLine>, b: Option<&EpochLine>) -> bool {
        let before = self.last_s.insert(hoster.to_owned(), end_s);
        let mut add = |what: &str, a: &str, b: &str, why: &str| self.add(hoster, (before, end_s), what, [a, b], why);
        let (line, other) = match (a, b) {
            (Some(line), Some(other)) => (line, other),
            (Some(line), None) => {
                add("standing", words::standing(line.record.standing), UNKNOWN, "its first epoch ends later");
                return true;
            }
            (None, Some(other)) => {
                add("standing", UNKNOWN, words::standing(other.record.standing), "its first epoch ends earlier");
                return true;
            }
            (None, None) => return false,
        };
        let mut differs = false;
        if line.record.standing != other.record.standing {
            let (a, b) = (words::standing(line.record.standing), words::standing(other.record.standing));
            let events = line.events.iter().map(|event| ("was", event));
            let events = events.chain(other.events.iter().map(|event| ("would be", event)));
            let why: Vec<String> = events.map(|(whose, event)| format!("{whose}: {}", words::event(event))).collect();
            add("standing", a, b, &why.join("; "));
            differs = true;
        }
        for (term, verdict) in &line.verdicts {
            let Some(would_be) = verdict_of(other, *term) else { continue };
            if words::verdict(verdict) != words::verdict(&would_be) {
                let why = format!("{} / {}", words::verdict_because(verdict), words::verdict_because(&would_be));
                add(term.as_str(), words::verdict(verdict), words::verdict(&would_be), &why);
                differs = true;
            }
        }
        differs
    }

    fn add(&mut self, hoster: &str, (before, end_s): (Option<u64>, u64), what: &str, [a, b]: [&str; 2], why: &str) {
        let goes_on = self
            .changes
            .iter_mut()
            .rev()
            .take_while(|change| change.hoster == hoster)
            .find(|change| change.what == what && change.a == a && change.b == b && Some(change.to_s) == before);
        match goes_on {
            Some(change) => change.to_s = end_s,
            None => self.changes.push(Change {
                hoster: hoster.to_owned(),
                what: what.to_owned(),
                from_s: end_s,
                to_s: end_s,
                a: a.to_owned(),
                b: b.to_owned(),
                why: why.to_owned(),
            }),
        }
    }
}

impl Observed {
    /// What an observed policy would say beside the one that holds.
    pub fn new(holds: &Judged, observed: &Judged) -> Self {
        let mut differences = Vec::new();
        for hoster in &holds.statement.hosters {
            let others = &observed.statement.hosters;
            let Some(other) = others.iter().find(|other| other.hoster == hoster.hoster) else { continue };
            let mut compare = |what: &str, holds: &str, would_be: &str| {
                if holds != would_be {
                    differences.push(Difference {
                        hoster: hoster.hoster.clone(),
                        what: what.to_owned(),
                        holds: holds.to_owned(),
                        would_be: would_be.to_owned(),
                    });
                }
            };
            compare("may have the job", words::fit(&hoster.fit), words::fit(&other.fit));
            compare("standing", words::standing(hoster.record.standing), words::standing(other.record.standing));
            let last = |judged: &Judged| {
                judged.statement.epochs.iter().rev().find(|line| line.hoster == hoster.hoster).cloned()
            };
            if let (Some(line), Some(beside)) = (last(holds), last(observed)) {
                for (term, verdict) in &line.verdicts {
                    if let Some(would_be) = verdict_of(&beside, *term) {
                        compare(term.as_str(), words::verdict(verdict), words::verdict(&would_be));
                    }
                }
            }
        }
        Self { policy: observed.basis.policy.clone(), differences }
    }

    /// Only what is about one hoster.
    pub fn only(mut self, hoster: &str) -> Self {
        self.differences.retain(|difference| difference.hoster == hoster);
        self
    }

    /// The lines of a text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![String::new(), format!("observed only, without effect: {} would decide otherwise", self.policy)];
        if self.differences.is_empty() {
            lines.push("  nothing".to_owned());
        }
        lines.extend(self.differences.iter().map(|difference| {
            let Difference { hoster, what, holds, would_be } = difference;
            format!("  {hoster}, {what}: {holds} -> {would_be}")
        }));
        lines
    }
}

fn verdict_of(line: &EpochLine, term: Term) -> Option<Verdict> {
    line.verdicts.iter().find(|(other, _)| *other == term).map(|(_, verdict)| *verdict)
}

/// Decisions by hoster, each in the order of epochs.
fn by_hoster(judged: &Judged) -> BTreeMap<&str, Vec<&EpochLine>> {
    let mut lines: BTreeMap<&str, Vec<&EpochLine>> = BTreeMap::new();
    for line in &judged.statement.epochs {
        lines.entry(&line.hoster).or_default().push(line);
    }
    lines
}
