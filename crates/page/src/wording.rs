//! Figures in words, the same in every report.

use std::collections::BTreeMap;

use peermark_judge::Quantile;

use crate::format::{self, ABSENT, Quantity};

/// How a statement reads: as good news, as bad news, or as something that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// It cannot be told.
    Unknown,
}

/// One sentence of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// How it reads.
    pub standing: Standing,
    /// The sentence.
    pub text: String,
}

/// A percentile in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// `12.3 ms`, `≥ 10.0 s` where censored, `n/a` where there is no number.
    pub value: String,
    /// `[11.9, 13.1]`; absent where there is no number.
    pub interval: Option<String>,
}

/// A percentile and its interval. Values at or above the deadline are marked as lower bounds.
pub fn percentile(percentile: Option<Quantile>, deadline_ns: u64) -> Figure {
    let Some(Quantile { value, low, high, censored }) = percentile else {
        return Figure { value: ABSENT.to_owned(), interval: None };
    };
    let shown = format::duration(value);
    let bounds = [low, high].map(|bound| bound.map(|ns| (format::duration(ns), censored && ns >= deadline_ns)));
    let one_unit = bounds.iter().flatten().all(|(bound, _)| bound.unit == shown.unit);
    let [low, high] = bounds.map(|bound| match bound {
        None => ABSENT.to_owned(),
        Some((bound, at_deadline)) => {
            let Quantity { number, unit } = bound;
            let sign = if at_deadline { "≥" } else { "" };
            if one_unit { format!("{sign}{number}") } else { format!("{sign}{number} {unit}") }
        }
    });
    let value = if censored { format!("≥ {shown}") } else { shown.to_string() };
    Figure { value, interval: Some(format!("[{low}, {high}]")) }
}

/// Counts by name, largest first: `18 timeout, 4 node_down`.
pub fn tally(counts: &BTreeMap<String, u64>) -> String {
    let mut entries: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
    entries.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    entries.iter().map(|(name, n)| format!("{} {name}", format::count(**n))).collect::<Vec<_>>().join(", ")
}

/// Text on one line. Control characters and marks that reorder text would garble a terminal or a page; they become `\u{fffd}`.
pub fn printable(text: &str) -> String {
    let reorders = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let refused = |c: char| c.is_control() || reorders(c) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if refused(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}
