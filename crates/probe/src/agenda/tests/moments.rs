//! When runs are wanted: start, schedule, phase and jitter, catching up.

use super::run::{Doing, takes};
use super::*;

#[tokio::test(start_paused = true)]
async fn it_runs_by_its_expression() {
    let runs = run(vec![plan("quarter", "0 */15 * * * *"), plan("odd", "30 7 1 * * *")]);
    runs.until(2 * HOUR).await;
    assert_eq!(runs.begins_s(0), [900, 1_800, 2_700, 3_600, 4_500, 5_400, 6_300, 7_200]);
    assert_eq!(runs.begins_s(1), [3_600 + 450]);
    for seen in runs.seen() {
        assert_eq!(seen.job.trigger, Trigger::Schedule);
        assert!(seen.wall_ms - seen.job.intended_wall_ms <= 2, "late by the timer's grain");
        assert!(seen.at_ns - seen.job.intended_ns <= 2_000_000);
        assert_eq!(seen.job.attempt, 1);
    }
    let (execution, seen, _) = runs.stop().await;
    assert_eq!((execution.arrivals, execution.stopped), (seen.len() as u64, true));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_success_runs_at_once() {
    let jittered = Plan { jitter: HOUR, ..fresh("new", "0 0 6 * * *") };
    let runs = run(vec![plan("known", "@hourly"), jittered]);
    runs.until(SECOND).await;
    assert_eq!((runs.begins_s(0), runs.begins_s(1)), (vec![], vec![0]));
    assert_eq!(runs.triggers(1), [Trigger::Start]);
}

#[tokio::test(start_paused = true)]
async fn a_start_is_in_order_where_classes_meet() {
    let cpu = |name| Plan { needs: Classes::CPU, ..fresh(name, "@daily") };
    let both = Plan { needs: Classes::CPU | Classes::DISK, ..fresh("both", "@daily") };
    let disk = Plan { needs: Classes::DISK, ..fresh("disk", "@daily") };
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let runs =
        Runs::start_with(vec![cpu("a"), cpu("b"), fresh("free", "@daily"), both, disk], options(&clock), clock, |_| {
            takes(10 * SECOND)
        });
    runs.until(MINUTE).await;
    let begins: Vec<u64> = (0..5).flat_map(|plan| runs.begins_s(plan)).collect();
    // `disk` does not pass `both`, which waits for the disk too.
    assert_eq!(begins, [0, 10, 0, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn phase_and_random_part_stay_below_the_jitter() {
    let jittered = Plan { jitter: 20 * MINUTE, ..plan("spread", "@hourly") };
    let runs = run(vec![jittered]);
    let phase_ms = runs.handle.phase_ms(0);
    runs.until(200 * HOUR).await;
    let late_ms: Vec<u64> =
        runs.seen().iter().map(|seen| (seen.job.intended_wall_ms - MIDNIGHT_MS) % 3_600_000).collect();
    assert_eq!(late_ms.len(), 199);
    assert!(late_ms.iter().all(|late| (phase_ms..phase_ms + 600_000).contains(late)), "{phase_ms}: {late_ms:?}");
    // Drawn anew: a uniform draw of 199 fills every tenth of its half.
    for tenth in 0..10 {
        let low = phase_ms + tenth * 60_000;
        assert!(late_ms.iter().any(|late| (low..low + 60_000).contains(late)), "none in tenth {tenth}");
    }
}

#[test]
fn a_phase_belongs_to_node_and_task() {
    let phase = |node: &str, task: &str| moment::phase_ms(node, task, 1_200_000);
    assert_eq!(phase("a", "iperf"), phase("a", "iperf"));
    assert_ne!(phase("a", "iperf"), phase("b", "iperf"));
    assert_ne!(phase("a", "iperf"), phase("a", "disk"));
    assert_ne!(phase("ab", "c"), phase("a", "bc"));
    let phases: Vec<u64> = (0..1_000).map(|node| phase(&format!("node-{node}"), "iperf")).collect();
    assert!(phases.iter().all(|phase| *phase < 600_000));
    let mean = phases.iter().sum::<u64>() / 1_000;
    assert!((280_000..320_000).contains(&mean), "{mean}");
    assert_eq!((moment::phase_ms("a", "iperf", 0), moment::phase_ms("a", "iperf", 1)), (0, 0));
    assert_eq!(moment::random_ms(Seed(1), "iperf", 1, 0), 0);
}

/// Begins in the first hours of a plan whose latest success was so long before the start.
async fn after_a_success(ago: Duration, cron: &str, jitter: Duration) -> (Vec<u64>, Vec<Trigger>) {
    let last_success_ms = Some(MIDNIGHT_MS - ago.as_millis() as u64);
    let runs = run(vec![Plan { last_success_ms, jitter, ..plan("task", cron) }]);
    runs.until(3 * HOUR).await;
    (runs.begins_s(0), runs.triggers(0))
}

#[tokio::test(start_paused = true)]
async fn what_passed_before_the_start_is_made_up_for_once() {
    // Ten periods ago, and one run at once.
    let (begins, triggers) = after_a_success(20 * HOUR, "0 0 */2 * * *", MINUTE).await;
    assert_eq!((begins[0], begins.len()), (0, 2));
    assert_eq!(triggers, [Trigger::CatchUp, Trigger::Schedule]);
    // No moment has passed since.
    assert_eq!(after_a_success(20 * MINUTE, "0 30 * * * *", Duration::ZERO).await.0, [1_800, 5_400, 9_000]);
    // One has passed, at 23:30, but the success is younger than a period: due when it is an hour old, at 00:20.
    let (begins, triggers) = after_a_success(40 * MINUTE, "0 30 * * * *", Duration::ZERO).await;
    assert_eq!(begins, [1_200, 1_800, 5_400, 9_000]);
    assert_eq!(triggers[..2], [Trigger::CatchUp, Trigger::Schedule]);
}

#[tokio::test(start_paused = true)]
async fn a_success_of_the_future_has_no_age() {
    let last_success_ms = Some(MIDNIGHT_MS + 1_000 * 86_400_000);
    let runs = run(vec![Plan { last_success_ms, ..plan("task", "@hourly") }]);
    runs.until(2 * HOUR).await;
    assert_eq!(runs.begins_s(0), [3_600, 7_200]);
}

#[tokio::test(start_paused = true)]
async fn a_moment_is_dropped_while_the_task_runs_or_waits() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let long = Plan { timeout: HOUR, needs: Classes::DISK, ..plan("long", "0 */10 * * * *") };
    let behind = Plan { needs: Classes::DISK, ..plan("behind", "0 11-59/10 * * * *") };
    let runs = Runs::start_with(vec![long, behind], options(&clock), clock, |_| takes(25 * MINUTE));
    runs.until(65 * MINUTE).await;
    // `long` runs 10-35 and 45-55 (its deadline does not come), `behind` waits from 11 to 35 and runs to its deadline.
    assert_eq!(runs.begins_s(0), [600, 45 * 60]);
    assert_eq!(runs.begins_s(1)[0], 35 * 60);
    let counts = runs.handle.counts(0);
    // 20 and 30 while it runs; that of 40 stands in line until 45; 50 and 60 while it runs again.
    assert_eq!((counts.started, counts.dropped), (2, 4));
    assert_eq!(
        runs.handle.counts(1).dropped,
        3,
        "21 and 31 while it waits, 41 while it runs; that of 51 stands in line"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_class_counts_from_the_moment_and_the_deadline_from_the_start() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let first = Plan { needs: Classes::NETWORK, ..plan("first", "0 0 1 * * *") };
    let second = Plan { needs: Classes::NETWORK | Classes::CPU, timeout: 3 * MINUTE, ..plan("second", "1 0 1 * * *") };
    let free = Plan { needs: Classes::CPU, ..plan("free", "2 0 1 * * *") };
    let other = Plan { needs: Classes::DISK, ..plan("other", "2 0 1 * * *") };
    let act = |job: &Job| -> Doing { if job.plan == 1 { Box::pin(std::future::pending()) } else { takes(5 * MINUTE) } };
    let runs = Runs::start_with(vec![first, second, free, other], options(&clock), clock, act);
    runs.until(HOUR + MINUTE).await;
    assert!(runs.handle.is_waiting(1) && runs.handle.is_waiting(2) && !runs.handle.is_waiting(3));
    assert_eq!(runs.begins_s(3), [3_602], "nothing that it needs is taken");
    runs.until(HOUR + 30 * MINUTE).await;
    assert_eq!(runs.begins_s(1), [3_900]);
    assert_eq!(runs.begins_s(2), [3_900 + 180], "it does not pass one that waits for the processor too");
    let seen = runs.seen();
    let second = seen.iter().find(|seen| seen.job.plan == 1).unwrap();
    let end = second.end.unwrap();
    assert_eq!(second.job.intended_wall_ms, MIDNIGHT_MS + 3_601_000);
    assert_eq!((second.at_ns - end.intended_ns) / 1_000_000_000, 299);
    assert_eq!((end.ended_ns - end.intended_ns) / 1_000_000_000, 299 + 180);
    assert_eq!(second.job.deadline_ns, end.ended_ns);
}
