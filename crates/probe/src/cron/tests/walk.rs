//! Against a walk through every minute, by a matcher that knows nothing of the parser.

use chrono::{DateTime, Datelike, TimeZone, Timelike};
use proptest::prelude::*;

use super::super::*;

/// How far the walk goes.
const DAYS: i64 = 20;

/// An item of a field: first, last, step and whether it is written as a star.
#[derive(Clone, Debug)]
struct Item {
    first: u32,
    last: u32,
    step: u32,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Star,
    One,
    Range,
    OpenStep,
}

impl Item {
    fn text(&self) -> String {
        let Self { first, last, step, form } = self;
        match form {
            Form::Star if *step == 1 => "*".into(),
            Form::Star => format!("*/{step}"),
            Form::One => first.to_string(),
            Form::Range if *step == 1 => format!("{first}-{last}"),
            Form::Range => format!("{first}-{last}/{step}"),
            Form::OpenStep => format!("{first}/{step}"),
        }
    }

    fn has(&self, number: u32) -> bool {
        number >= self.first && number <= self.last && (number - self.first).is_multiple_of(self.step)
    }
}

fn item(low: u32, high: u32) -> impl Strategy<Value = Item> {
    let forms = prop_oneof![Just(Form::Star), Just(Form::One), Just(Form::Range), Just(Form::OpenStep)];
    (forms, low..=high, low..=high, 1u32..=20).prop_map(move |(form, one, other, step)| match form {
        Form::Star => Item { first: low, last: high, step, form },
        Form::One => Item { first: one, last: one, step: 1, form },
        Form::Range => Item { first: one.min(other), last: one.max(other), step, form },
        Form::OpenStep => Item { first: one, last: high, step, form },
    })
}

fn field(low: u32, high: u32) -> impl Strategy<Value = Vec<Item>> {
    prop_oneof![
        2 => Just(vec![Item { first: low, last: high, step: 1, form: Form::Star }]),
        3 => prop::collection::vec(item(low, high), 1..4),
    ]
}

fn text(items: &[Item]) -> String {
    items.iter().map(Item::text).collect::<Vec<_>>().join(",")
}

fn has(items: &[Item], number: u32) -> bool {
    items.iter().any(|item| item.has(number))
}

fn has_star(items: &[Item]) -> bool {
    items.iter().any(|item| item.form == Form::Star && item.step == 1)
}

/// The first match after `after_s` within [`DAYS`].
fn walked(fields: &[Vec<Item>; 6], after_s: i64, zone: Tz) -> Option<i64> {
    let [seconds, minutes, hours, days, months, weekdays] = fields;
    let first_minute_s = (after_s + 1).div_euclid(60) * 60;
    (0..DAYS * 1_440).map(|minute| first_minute_s + minute * 60).find_map(|minute_s| {
        let local = zone.from_utc_datetime(&DateTime::from_timestamp(minute_s, 0)?.naive_utc());
        let by_day = has(days, local.day());
        let by_weekday = has(weekdays, local.weekday().num_days_from_sunday());
        let both = has_star(days) || has_star(weekdays);
        let date = if both { by_day && by_weekday } else { by_day || by_weekday };
        let minute = date && has(months, local.month()) && has(hours, local.hour()) && has(minutes, local.minute());
        if !minute {
            return None;
        }
        (0..60).map(|second| minute_s + second).find(|at_s| *at_s > after_s && has(seconds, (*at_s - minute_s) as u32))
    })
}

/// Moments near changes of the clock, and any others.
fn start() -> impl Strategy<Value = i64> {
    let changes = ["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"];
    let more = ["2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z", "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"];
    let near: Vec<i64> =
        changes.iter().chain(&more).map(|text| DateTime::parse_from_rfc3339(text).unwrap().timestamp()).collect();
    prop_oneof![
        (prop::sample::select(near), -200_000i64..20_000).prop_map(|(at_s, by_s)| at_s + by_s),
        1_577_836_800i64..2_082_758_400,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn next_agrees_with_a_walk(
        fields in (field(0, 59), field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
        after_s in start(),
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata",
        ]),
    ) {
        let fields: [Vec<Item>; 6] = fields.into();
        let expression = fields.iter().map(|items| text(items)).collect::<Vec<_>>().join(" ");
        let Ok(schedule) = CronSchedule::parse(&expression, zone) else {
            // Only dates that do not exist are refused; the walk finds none either.
            prop_assert_eq!(walked(&fields, after_s, zone.parse().unwrap()), None);
            return Ok(());
        };
        let found = schedule.next_ms(after_s as u64 * 1_000).map(|at_ms| at_ms as i64 / 1_000);
        match walked(&fields, after_s, zone.parse().unwrap()) {
            Some(at_s) => prop_assert_eq!(found, Some(at_s), "{}", expression),
            None => prop_assert!(found.is_none_or(|at_s| at_s >= (after_s + 1).div_euclid(60) * 60 + DAYS * DAY_S), "{expression}: {found:?}"),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(schedule) = CronSchedule::parse(&text, "UTC") {
            schedule.next_ms(1_767_225_600_000);
        }
    }

    #[test]
    fn near_misses_are_read_or_refused(text in "(TZ=[A-Z/]{0,5} )?(@every )?[0-9*/,?a-z -]{0,40}") {
        if let Ok(schedule) = CronSchedule::parse(&text, "UTC") {
            schedule.next_ms(1_767_225_600_000);
        }
    }
}
