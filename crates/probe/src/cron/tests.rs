//! The cases of the grammar, those of the original's own tests, and a brute-force walk.

mod walk;

use chrono::DateTime;

use super::*;

fn utc(expression: &str) -> CronSchedule {
    CronSchedule::parse(expression, "UTC").unwrap()
}

fn ms(rfc3339: &str) -> u64 {
    DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_millis() as u64
}

fn refusal(expression: &str) -> String {
    CronSchedule::parse(expression, "UTC").unwrap_err().to_string()
}

/// The next moments of `expression`, from one to the next.
fn moments(expression: &str, after: &str, zone: &str) -> Vec<String> {
    let schedule = CronSchedule::parse(expression, zone).unwrap();
    let mut at_ms = ms(after);
    let mut found = Vec::new();
    while let (true, Some(next_ms)) = (found.len() < 5, schedule.next_ms(at_ms)) {
        let local = reading(next_ms as i64 / 1_000, schedule.zone).unwrap();
        found.push(local.format("%Y-%m-%dT%H:%M:%S%:z").to_string());
        at_ms = next_ms;
    }
    found
}

#[track_caller]
fn next(expression: &str, after: &str, expected: &str) {
    let found = utc(expression).next_ms(ms(after));
    assert_eq!(found, Some(ms(expected)), "{expression} after {after}, expected {expected}");
}

/// Whether a moment is one of the expression's.
fn fires(expression: &str, at: &str) -> bool {
    utc(expression).next_ms(ms(at) - 1_000) == Some(ms(at))
}

#[test]
fn six_fields_are_mandatory() {
    assert_eq!(refusal("* * * * *"), "expected exactly 6 fields, found 5: [* * * * *]");
    assert_eq!(refusal("0 0 * * * * 2026"), "expected exactly 6 fields, found 7: [0 0 * * * * 2026]");
    assert_eq!(refusal("CRON_TZ=UTC 0 0"), "expected exactly 6 fields, found 2: [0 0]");
    assert_eq!(refusal(""), "empty spec string");
    assert_eq!(refusal("  "), "empty spec string");
    assert!(refusal(&"* ".repeat(100_000)).len() < 300);
    assert_eq!(utc(" 0  0 */6\t* * * ").next_ms(0), Some(6 * 3_600_000));
}

#[test]
fn star_and_question_mark_are_one() {
    for after in ["2026-03-01T10:20:30Z", "2026-12-31T23:59:59Z"] {
        assert_eq!(utc("? ? ? ? ? ?").next_ms(ms(after)), utc("* * * * * *").next_ms(ms(after)));
        assert_eq!(utc("0 0 0 ? * 1").next_ms(ms(after)), utc("0 0 0 * * 1").next_ms(ms(after)));
        assert_eq!(utc("0 ?/7 * * * *").next_ms(ms(after)), utc("0 */7 * * * *").next_ms(ms(after)));
    }
}

#[test]
fn lists_ranges_and_steps() {
    let after = "2026-01-01T00:00:00Z";
    let minutes = |expression: &str| -> Vec<String> {
        moments(expression, after, "UTC").iter().map(|moment| moment[11..16].to_owned()).collect()
    };
    assert_eq!(minutes("0 5,40,7 0 * * *")[..3], ["00:05", "00:07", "00:40"]);
    assert_eq!(minutes("0 10-12 * * * *"), ["00:10", "00:11", "00:12", "01:10", "01:11"]);
    assert_eq!(minutes("0 */25 * * * *"), ["00:25", "00:50", "01:00", "01:25", "01:50"]);
    assert_eq!(minutes("0 10-30/10 * * * *"), ["00:10", "00:20", "00:30", "01:10", "01:20"]);
    // `a/n` goes from a to the end of the field.
    assert_eq!(minutes("0 50/4 * * * *"), ["00:50", "00:54", "00:58", "01:50", "01:54"]);
    assert_eq!(minutes("0 1-3,30/15,59 * * * *"), ["00:01", "00:02", "00:03", "00:30", "00:45"]);
    // A step beyond the field leaves its first value, empty items are passed over.
    assert_eq!(minutes("0 */100 * * * *")[..2], ["01:00", "02:00"]);
    assert_eq!(minutes("0 ,5,,6, * * * *")[..2], ["00:05", "00:06"]);
}

