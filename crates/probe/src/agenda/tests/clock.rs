//! Steps of the wall clock.

use super::run::takes;
use super::*;

const CRONS: [(&str, u64); 4] =
    [("0 */5 * * * *", 300), ("0 0 * * * *", 3_600), ("0 0 */6 * * *", 21_600), ("0 20 4 * * *", 86_400)];

/// How long each agenda runs.
const HOURS: u32 = 36;

/// Real seconds from the start to each begin of each plan, when the wall is stepped at each of these hours.
async fn begins_with_steps(steps: &[(u64, i64)], jitter: Duration) -> Vec<Vec<u64>> {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let plans = CRONS.map(|(cron, _)| Plan { jitter, ..plan(cron, cron) });
    let looks = AgendaOptions { look_every: 30 * SECOND, ..options(&clock) };
    let runs = Runs::start_with(plans.into(), looks, clock, |_| takes(SECOND));
    let began_ns = runs.clock.now_ns();
    for (at_minute, by_s) in steps {
        runs.until(u32::try_from(*at_minute).unwrap() * MINUTE).await;
        runs.clock.step_s(*by_s);
    }
    runs.until(HOURS * HOUR).await;
    let (_, seen, _) = runs.stop().await;
    let of = |plan| seen.iter().filter(move |seen| seen.job.plan == plan);
    (0..CRONS.len()).map(|plan| of(plan).map(|seen| (seen.at_ns - began_ns) / 1_000_000_000).collect()).collect()
}

/// Nobody waits longer than a period, its jitter and the half a minute in which a step is seen; and there are no more runs
/// than real time has begun periods, and `extra` ones.
fn check(begins: &[Vec<u64>], jitter_s: u64, extra: usize, why: &str) {
    for (begins, (cron, period_s)) in begins.iter().zip(CRONS) {
        let gaps = [&[0], begins.as_slice(), &[u64::from(HOURS) * 3_600]].concat();
        let longest = gaps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= period_s + jitter_s + 31, "{why}, {cron}: {longest} s without a run");
        let periods = (u64::from(HOURS) * 3_600).div_ceil(period_s) as usize;
        assert!(begins.len() <= periods + extra, "{why}, {cron}: {} runs", begins.len());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_step() {
    check(&begins_with_steps(&[], Duration::ZERO).await, 0, 0, "no step");
}

#[tokio::test(start_paused = true)]
async fn an_hour_either_way() {
    for at_minute in [7, 59, 60, 61, 260, 355, 360, 361, 600, 1_439, 1_500] {
        for by_s in [3_600, -3_600] {
            for jitter in [Duration::ZERO, 4 * MINUTE] {
                let why = format!("{by_s} s at minute {at_minute}, jitter {jitter:?}");
                let begins = begins_with_steps(&[(at_minute, by_s)], jitter).await;
                check(&begins, jitter.as_secs(), 1, &why);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn years_either_way() {
    // As on a board without a battery: it begins long ago, and NTP finds the time.
    let begins = begins_with_steps(&[(1, 5 * 365 * 86_400)], MINUTE).await;
    check(&begins, 60, 1, "forward");
    let begins = begins_with_steps(&[(90, -5 * 365 * 86_400)], MINUTE).await;
    check(&begins, 60, 1, "backward");
    let begins = begins_with_steps(&[(90, 5 * 365 * 86_400), (200, -5 * 365 * 86_400)], MINUTE).await;
    check(&begins, 60, 2, "there and back");
}

#[tokio::test(start_paused = true)]
async fn a_step_forward_runs_once_what_it_passed() {
    let runs = run(vec![plan("five", "0 */5 * * * *"), plan("daily", "0 0 20 * * *")]);
    runs.until(7 * MINUTE).await;
    runs.clock.step_s(3_600);
    runs.until(7 * MINUTE + 2 * SECOND).await;
    assert_eq!(runs.triggers(0), [Trigger::Schedule, Trigger::CatchUp], "one for the twelve");
    assert!(runs.begins_s(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn small_corrections_are_no_steps() {
    let runs = run(vec![plan("ten", "0 */10 * * * *")]);
    for minute in 1..=60u32 {
        runs.until(minute * MINUTE + 30 * SECOND).await;
        runs.clock.step_s(if minute.is_multiple_of(2) { 1 } else { -1 });
    }
    assert_eq!(runs.begins_s(0), [600, 1_200, 1_800, 2_400, 3_000, 3_600]);
    assert!(runs.triggers(0).iter().all(|trigger| *trigger == Trigger::Schedule));
}

/// A run that is due between its moment and its late one, because of jitter, is not lost by a step of seconds.
#[tokio::test(start_paused = true)]
async fn a_short_step_loses_no_run_in_its_jitter() {
    for by_s in [3, -3] {
        let runs = run(vec![Plan { jitter: 20 * MINUTE, ..plan("spread", "0 0 */6 * * *") }]);
        let due_s = (runs.handle.next_ms(0).unwrap() - MIDNIGHT_MS) / 1_000;
        runs.until(Duration::from_secs(due_s - 10)).await;
        runs.clock.step_s(by_s);
        runs.until(7 * HOUR).await;
        assert_eq!(runs.begins_s(0), [due_s], "{by_s}");
    }
}
