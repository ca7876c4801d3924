//! Durations as Go writes them: `1h30m`, `1.5h`, `90s`.

use std::time::Duration;

/// Nanoseconds in each unit that Go knows.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// Longest duration, as in Go: what a signed 64-bit number of nanoseconds holds.
const MAX_NS: f64 = i64::MAX as f64;

/// Reads `[+](number unit)+` or `0`. The source of the grammar is Go's `time.ParseDuration`; negative ones are refused.
pub(super) fn go_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(format!("negative duration {text:?}"));
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total_ns = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        if unit.is_empty() {
            return Err(format!("missing unit in duration {text:?}"));
        }
        let Some((_, unit_ns)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("unknown unit {unit:?} in duration {text:?}"));
        };
        total_ns += number * unit_ns;
        rest = after;
    }
    if total_ns > MAX_NS { Err(invalid()) } else { Ok(Duration::from_nanos(total_ns as u64)) }
}
