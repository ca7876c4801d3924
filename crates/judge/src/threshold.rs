//! Limits that a run has to keep, written as `fetch.p99<50ms`.
//!
//! Grammar: `[phase/]operation.metric`, one of `<`, `<=`, `>`, `>=`, and a limit in the metric's unit. Latencies (`p50`, `p90`, `p99`,
//! `max`) take `ns`, `us`, `ms` or `s`; `error_ratio` takes a ratio or a `%`; `rate` takes operations per second, with or without
//! `/s`. Spaces around the parts are ignored.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

mod limit;

/// A limit that one metric of one operation has to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The phase it holds for; every phase with the operation when absent.
    pub phase: Option<String>,
    /// The operation, such as `fetch`.
    pub op: String,
    /// What is limited.
    pub metric: Metric,
    /// How the value must compare with the limit.
    pub comparison: Comparison,
    /// The limit: nanoseconds, ratio (0 to 1) or operations per second, by [`Metric::unit`].
    pub limit: f64,
}

/// What a threshold limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Median latency.
    P50,
    /// 90th percentile of latency.
    P90,
    /// 99th percentile of latency.
    P99,
    /// Largest latency.
    Max,
    /// Share of operations that failed.
    ErrorRatio,
    /// Completed operations per second.
    Rate,
}

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// Nanoseconds.
    Nanoseconds,
    /// A ratio from 0 to 1.
    Ratio,
    /// Operations per second.
    PerSecond,
}

/// How a value must compare with the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Below the limit.
    Less,
    /// At most the limit.
    LessOrEqual,
    /// Above the limit.
    Greater,
    /// At least the limit.
    GreaterOrEqual,
}

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseThresholdError {
    /// No `<`, `<=`, `>` or `>=`.
    #[error("no comparison in {text:?} (write for example fetch.p99<50ms)")]
    NoComparison {
        /// The text.
        text: String,
    },
    /// No `operation.metric` before the comparison.
    #[error("no metric in {text:?} (write operation.metric, for example fetch.p99)")]
    NoMetric {
        /// What stands before the comparison.
        text: String,
    },
    /// An empty name, or one with other characters than letters, digits, `_`, `-` and `.`.
    #[error("not a name: {name:?} (letters, digits, '_', '-' and '.')")]
    BadName {
        /// The name.
        name: String,
    },
    /// A metric that does not exist.
    #[error("unknown metric {name:?}, did you mean {nearest}? (known: p50, p90, p99, max, error_ratio, rate)")]
    UnknownMetric {
        /// The name.
        name: String,
        /// The known name nearest to it.
        nearest: &'static str,
    },
    /// A limit that is no number in the metric's unit.
    #[error("not a limit for {metric}: {text:?} (write {example})")]
    BadLimit {
        /// The metric.
        metric: &'static str,
        /// What stands after the comparison.
        text: String,
        /// A limit of the right unit.
        example: &'static str,
    },
}

impl Threshold {
    /// Whether `value`, in the unit of the limit, keeps it. A value that is not a number keeps none.
    pub fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.limit,
            Comparison::LessOrEqual => value <= self.limit,
            Comparison::Greater => value > self.limit,
            Comparison::GreaterOrEqual => value >= self.limit,
        }
    }
}

impl Metric {
    /// Every metric, in declaration order.
    pub const ALL: [Self; 6] = [Self::P50, Self::P90, Self::P99, Self::Max, Self::ErrorRatio, Self::Rate];

    /// The name in a threshold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::ErrorRatio => "error_ratio",
            Self::Rate => "rate",
        }
    }

    /// The unit of its limits.
    pub fn unit(self) -> LimitUnit {
        match self {
            Self::P50 | Self::P90 | Self::P99 | Self::Max => LimitUnit::Nanoseconds,
            Self::ErrorRatio => LimitUnit::Ratio,
            Self::Rate => LimitUnit::PerSecond,
        }
    }
}

impl Comparison {
    /// The sign in a threshold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl FromStr for Threshold {
    type Err = ParseThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (subject, comparison, limit) = split_comparison(text)?;
        let (phase, rest) = match subject.split_once('/') {
            Some((phase, rest)) => (Some(name(phase)?), rest),
            None => (None, subject),
        };
        let (op, metric) =
            rest.rsplit_once('.').ok_or_else(|| ParseThresholdError::NoMetric { text: subject.trim().to_owned() })?;
        let op = name(op)?;
        let metric = metric.trim().parse()?;
        Ok(Self { phase, op, metric, comparison, limit: limit::parse(metric, limit)? })
    }
}

impl FromStr for Metric {
    type Err = ParseThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text).ok_or_else(|| {
            // Favours a common beginning: `errors` is near to `error_ratio`, not to `rate`.
            let likeness = |metric: &Self| strsim::jaro_winkler(metric.as_str(), &text.to_ascii_lowercase());
            let nearest = Self::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            let nearest = nearest.map_or("p50", Self::as_str);
            ParseThresholdError::UnknownMetric { name: text.to_owned(), nearest }
        })
    }
}

impl fmt::Display for Threshold {
    /// The shortest spelling that reads back as the same threshold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(phase) = &self.phase {
            write!(f, "{phase}/")?;
        }
        let limit = limit::display(self.metric, self.limit);
        write!(f, "{}.{}{}{limit}", self.op, self.metric.as_str(), self.comparison.as_str())
    }
}

fn split_comparison(text: &str) -> Result<(&str, Comparison, &str), ParseThresholdError> {
    let no_comparison = || ParseThresholdError::NoComparison { text: text.to_owned() };
    let at = text.find(['<', '>']).ok_or_else(no_comparison)?;
    let (subject, rest) = text.split_at(at);
    // The longer sign first: "<=" begins with "<".
    [Comparison::LessOrEqual, Comparison::GreaterOrEqual, Comparison::Less, Comparison::Greater]
        .into_iter()
        .find_map(|comparison| rest.strip_prefix(comparison.as_str()).map(|limit| (subject, comparison, limit)))
        .ok_or_else(no_comparison)
}

fn name(text: &str) -> Result<String, ParseThresholdError> {
    let name = text.trim();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_allowed) {
        return Err(ParseThresholdError::BadName { name: name.to_owned() });
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