#[test]
fn names_in_any_case() {
    next("0 0 0 ? jAn-MAR Mon", "2026-03-31T00:00:00Z", "2027-01-04T00:00:00Z");
    next("0 0 0 ? * sat,sun", "2026-11-20T15:00:00Z", "2026-11-21T00:00:00Z");
    next("0 0 0 1 DEC ?", "2026-11-20T15:00:00Z", "2026-12-01T00:00:00Z");
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    for (number, name) in (1..).zip(months) {
        assert_eq!(parse::fields(&format!("0 0 0 1 {name} *")), parse::fields(&format!("0 0 0 1 {number} *")));
    }
    for (number, name) in ["sun", "mon", "tue", "wed", "thu", "fri", "sat"].iter().enumerate() {
        assert_eq!(parse::fields(&format!("0 0 0 * * {name}")), parse::fields(&format!("0 0 0 * * {number}")));
    }
    assert_eq!(refusal("0 0 0 * * funday"), r#"failed to parse int from funday: "funday" is no number"#);
    assert!(refusal("0 jan * * * *").starts_with("failed to parse int"), "names belong to their field");
}

#[test]
fn bounds_of_fields() {
    for good in ["59 59 23 31 12 6", "0 0 0 1 1 0"] {
        utc(good);
    }
    assert_eq!(refusal("0 0 0 * * 7"), "end of range (7) above maximum (6): 7");
    assert_eq!(refusal("60 0 0 * * *"), "end of range (60) above maximum (59): 60");
    assert_eq!(refusal("0 60 0 * * *"), "end of range (60) above maximum (59): 60");
    assert_eq!(refusal("0 0 24 * * *"), "end of range (24) above maximum (23): 24");
    assert_eq!(refusal("0 0 0 0 * *"), "beginning of range (0) below minimum (1): 0");
    assert_eq!(refusal("0 0 0 32 * *"), "end of range (32) above maximum (31): 32");
    assert_eq!(refusal("0 0 0 * 0 *"), "beginning of range (0) below minimum (1): 0");
    assert_eq!(refusal("0 0 0 * 13 *"), "end of range (13) above maximum (12): 13");
    assert_eq!(refusal("0 9-5 0 * * *"), "beginning of range (9) beyond end of range (5): 9-5");
    assert_eq!(refusal("0 */0 0 * * *"), "step of range should be a positive number: */0");
    assert_eq!(refusal("0 1-2-3 0 * * *"), "too many hyphens: 1-2-3");
    assert_eq!(refusal("0 1/2/3 0 * * *"), "too many slashes: 1/2/3");
    for bad in [
        "0 , 0 * * *",
        "0 *-5 0 * * *",
        "0 +5 0 * * *",
        "0 -5 0 * * *",
        "0 99999999999 0 * * *",
        "0 1- 0 * * *",
        "0 L * * * *",
    ] {
        assert!(CronSchedule::parse(bad, "UTC").is_err(), "{bad}");
    }
}

#[test]
fn day_of_month_and_weekday() {
    // Either matches where both are given.
    assert!(fires("0 * * 1,15 * Sun", "2012-07-15T00:00:00Z"));
    assert!(fires("0 * * 1,15 * Sun", "2012-06-15T00:00:00Z"));
    assert!(fires("0 * * 1,15 * Sun", "2012-08-01T00:00:00Z"));
    assert!(fires("0 * * 1,15 * Sun", "2012-07-08T00:00:00Z"));
    // Both have to where one is a star.
    assert!(!fires("0 * * * * Mon", "2012-07-15T00:00:00Z"));
    assert!(!fires("0 * * 1,15 * *", "2012-07-09T00:00:00Z"));
    assert!(fires("0 * * 1,15 * *", "2012-07-15T00:00:00Z"));
    assert!(fires("0 30 08 ? Jul Sun", "2012-07-15T08:30:00Z"));
    assert!(!fires("0 30 08 15 Jul ?", "2012-07-16T08:30:00Z"));
    // A step above 1 is no star any more, a step of 1 is one.
    assert!(fires("0 * * */10 * Sun", "2012-07-15T00:00:00Z"));
    assert!(fires("0 * * */2 * Sun", "2012-07-15T00:00:00Z"));
    assert!(fires("0 * * */2 * Sun", "2012-07-08T00:00:00Z"));
    assert!(fires("0 * * */2 * Sun", "2012-07-09T00:00:00Z"), "odd days, a Monday too");
    assert!(!fires("0 * * */1 * Sun", "2012-07-09T00:00:00Z"));
    next("0 0 0 */5 Oct Mon", "2012-07-09T23:35:00Z", "2012-10-01T00:00:00Z");
    next("0 0 0 * Feb Mon/2", "2012-07-09T23:35:00Z", "2013-02-01T00:00:00Z");
}

#[test]
fn the_next_one_as_the_original_has_it() {
    next("0 0/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z");
    next("0 0/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z");
    next("0 20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z");
    next("0 */15 * * * *", "2012-07-09T23:46:00Z", "2012-07-10T00:00:00Z");
    next("15/35 20-35/15 * * * *", "2012-07-09T23:35:51Z", "2012-07-10T00:20:15Z");
    next("15/35 20-35/15 1/2 * * *", "2012-07-09T23:35:51Z", "2012-07-10T01:20:15Z");
    next("15/35 20-35/15 10-12 * * *", "2012-07-09T23:35:51Z", "2012-07-10T10:20:15Z");
    next("15/35 20-35/15 1/2 */2 * *", "2012-07-09T23:35:51Z", "2012-07-11T01:20:15Z");
    next("15/35 20-35/15 * 9-20 Jul *", "2012-07-09T23:35:51Z", "2012-07-10T00:20:15Z");
    next("0 0 0 9 Apr-Oct ?", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z");
    next("0 0 0 * Feb Mon", "2012-07-09T23:35:00Z", "2013-02-04T00:00:00Z");
    next("0 * * * * *", "2012-12-31T23:59:45Z", "2013-01-01T00:00:00Z");
    next("0 0 0 29 Feb ?", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00Z");
}

#[test]
fn strictly_after_and_at_whole_seconds() {
    next("* * * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    next("* * * * * *", "2026-01-01T00:00:00.999Z", "2026-01-01T00:00:01Z");
    next("0 0 * * * *", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z");
    next("0 0 * * * *", "2026-01-01T00:59:59.999Z", "2026-01-01T01:00:00Z");
    // The second that has begun is not in the future, although its beginning is named.
    next("0 0 * * * *", "2026-01-01T01:00:00.001Z", "2026-01-01T02:00:00Z");
}

#[test]
fn descriptors() {
    let after = "2026-11-20T15:42:31Z";
    next("@yearly", after, "2027-01-01T00:00:00Z");
    next("@annually", after, "2027-01-01T00:00:00Z");
    next("@monthly", after, "2026-12-01T00:00:00Z");
    next("@weekly", after, "2026-11-22T00:00:00Z");
    next("@daily", after, "2026-11-21T00:00:00Z");
    next("@midnight", after, "2026-11-21T00:00:00Z");
    next("@hourly", after, "2026-11-20T16:00:00Z");
    assert_eq!(moments("TZ=Asia/Tokyo @daily", after, "UTC")[0], "2026-11-22T00:00:00+09:00");
    assert_eq!(refusal("@fortnightly"), "unrecognized descriptor: @fortnightly");
    assert_eq!(refusal("@every"), "unrecognized descriptor: @every");
    assert_eq!(refusal("@Hourly"), "unrecognized descriptor: @Hourly");
}

#[test]
fn every_so_often() {
    let after = "2026-11-20T15:42:31.700Z";
    next("@every 1h30m", after, "2026-11-20T17:12:31Z");
    next("@every 90s", after, "2026-11-20T15:44:01Z");
    next("@every 1.5h", after, "2026-11-20T17:12:31Z");
    next("@every 1h0m0.5s", after, "2026-11-20T16:42:31Z");
    next("@every 10ms", after, "2026-11-20T15:42:32Z");
    next("@every 0", after, "2026-11-20T15:42:32Z");
    next("@every 2500000µs", after, "2026-11-20T15:42:33Z");
    next("@every 2500000us", after, "2026-11-20T15:42:33Z");
    for bad in ["", "x", "5", "1h5", "h", "5 s", "1d", "-5s", "1e3s", "..s", "300000000h", "infs"] {
        let refused = CronSchedule::parse(&format!("@every {bad}"), "UTC").expect_err(bad).to_string();
        assert!(refused.contains("duration") || refused.contains("descriptor"), "{bad}: {refused}");
    }
}

#[test]
fn zones() {
    for prefix in ["TZ=", "CRON_TZ="] {
        let found = moments(&format!("{prefix}Europe/Berlin 0 0 12 * * *"), "2026-07-01T00:00:00Z", "UTC");
        assert_eq!(found[0], "2026-07-01T12:00:00+02:00");
    }
    assert_eq!(moments("0 0 12 * * *", "2026-01-01T00:00:00Z", "Europe/Berlin")[0], "2026-01-01T12:00:00+01:00");
    assert_eq!(CronSchedule::parse("TZ=Asia/Tokyo @daily", "UTC").unwrap().zone(), "Asia/Tokyo");
    assert_eq!(
        refusal("TZ=Mars/Olympus 0 0 0 * * *"),
        "provided bad location Mars/Olympus: unknown time zone Mars/Olympus"
    );
    assert!(CronSchedule::parse("0 0 0 * * *", "Local").is_err(), "the zone of a machine is not known");
    assert_eq!(refusal("TZ=UTC"), "nothing after the time zone: TZ=UTC");
    let written = "CRON_TZ=Europe/Berlin 0 0 12 * * *";
    assert_eq!(utc(written).to_string(), written);
}

/// America/New_York leaps from 02:00 to 03:00 on 2012-03-11, and has 01:00 to 02:00 twice on 2012-11-04.
#[test]
fn changes_of_the_clock() {
    let zone = "America/New_York";
    let hourly = moments("0 0 * * * *", "2012-03-11T00:00:00-05:00", zone);
    let expected = ["01:00:00-05:00", "03:00:00-04:00", "04:00:00-04:00", "05:00:00-04:00", "06:00:00-04:00"];
    assert_eq!(hourly, expected.map(|time| format!("2012-03-11T{time}")));
    // What is leapt over is not made up for.
    assert_eq!(moments("0 0 2 * * *", "2012-03-11T00:00:00-05:00", zone)[0], "2012-03-12T02:00:00-04:00");
    assert_eq!(moments("0 30 2 11 Mar ?", "2012-03-11T00:00:00-05:00", zone)[0], "2013-03-11T02:30:00-04:00");
    // The first half hour after a day that is short, and after one that is long, when that day is passed over.
    assert_eq!(moments("0 30 0 12 Mar ?", "2012-03-11T00:30:00-05:00", zone)[0], "2012-03-12T00:30:00-04:00");
    assert_eq!(moments("0 30 0 5 Nov ?", "2012-11-04T00:30:00-04:00", zone)[0], "2012-11-05T00:30:00-05:00");
    // What is there twice is there twice.
    let nightly = moments("0 0 1 * * *", "2012-11-04T00:00:00-04:00", zone);
    let expected = ["04T01:00:00-04:00", "04T01:00:00-05:00", "05T01:00:00-05:00"];
    assert_eq!(nightly[..3], expected.map(|time| format!("2012-11-{time}")));
    assert_eq!(moments("0 30 1 04 Nov ?", "2012-11-04T01:45:00-04:00", zone)[0], "2012-11-04T01:30:00-05:00");
    assert_eq!(moments("0 30 2 04 Nov ?", "2012-11-04T00:00:00-04:00", zone)[0], "2012-11-04T02:30:00-05:00");
    // A midnight that does not exist, and half an hour that is there twice.
    let south = moments("0 0 9 10 * ?", "2018-10-17T05:00:00-04:00", "America/Sao_Paulo");
    assert_eq!(south[0], "2018-11-10T09:00:00-02:00");
    assert_eq!(moments("0 0 0 4 Nov ?", "2018-11-03T00:00:00Z", "America/Sao_Paulo")[0], "2019-11-04T00:00:00-03:00");
    let half = moments("0 45 1 * * *", "2026-04-04T14:00:00Z", "Australia/Lord_Howe");
    assert_eq!(half[..2], ["2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"]);
}

#[test]
fn dates_that_no_year_has() {
    for impossible in ["0 0 0 30 Feb ?", "0 0 0 31 Apr ?", "0 0 0 31 2,4,6,9,11 *", "0 0 0 30,31 2 *"] {
        assert_eq!(refusal(impossible), format!("no year has such a date: {impossible}"));
    }
    // With a weekday as well, its days are enough.
    next("0 0 0 30 Feb Mon", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z");
}

#[test]
fn a_search_gives_up_after_five_years() {
    // 2100 is no leap year.
    let leap = utc("0 0 0 29 2 *");
    assert_eq!(leap.next_ms(ms("2024-02-29T00:00:00Z")), Some(ms("2028-02-29T00:00:00Z")));
    assert_eq!(leap.next_ms(ms("2096-03-01T00:00:00Z")), None);
    assert_eq!(leap.next_ms(ms("2099-01-01T00:00:00Z")), Some(ms("2104-02-29T00:00:00Z")));
    assert_eq!(utc("* * * * * *").next_ms(u64::MAX), None);
    assert_eq!(utc("@every 1h").next_ms(u64::MAX), None);
}

#[test]
fn periods() {
    let after = ms("2026-11-20T15:42:31Z");
    assert_eq!(utc("0 0 */6 * * *").period_ms(after), Some(6 * 3_600_000));
    assert_eq!(utc("@every 90s").period_ms(after), Some(90_000));
    assert_eq!(utc("0 0 3 1 * *").period_ms(after), Some(31 * 86_400_000), "December");
}
