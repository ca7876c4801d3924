//! When a cron expression wants something: the grammar and the meaning of zos, in UTC or a named time zone.
//!
//! The grammar is the one of `robfig/cron` v3 with seconds, which zos uses (reference: its `parser.go` and `spec.go`). An expression
//! is a set of clock readings, and it fires in every whole second at which the clock of its zone shows one of them. What follows at a
//! change of the clock: a reading that the clock leaps over does not fire that day, and one that it shows twice fires twice. Cron
//! crates for Rust move the former and drop the latter, which is why the search is our own.
//!
//! Refused although the original takes them, because nobody means them: `*-5` (read as `*`), `+5`, a negative `@every`, and dates
//! that do not exist in any year.

mod duration;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Datelike, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use thiserror::Error;

use parse::Fields;

/// After how many years without a match a search gives up, as in the original.
const GIVE_UP_YEARS: i32 = 5;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// A set of moments, by an expression and a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSchedule {
    text: String,
    zone: Tz,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// When the clock shows this.
    Fields(Fields),
    /// So many seconds after whatever moment is asked about.
    Every { seconds: u64 },
}

/// Why an expression or a zone cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct CronError {
    reason: String,
}

impl CronError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl CronSchedule {
    /// Reads `second minute hour day month weekday`, a descriptor (`@hourly`, `@every 90m`), or either with `TZ=Zone ` or
    /// `CRON_TZ=Zone ` before it. Without that prefix it is read in `zone`: `UTC` or a name of the tz database.
    ///
    /// # Errors
    /// [`CronError`] with the words of the original where it refuses too: `expected exactly 6 fields, found 5: [0 0 * * *]`.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, CronError> {
        let (zone, rest) = parse::split_zone(expression, zone)?;
        let rule = if rest.starts_with('@') { parse::descriptor(rest)? } else { Rule::Fields(parse::fields(rest)?) };
        Ok(Self { text: expression.to_owned(), zone, rule })
    }

    /// The first moment strictly after `after_ms` (Unix ms), at a whole second. `None` where five years hold none.
    pub fn next_ms(&self, after_ms: u64) -> Option<u64> {
        let after_s = i64::try_from(after_ms / 1_000).ok()?;
        let next_s = match &self.rule {
            Rule::Every { seconds } => after_s.checked_add(i64::try_from(*seconds).ok()?)?,
            Rule::Fields(fields) => fields.next_s(after_s, self.zone)?,
        };
        u64::try_from(next_s).ok()?.checked_mul(1_000)
    }

    /// From the first moment after `after_ms` (Unix ms) to the one after that, ms. What "one period" is at that time.
    pub fn period_ms(&self, after_ms: u64) -> Option<u64> {
        let first = self.next_ms(after_ms)?;
        Some(self.next_ms(first)? - first)
    }

    /// Name of the zone that it is read in.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }
}

impl fmt::Display for CronSchedule {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Fields {
    /// The first second after `after_s` at which the clock of `zone` shows a reading of the set.
    ///
    /// It walks through real time: over what is left of a day, hour or minute at once where that does not match. Where the clock is
    /// changed in between, what is left is not known, and it goes on minute by minute.
    fn next_s(&self, after_s: i64, zone: Tz) -> Option<i64> {
        let mut at_s = after_s.checked_add(1)?;
        let first_year = reading(at_s, zone)?.year();
        loop {
            let local = reading(at_s, zone)?;
            if local.year() > first_year + GIVE_UP_YEARS {
                return None;
            }
            let second_of_day = i64::from(local.num_seconds_from_midnight());
            let left_s = if !self.has_date(local.month(), local.day(), local.weekday().num_days_from_sunday()) {
                DAY_S - second_of_day
            } else if !self.hours.has(local.hour()) {
                HOUR_S - second_of_day % HOUR_S
            } else if !self.minutes.has(local.minute()) {
                MINUTE_S - second_of_day % MINUTE_S
            } else if !self.seconds.has(local.second()) {
                1
            } else {
                return Some(at_s);
            };
            let is_even = offset_s(at_s, zone)? == offset_s(at_s + left_s, zone)?;
            at_s += if is_even { left_s } else { left_s.min(MINUTE_S - second_of_day % MINUTE_S) };
        }
    }
}

/// What the clock of `zone` shows.
fn reading(at_s: i64, zone: Tz) -> Option<DateTime<Tz>> {
    let utc = DateTime::from_timestamp(at_s, 0)?;
    // Beyond the years that a date can hold there is nothing to find.
    utc.checked_add_signed(TimeDelta::days(2))?;
    Some(utc.with_timezone(&zone))
}

fn offset_s(at_s: i64, zone: Tz) -> Option<i32> {
    let utc = DateTime::from_timestamp(at_s, 0)?;
    Some(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc())
}
