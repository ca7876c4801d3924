//! Failures: retries, deadlines, panics, stops.

use super::run::{Doing, Seen, ends_after, takes};
use super::*;

fn retried(name: &str, cron: &str) -> Plan {
    let retry = Retry { attempts: 5, first: MINUTE, longest: 2 * MINUTE };
    Plan { retry, ..plan(name, cron) }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let runs =
        Runs::start_with(vec![retried("task", "@hourly")], options(&clock), clock, |_| ends_after(SECOND, failed()));
    runs.until(100 * HOUR + 30 * MINUTE).await;
    let seen = runs.seen();
    assert_eq!(seen.len(), 500);
    let mut pauses = [(); 4].map(|()| Vec::new());
    for attempts in seen.chunks(5) {
        assert_eq!(attempts.iter().map(|seen| seen.job.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(attempts[1..].iter().all(|seen| seen.job.trigger == Trigger::Retry));
        for (number, pair) in attempts.windows(2).enumerate() {
            pauses[number].push((pair[1].job.intended_ns - pair[0].end.unwrap().ended_ns) / 1_000_000);
        }
    }
    for (pauses, middle) in pauses.iter().zip([60_000, 90_000, 120_000, 120_000]) {
        let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
        assert!(least >= middle / 2 && most < middle * 3 / 2, "{middle}: {least}..{most}");
        assert!(least < middle * 6 / 10 && most > middle * 14 / 10, "it is random: {least}..{most}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_or_what_does_not_pass_ends_the_attempts() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let act = |job: &Job| -> Doing {
        match (job.plan, job.attempt) {
            (0, 1 | 2) => ends_after(SECOND, failed()),
            (0, _) => takes(SECOND),
            _ => ends_after(SECOND, Done::failed(FailureClass::NotPermitted, Culprit::Observer)),
        }
    };
    let plans = vec![retried("passes", "0 0 1 * * *"), retried("does not", "0 0 1 * * *")];
    let runs = Runs::start_with(plans, options(&clock), clock, act);
    runs.until(3 * HOUR).await;
    assert_eq!((runs.begins_s(0).len(), runs.begins_s(1).len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_schedule_takes_the_place_of_a_retry() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let retry = Retry { attempts: 3, first: HOUR, longest: HOUR };
    let plans = vec![Plan { retry, ..plan("task", "0 */10 * * * *") }];
    let runs = Runs::start_with(plans, options(&clock), clock, |_| ends_after(SECOND, failed()));
    runs.until(HOUR).await;
    assert_eq!(runs.begins_s(0), [600, 1_200, 1_800, 2_400, 3_000, 3_600]);
    assert!(runs.seen().iter().all(|seen| seen.job.attempt == 1));
}

fn class_of(seen: &Seen) -> Option<FailureClass> {
    seen.end.and_then(|end| end.outcome.class())
}

#[tokio::test(start_paused = true)]
async fn what_hangs_or_panics_harms_nobody() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let act = |job: &Job| -> Doing {
        match job.plan {
            0 => Box::pin(std::future::pending()),
            1 => panic!("this panic belongs to the test"),
            2 => Box::pin(async { panic!("this panic belongs to the test") }),
            // The test's `ended` panics over this one.
            3 => ends_after(SECOND, Done::failed(FailureClass::BadOutput, Culprit::Observer)),
            _ => takes(SECOND),
        }
    };
    let names = ["hangs", "panics at once", "panics later", "breaks the end", "well"];
    let plans = names.map(|name| Plan { timeout: 30 * SECOND, ..plan(name, "0 * * * * *") });
    let runs = Runs::start_with(plans.into(), options(&clock), clock, act);
    runs.until(10 * MINUTE).await;
    for (plan, name) in names.iter().enumerate() {
        let expected: Vec<u64> = (1..=10).map(|minute| minute * 60).collect();
        assert_eq!(runs.begins_s(plan), expected, "{name}");
    }
    runs.until(10 * MINUTE + 40 * SECOND).await;
    let (execution, seen, _) = runs.stop().await;
    assert_eq!(execution.panicked, 20);
    for seen in seen {
        let expected = [FailureClass::Timeout, FailureClass::Panicked, FailureClass::Panicked, FailureClass::BadOutput];
        assert_eq!(class_of(&seen), expected.get(seen.job.plan).copied());
        if seen.job.plan == 0 {
            assert_eq!(seen.end.unwrap().ended_ns, seen.job.deadline_ns);
            assert!((30_000_000_000..30_003_000_000).contains(&(seen.job.deadline_ns - seen.job.intended_ns)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_off_what_runs() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let act = |job: &Job| -> Doing {
        if job.plan == 0 { Box::pin(std::future::pending()) } else { takes(200 * MINUTE / 60_000) }
    };
    let needs = Classes::DISK;
    let waits = Plan { needs, ..fresh("waits", "@hourly") };
    let plans = vec![Plan { needs, ..fresh("hangs", "@hourly") }, fresh("ends in time", "@hourly"), waits];
    let runs = Runs::start_with(plans, options(&clock), clock, act);
    runs.until(Duration::from_millis(50)).await;
    let (execution, seen, took) = runs.stop().await;
    assert!(took < Duration::from_millis(450), "{took:?}");
    assert_eq!((execution.stopped, execution.cut_off), (true, 1));
    assert_eq!(seen.iter().map(class_of).collect::<Vec<_>>(), [Some(FailureClass::Abandoned), None]);
}
