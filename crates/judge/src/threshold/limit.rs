//! Limits with their units.

use super::{LimitUnit, Metric, ParseThresholdError};

/// Spellings of each unit with their factor, the largest first; the first that is exact is written.
fn spellings(unit: LimitUnit) -> &'static [(&'static str, f64)] {
    match unit {
        LimitUnit::Nanoseconds => &[("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1.0)],
        LimitUnit::Ratio => &[("%", 0.01), ("", 1.0)],
        LimitUnit::PerSecond => &[("", 1.0), ("/s", 1.0)],
    }
}

fn example(unit: LimitUnit) -> &'static str {
    match unit {
        LimitUnit::Nanoseconds => "50ms, 1.5s or 800us",
        LimitUnit::Ratio => "0.1% or 0.001, at most 100%",
        LimitUnit::PerSecond => "100 or 100/s",
    }
}

/// The limit in the metric's base unit: finite, not negative, a ratio at most 1.
pub(super) fn parse(metric: Metric, text: &str) -> Result<f64, ParseThresholdError> {
    let unit = metric.unit();
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(digits);
    let suffix = suffix.trim();
    let factor = spellings(unit).iter().find(|(name, _)| *name == suffix).map(|(_, factor)| *factor);
    let limit = number.parse::<f64>().ok().zip(factor).map(|(number, factor)| scaled(number, factor));
    match limit {
        Some(limit) if limit.is_finite() && (unit != LimitUnit::Ratio || limit <= 1.0) => Ok(limit),
        _ => Err(ParseThresholdError::BadLimit {
            metric: metric.as_str(),
            text: trimmed.to_owned(),
            example: example(unit),
        }),
    }
}

/// The limit as written, exact when read back.
pub(super) fn display(metric: Metric, limit: f64) -> String {
    // The last spelling has factor 1, and the shortest decimal form of a float reads back exactly.
    let mut shortest = format!("{limit}");
    if metric.unit() == LimitUnit::Nanoseconds {
        shortest.push_str("ns");
    }
    for (name, factor) in spellings(metric.unit()) {
        let number = if *factor < 1.0 { limit * factor.recip().round() } else { limit / factor };
        let written = format!("{number}{name}");
        if written.len() < shortest.len() && parse(metric, &written) == Ok(limit) {
            shortest = written;
        }
    }
    shortest
}

/// Percentages are divided by 100: 0.01 is no exact float, and 0.1 % should be the float nearest to 0.001.
fn scaled(number: f64, factor: f64) -> f64 {
    if factor < 1.0 { number / factor.recip().round() } else { number * factor }
}
