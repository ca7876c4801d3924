//! From text to sets of numbers. The words of errors are those of the original where it has some.

use chrono_tz::Tz;

use super::duration::go_duration;
use super::{CronError, Rule};

/// Numbers up to 59, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) fn has(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// The readings of a clock that an expression names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) seconds: Set,
    pub(super) minutes: Set,
    pub(super) hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether a date has to have both, the day of the month and the weekday, because one of the two fields has a star.
    both: bool,
}

impl Fields {
    /// Whether it names a date: month and day from 1, weekday from 0, a Sunday.
    pub(super) fn has_date(&self, month: u32, day: u32, weekday: u32) -> bool {
        let (day, weekday) = (self.days.has(day), self.weekdays.has(weekday));
        self.months.has(month) && if self.both { day && weekday } else { day || weekday }
    }

    /// Whether any year has a date that it names. The star of the one field that `both` needs holds every value, so months and
    /// days decide alone.
    fn is_possible(&self) -> bool {
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let times = [self.seconds, self.minutes, self.hours, self.months, self.weekdays];
        times.iter().all(|set| set.0 != 0)
            && (!self.both && self.weekdays.0 != 0
                || (1..=12u32)
                    .zip(longest)
                    .any(|(month, last)| self.months.has(month) && (1..=last).any(|day| self.days.has(day))))
    }
}

struct Bounds {
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const SECONDS: Bounds = Bounds { first: 0, last: 59, names: &[] };
const MINUTES: Bounds = Bounds { first: 0, last: 59, names: &[] };
const HOURS: Bounds = Bounds { first: 0, last: 23, names: &[] };
const DAYS: Bounds = Bounds { first: 1, last: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The zone that an expression is read in, and what is left of it.
pub(super) fn split_zone<'a>(expression: &'a str, zone: &str) -> Result<(Tz, &'a str), CronError> {
    if expression.trim().is_empty() {
        return Err(CronError::new("empty spec string"));
    }
    let Some(rest) = expression.strip_prefix("CRON_TZ=").or_else(|| expression.strip_prefix("TZ=")) else {
        return Ok((named_zone(zone)?, expression.trim()));
    };
    let Some((name, rest)) = rest.split_once(' ') else {
        return Err(CronError::new(format!("nothing after the time zone: {expression}")));
    };
    Ok((named_zone(name)?, rest.trim()))
}

fn named_zone(name: &str) -> Result<Tz, CronError> {
    // Go reads an empty name as UTC.
    if name.is_empty() {
        return Ok(Tz::UTC);
    }
    name.parse().map_err(|_| CronError::new(format!("provided bad location {name}: unknown time zone {name}")))
}

/// One of the words that stand for an expression.
pub(super) fn descriptor(text: &str) -> Result<Rule, CronError> {
    let spelled = match text {
        "@yearly" | "@annually" => "0 0 0 1 1 *",
        "@monthly" => "0 0 0 1 * *",
        "@weekly" => "0 0 0 * * 0",
        "@daily" | "@midnight" => "0 0 0 * * *",
        "@hourly" => "0 0 * * * *",
        _ => {
            let Some(duration) = text.strip_prefix("@every ") else {
                return Err(CronError::new(format!("unrecognized descriptor: {text}")));
            };
            let duration = go_duration(duration)
                .map_err(|reason| CronError::new(format!("failed to parse duration {text}: {reason}")))?;
            return Ok(Rule::Every { seconds: duration.as_secs().max(1) });
        }
    };
    fields(spelled).map(Rule::Fields)
}

/// The six fields.
pub(super) fn fields(text: &str) -> Result<Fields, CronError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [seconds, minutes, hours, days, months, weekdays] = words.as_slice() else {
        let found = words.len();
        let shown: String = words.join(" ").chars().take(200).collect();
        return Err(CronError::new(format!("expected exactly 6 fields, found {found}: [{shown}]")));
    };
    let (days, day_star) = field(days, &DAYS)?;
    let (weekdays, weekday_star) = field(weekdays, &WEEKDAYS)?;
    let fields = Fields {
        seconds: field(seconds, &SECONDS)?.0,
        minutes: field(minutes, &MINUTES)?.0,
        hours: field(hours, &HOURS)?.0,
        days,
        months: field(months, &MONTHS)?.0,
        weekdays,
        both: day_star || weekday_star,
    };
    if fields.is_possible() { Ok(fields) } else { Err(CronError::new(format!("no year has such a date: {text}"))) }
}

/// A list of ranges, and whether a star is among them.
fn field(text: &str, bounds: &Bounds) -> Result<(Set, bool), CronError> {
    let mut set = 0;
    let mut star = false;
    // The original passes over empty items too.
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let (bits, is_star) = range(item, bounds)?;
        set |= bits;
        star |= is_star;
    }
    if set == 0 { Err(CronError::new(format!("nothing in field: {text}"))) } else { Ok((Set(set), star)) }
}

/// `*`, `?`, `a` or `a-b`, each with `/step` or without.
fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), CronError> {
    let mut halves = text.split('/');
    let span = halves.next().unwrap_or_default();
    let step = halves.next();
    if halves.next().is_some() {
        return Err(CronError::new(format!("too many slashes: {text}")));
    }
    let is_star = span == "*" || span == "?";
    let (first, last) = match span.split_once('-') {
        _ if is_star => (bounds.first, bounds.last),
        None if step.is_some() => (value(span, text, bounds)?, bounds.last),
        None => (value(span, text, bounds)?, value(span, text, bounds)?),
        Some((_, last)) if last.contains('-') => return Err(CronError::new(format!("too many hyphens: {text}"))),
        Some((first, last)) => (value(first, text, bounds)?, value(last, text, bounds)?),
    };
    let step = step.map_or(Ok(1), |step| number(step, text))?;
    check(first, last, step, text, bounds)?;
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (first..=last).step_by(step).fold(0, |bits, number| bits | 1u64 << number);
    Ok((bits, is_star && step == 1))
}

fn check(first: u32, last: u32, step: u32, text: &str, bounds: &Bounds) -> Result<(), CronError> {
    let reason = if first < bounds.first {
        format!("beginning of range ({first}) below minimum ({}): {text}", bounds.first)
    } else if last > bounds.last {
        format!("end of range ({last}) above maximum ({}): {text}", bounds.last)
    } else if first > last {
        format!("beginning of range ({first}) beyond end of range ({last}): {text}")
    } else if step == 0 {
        format!("step of range should be a positive number: {text}")
    } else {
        return Ok(());
    };
    Err(CronError::new(reason))
}

fn value(word: &str, text: &str, bounds: &Bounds) -> Result<u32, CronError> {
    match (bounds.first..).zip(bounds.names).find(|(_, name)| name.eq_ignore_ascii_case(word)) {
        Some((number, _)) => Ok(number),
        None => number(word, text),
    }
}

fn number(word: &str, text: &str) -> Result<u32, CronError> {
    // Rust takes a plus sign, nobody writes one.
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = word.parse().ok().filter(|_| digits);
    parsed.ok_or_else(|| CronError::new(format!("failed to parse int from {text}: {word:?} is no number")))
}
