//! Numbers as people read them: three significant digits, a unit that fits, `n/a` where there is no number.

use peermark_core::Unit;

/// What stands where there is no number.
pub const ABSENT: &str = "n/a";

/// Units of time, each with its length in nanoseconds, ascending.
const TIME_UNITS: [(&str, f64); 4] = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];

/// Units of size, each with its length in bytes, ascending.
const SIZE_UNITS: [(&str, f64); 5] =
    [("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0)];

/// Units of speed, each with its length in bits per second, ascending.
const RATE_UNITS: [(&str, f64); 5] =
    [("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9), ("Tbit/s", 1e12)];

/// A number and its unit, kept apart so that an interval can name its unit once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The number.
    pub number: String,
    /// Its unit.
    pub unit: &'static str,
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.unit)
    }
}

/// Three significant digits; whole numbers above that keep all their digits, in groups of three.
pub fn significant(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let size = value.abs();
    // The limits are those at which the digits would round up to one more place: 9.995 prints as 10.0, not as 10.00.
    if size == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        format!("{value:.1e}")
    } else if size < 0.09995 {
        format!("{value:.4}")
    } else if size < 0.9995 {
        format!("{value:.3}")
    } else if size < 9.995 {
        format!("{value:.2}")
    } else if size < 99.95 {
        format!("{value:.1}")
    } else {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("{sign}{}", count(size.round() as u64))
    }
}

/// A whole number in groups of three: `12,840`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 node`, `50 nodes`.
pub fn counted(value: u64, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(value))
}

/// A measured time, from nanoseconds.
pub fn duration(ns: u64) -> Quantity {
    scaled(ns as f64, &TIME_UNITS, 999.5)
}

/// How long something lasted, for headlines: `62.4 s`, `12 min 05 s`, `3 h 07 min`.
pub fn span(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..120 => duration(ns).to_string(),
        120..7200 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number of bytes, in binary units.
pub fn bytes(value: u64) -> Quantity {
    scaled(value as f64, &SIZE_UNITS, 1023.5)
}

/// A throughput: `312 MiB/s`.
pub fn bytes_per_second(value: f64) -> String {
    if value.is_finite() { format!("{}/s", scaled(value, &SIZE_UNITS, 1023.5)) } else { ABSENT.to_owned() }
}

/// Payload of a phase as a throughput; `n/a` for a phase without length.
pub fn throughput(payload_bytes: u64, duration_ns: u64) -> String {
    if duration_ns == 0 {
        return ABSENT.to_owned();
    }
    bytes_per_second(payload_bytes as f64 * 1e9 / duration_ns as f64)
}

/// A value in the unit of its series: `1.24 ms`, `-3 µs`, `64 KiB`, `12 %`, `940 Mbit/s`.
pub fn in_unit(unit: Unit, value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    match unit {
        Unit::Nanoseconds => format!("{sign}{}", duration(size)),
        Unit::Bytes => format!("{sign}{}", bytes(size)),
        Unit::Count => format!("{sign}{}", count(size)),
        Unit::PartsPerMillion => percent(value as f64 / 1e6),
        Unit::BitsPerSecond => format!("{sign}{}", scaled(size as f64, &RATE_UNITS, 999.5)),
    }
}

/// A share of one as per cent: `91 %`, `4.2 %`, `0.3 %`.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if !value.is_finite() {
        ABSENT.to_owned()
    } else if value == 0.0 || value.abs() >= 9.95 {
        format!("{value:.0} %")
    } else if value.abs() >= 0.095 {
        format!("{value:.1} %")
    } else {
        format!("{} %", significant(value))
    }
}

