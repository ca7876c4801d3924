//! A figure with its reference and the bar that it must hold.

use serde::Serialize;
use thiserror::Error;

/// The value of `schema` of every figure.
pub const SCHEMA: &str = "peermark.bench/1";

/// Which side of the bar is good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "bound", content = "limit")]
pub enum Hold {
    /// The value (or ratio, where there is a reference) is at least this.
    AtLeast(f64),
    /// The value (or ratio, where there is a reference) is at most this.
    AtMost(f64),
    /// Printed for the record.
    None,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Dotted name: `exchange.ratio_tcp_hashed`.
    pub name: &'static str,
    /// The median over the rounds.
    pub value: f64,
    /// Smallest and largest round.
    pub spread: (f64, f64),
    /// Unit of the value.
    pub unit: &'static str,
    /// What it is compared with.
    pub reference: String,
    /// The reference's median, where it was measured.
    pub reference_value: Option<f64>,
    /// Value divided by the reference's value, round by round; the median.
    pub ratio: Option<f64>,
    /// The bar.
    pub hold: Hold,
    /// Whether the bar is held; `null` without one.
    pub ok: Option<bool>,
    /// Rounds that were measured.
    pub rounds: usize,
    /// More to know about it, in plain words.
    pub notes: Vec<String>,
}

/// Why a benchmark gave no figure.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A process, file or socket of the benchmark failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of the product failed.
    #[error("{what}: {reason}")]
    Subject {
        /// What was done.
        what: &'static str,
        /// What it said.
        reason: String,
    },
}

impl BenchError {
    pub(crate) fn io(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(crate) fn subject(what: &'static str, reason: impl ToString) -> Self {
        Self::Subject { what, reason: reason.to_string() }
    }
}

impl Figure {
    /// A figure whose value is the ratio of subject to reference, round by round.
    pub fn of_ratio(
        name: &'static str,
        unit: &'static str,
        subject: &[f64],
        reference: (&str, &[f64]),
        hold: Hold,
    ) -> Self {
        let ratios: Vec<f64> = subject.iter().zip(reference.1).map(|(value, base)| value / base).collect();
        let mut figure = Self::of_values(name, unit, subject, hold);
        reference.0.clone_into(&mut figure.reference);
        figure.reference_value = Some(median(reference.1));
        figure.ratio = Some(median(&ratios));
        figure.ok = hold.holds(median(&ratios));
        figure
    }

    /// A figure that stands for itself.
    pub fn of_values(name: &'static str, unit: &'static str, values: &[f64], hold: Hold) -> Self {
        let value = median(values);
        let spread =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        Self {
            schema: SCHEMA,
            name,
            value,
            spread,
            unit,
            reference: String::new(),
            reference_value: None,
            ratio: None,
            hold,
            ok: hold.holds(value),
            rounds: values.len(),
            notes: Vec::new(),
        }
    }
}

impl Hold {
    pub(crate) fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(limit) => Some(value >= limit),
            Self::AtMost(limit) => Some(value <= limit),
            Self::None => None,
        }
    }
}

/// The median; not a number for no values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
