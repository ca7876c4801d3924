//! Orders from outside: run now, pause, hold back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

use super::run::takes;
use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_runs_promptly() {
    let runs = run(vec![plan("a", "@daily"), plan("b", "@daily")]);
    runs.until(10 * MINUTE).await;
    let asked_ns = runs.clock.now_ns();
    assert_eq!(runs.handle.run_now("b"), Ok(()));
    runs.until(10 * MINUTE + 250 * SECOND / 1_000).await;
    let seen = runs.seen();
    assert_eq!((seen.len(), seen[0].job.plan, seen[0].job.trigger), (1, 1, Trigger::Request));
    assert!(seen[0].at_ns - asked_ns < 5_000_000, "it is woken, not found at the next look");
    assert_eq!(runs.handle.running_since_ms(1), Some(seen[0].wall_ms));
    assert_eq!((runs.handle.running_since_ms(0), runs.handle.running_since_ms(9)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_execution_is_kept() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    clock.now_ns();
    let agenda = Agenda::new(vec![plan("a", "@daily")], options(&clock)).unwrap();
    assert_eq!(agenda.handle().run_now("a"), Ok(()));
    tokio::time::sleep(MINUTE).await;
    let runs = Runs::start_agenda(agenda, clock, |_| takes(SECOND));
    runs.until(SECOND * 2).await;
    let (_, seen, _) = runs.stop().await;
    let end = seen[0].end.unwrap();
    assert_eq!((seen.len(), end.intended_ns, end.started_ns), (1, seen[0].job.intended_ns, seen[0].at_ns));
    assert_eq!(end.started_ns, end.intended_ns, "nothing was wanted of the execution before it began");
}

#[tokio::test(start_paused = true)]
async fn requests_are_refused_that_come_too_often() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let mut plans =
        vec![Plan { needs: Classes::CPU, ..plan("a", "@daily") }, Plan { needs: Classes::CPU, ..plan("b", "@daily") }];
    plans.extend((0..12).map(|number| plan(&format!("task-{number}"), "@daily")));
    let runs = Runs::start_with(plans, options(&clock), clock, |_| takes(10 * SECOND));
    let ask = |name: &str| runs.handle.run_now(name);
    assert_eq!(ask("c"), Err(RunRefused::Unknown));
    assert_eq!((ask("a"), ask("b")), (Ok(()), Ok(())));
    assert_eq!(ask("a"), Err(RunRefused::Running), "asked for already");
    runs.until(5 * SECOND).await;
    assert_eq!((ask("a"), ask("b")), (Err(RunRefused::Running), Err(RunRefused::Running)), "runs, waits");
    runs.until(30 * SECOND).await;
    assert_eq!(runs.begins_s(1), [10]);
    let Err(RunRefused::TooOften { wait }) = ask("a") else { panic!("within its minute") };
    assert!((29 * SECOND..31 * SECOND).contains(&wait), "{wait:?}");
    // Two of the ten of this minute were used.
    let taken = (0..12).map(|number| ask(&format!("task-{number}"))).filter(Result::is_ok).count();
    assert_eq!(taken, 8);
    assert!(matches!(ask("task-11"), Err(RunRefused::TooOften { .. })));
    runs.until(61 * SECOND).await;
    assert_eq!((ask("a"), ask("task-11")), (Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_all_but_requests() {
    let runs = run(vec![plan("ten", "0 */10 * * * *"), plan("asked", "@daily"), plan("daily", "0 0 20 * * *")]);
    runs.until(15 * MINUTE).await;
    let until_ms = MIDNIGHT_MS + 55 * 60_000;
    runs.handle.pause_until(until_ms);
    assert_eq!(runs.handle.paused_until_ms(), Some(until_ms));
    runs.until(40 * MINUTE).await;
    assert_eq!(runs.begins_s(0), [600]);
    assert_eq!(runs.handle.next_ms(0), Some(until_ms));
    assert_eq!(runs.handle.run_now("asked"), Ok(()));
    runs.until(54 * MINUTE).await;
    assert_eq!((runs.begins_s(0), runs.begins_s(1)), (vec![600], vec![2_400]));
    runs.until(70 * MINUTE).await;
    // Four moments had passed, one run makes up for them.
    assert_eq!(runs.begins_s(0), [600, 3_300, 3_600, 4_200]);
    assert_eq!(runs.triggers(0)[1], Trigger::CatchUp);
    assert_eq!((runs.handle.paused_until_ms(), runs.begins_s(2)), (None, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_pause_can_be_ended_and_holds_the_line_too() {
    let needs = Classes::CPU;
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let plans = vec![
        Plan { needs, ..plan("a", "0 10 * * * *") },
        Plan { needs, ..plan("b", "0 11 * * * *") },
        plan("late", "0 20 * * * *"),
    ];
    let runs = Runs::start_with(plans, options(&clock), clock, |_| takes(5 * MINUTE));
    runs.until(12 * MINUTE).await;
    runs.handle.pause_until(MIDNIGHT_MS + 86_400_000);
    runs.until(40 * MINUTE).await;
    assert_eq!(
        (runs.begins_s(0), runs.begins_s(1), runs.begins_s(2)),
        (vec![600], vec![], vec![]),
        "a goes on, b waits"
    );
    runs.handle.resume();
    runs.until(40 * MINUTE + SECOND).await;
    assert_eq!(runs.begins_s(1), [2_400]);
    // Its success is 40 minutes old: it is wanted when that is an hour.
    assert_eq!(runs.handle.next_ms(2), Some(MIDNIGHT_MS + 3_600_000));
    runs.until(59 * MINUTE).await;
    assert!(runs.begins_s(2).is_empty());
    runs.until(61 * MINUTE).await;
    assert_eq!((runs.begins_s(2), runs.triggers(2)), (vec![3_600], vec![Trigger::CatchUp]));
}

#[tokio::test(start_paused = true)]
async fn a_full_journal_holds_back_every_start() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let may = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&may);
    let held = AgendaOptions { may_start: Arc::new(move || asked.load(Ordering::SeqCst)), ..options(&clock) };
    let runs =
        Runs::start(vec![fresh("new", "@daily"), plan("ten", "0 */10 * * * *"), plan("asked", "@daily")], held, clock);
    assert_eq!(runs.handle.run_now("asked"), Ok(()));
    runs.until(25 * MINUTE).await;
    assert_eq!(runs.seen().len(), 0);
    assert_eq!(runs.handle.counts(1).dropped, 1, "the moment of minute 20: that of minute 10 waits");
    let began = Instant::now();
    may.store(true, Ordering::SeqCst);
    runs.handle.wake();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(runs.seen().len(), 3, "after {:?}", began.elapsed());
    assert_eq!(runs.seen()[2].job.intended_wall_ms, MIDNIGHT_MS + 600_000, "late, and it says so");
}

#[tokio::test(start_paused = true)]
async fn an_idle_agenda_looks_once_a_second() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let looks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&looks);
    let may_start = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        true
    });
    let runs = Runs::start(vec![plan("daily", "0 0 20 * * *")], AgendaOptions { may_start, ..options(&clock) }, clock);
    runs.until(HOUR).await;
    let looks = looks.load(Ordering::SeqCst);
    assert!((3_500..3_700).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_next_can_be_asked() {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let retry = Retry { attempts: 2, first: 10 * MINUTE, longest: 10 * MINUTE };
    let plans =
        vec![Plan { jitter: 10 * MINUTE, ..plan("spread", "@hourly") }, Plan { retry, ..plan("fails", "0 0 6 * * *") }];
    let act = |_: &Job| run::ends_after(SECOND, failed());
    let runs = Runs::start_with(plans, options(&clock), clock, act);
    assert_eq!((runs.handle.plan("fails"), runs.handle.plan("none")), (Some(1), None));
    let next_ms = runs.handle.next_ms(0).unwrap();
    let phase_ms = runs.handle.phase_ms(0);
    assert!(next_ms >= MIDNIGHT_MS + 3_600_000 + phase_ms && next_ms < MIDNIGHT_MS + 3_600_000 + phase_ms + 300_000);
    runs.until(2 * HOUR).await;
    assert_eq!(runs.seen()[0].job.intended_wall_ms, next_ms, "it was the truth");
    assert_eq!((runs.handle.next_ms(1), runs.handle.next_ms(9)), (Some(MIDNIGHT_MS + 6 * 3_600_000), None));
    runs.until(6 * HOUR + 2 * SECOND).await;
    let again_ms = runs.handle.next_ms(1).unwrap() - MIDNIGHT_MS - 6 * 3_600_000;
    assert!((300_000..900_000 + 2_000).contains(&again_ms), "the retry: {again_ms}");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_from_outside_makes_plans_wait_and_the_reverse() {
    let needs = Classes::NETWORK;
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let plans = vec![Plan { needs, ..plan("fills", "0 10 * * * *") }, plan("other", "0 10 * * * *")];
    let runs = Runs::start_with(plans, options(&clock), clock, |_| takes(5 * MINUTE));
    let hold = runs.handle.try_hold(Classes::NETWORK).unwrap();
    assert!(runs.handle.try_hold(Classes::NETWORK | Classes::CPU).is_none(), "held already");
    assert!(runs.handle.try_hold(Classes::CPU).is_some(), "another class, given back at once");
    runs.until(12 * MINUTE).await;
    assert_eq!((runs.begins_s(0), runs.begins_s(1)), (vec![], vec![600]), "it waits, the other does not");
    drop(hold);
    runs.until(12 * MINUTE + SECOND).await;
    assert_eq!(runs.begins_s(0), [720], "woken when the hold was dropped");
    assert!(runs.handle.try_hold(Classes::NETWORK).is_none(), "a plan has it");
    runs.until(18 * MINUTE).await;
    assert!(runs.handle.try_hold(Classes::NETWORK).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_a_pause_holds_in_line_can_be_asked_for() {
    let needs = Classes::CPU;
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let plans = vec![Plan { needs, ..plan("long", "0 10 * * * *") }, Plan { needs, ..plan("waits", "0 11 * * * *") }];
    let runs = Runs::start_with(plans, options(&clock), clock, |_| takes(5 * MINUTE));
    runs.until(12 * MINUTE).await;
    runs.handle.pause_until(MIDNIGHT_MS + 86_400_000);
    runs.until(20 * MINUTE).await;
    assert_eq!((runs.begins_s(0), runs.begins_s(1)), (vec![600], vec![]), "it stands in line and is held back");
    assert!(runs.handle.try_hold(Classes::CPU).is_some(), "nobody is about to use it");
    assert_eq!(runs.handle.run_now("waits"), Ok(()));
    runs.until(20 * MINUTE + SECOND).await;
    assert_eq!((runs.begins_s(1), runs.triggers(1)), (vec![1_200], vec![Trigger::Request]));
}