/// A wall clock stamp as `2026-01-31 09:30:12 UTC`.
pub fn utc(wall_ms: u64) -> String {
    let seconds = wall_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Days since 1970-01-01 as a date of the proleptic Gregorian calendar. Years begin in March here, so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The largest unit that keeps the number below `limit`, the value at which it would round into the next unit.
fn scaled(value: f64, units: &[(&'static str, f64)], limit: f64) -> Quantity {
    let (unit, length) =
        units.iter().copied().find(|(_, length)| value / length < limit).unwrap_or(units[units.len() - 1]);
    // The smallest unit is indivisible: there are no fractions of a byte.
    let number = if length == 1.0 { count(value.round() as u64) } else { significant(value / length) };
    Quantity { number, unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_in_their_units() {
        let read = |unit, value| in_unit(unit, value);
        assert_eq!(read(Unit::Nanoseconds, -1_500_000), "-1.50 ms");
        assert_eq!(read(Unit::Bytes, 64 << 10), "64.0 KiB");
        assert_eq!(read(Unit::Count, 12_840), "12,840");
        assert_eq!(read(Unit::PartsPerMillion, 910_000), "91 %");
        assert_eq!(read(Unit::BitsPerSecond, 940_000_000), "940 Mbit/s");
        assert_eq!(read(Unit::Count, i64::MIN), "-9,223,372,036,854,775,808");
    }

    fn check<T: Copy>(show: impl Fn(T) -> String, table: &[(T, &str)]) {
        for (value, expected) in table {
            assert_eq!(show(*value), *expected);
        }
    }

    #[test]
    fn durations_have_three_digits_and_never_overflow_their_unit() {
        check(
            |ns| duration(ns).to_string(),
            &[
                (0, "0 ns"),
                (512, "512 ns"),
                (999, "999 ns"),
                (1_000, "1.00 µs"),
                (999_400, "999 µs"),
                (999_600, "1.00 ms"),
                (12_345_678, "12.3 ms"),
                (9_996_000, "10.0 ms"),
                (99_960_000, "100 ms"),
                (1_500_000_000, "1.50 s"),
                (3_723_000_000_000, "3,723 s"),
            ],
        );
    }

    #[test]
    fn spans_grow_into_minutes_and_hours() {
        check(
            span,
            &[(62_400_000_000, "62.4 s"), (725_000_000_000, "12 min 05 s"), (11_220_000_000_000, "3 h 07 min")],
        );
    }

    #[test]
    fn sizes_are_binary() {
        check(
            |n| bytes(n).to_string(),
            &[
                (0, "0 B"),
                (1023, "1,023 B"),
                (1024, "1.00 KiB"),
                (65_536, "64.0 KiB"),
                (1_048_570, "1.00 MiB"),
                (22_334_455, "21.3 MiB"),
            ],
        );
        assert_eq!(bytes_per_second(2.5 * 1_073_741_824.0), "2.50 GiB/s");
        assert_eq!(throughput(10 << 20, 2_000_000_000), "5.00 MiB/s");
        assert_eq!(throughput(1, 0), ABSENT);
    }

    #[test]
    fn plain_numbers_and_shares() {
        check(
            significant,
            &[
                (0.0, "0"),
                (0.01234, "0.0123"),
                (0.5, "0.500"),
                (9.996, "10.0"),
                (98.66, "98.7"),
                (99.97, "100"),
                (12_840.4, "12,840"),
                (-4.0, "-4.00"),
                (f64::NAN, ABSENT),
                (f64::INFINITY, ABSENT),
            ],
        );
        check(percent, &[(0.914, "91 %"), (0.042, "4.2 %"), (0.003, "0.3 %"), (0.0, "0 %"), (f64::NAN, ABSENT)]);
        check(count, &[(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")]);
        assert_eq!((counted(1, "node"), counted(2, "node")), ("1 node".to_owned(), "2 nodes".to_owned()));
    }

    #[test]
    fn dates_know_leap_years() {
        check(
            utc,
            &[
                (0, "1970-01-01 00:00:00 UTC"),
                (951_782_400_000, "2000-02-29 00:00:00 UTC"),
                (1_735_689_599_999, "2024-12-31 23:59:59 UTC"),
                (1_772_323_200_000, "2026-03-01 00:00:00 UTC"),
            ],
        );
    }
}
