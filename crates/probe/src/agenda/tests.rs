//! The agenda in virtual time: a paused runtime, a wall clock that can be stepped, work that sleeps.

mod clock;
mod harm;
mod moments;
mod month;
mod orders;
mod run;

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Culprit, FailureClass, Seed};

use super::*;
use run::{Runs, SteppedClock};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Friday 2026-01-02T00:00:00Z.
const MIDNIGHT_MS: u64 = 1_767_312_000_000;

/// A plan without jitter that had a success a moment ago.
fn plan(name: &str, cron: &str) -> Plan {
    Plan {
        name: name.into(),
        cron: CronSchedule::parse(cron, "UTC").unwrap(),
        jitter: Duration::ZERO,
        needs: Classes::NONE,
        timeout: 10 * MINUTE,
        retry: Retry::NONE,
        request_gap: MINUTE,
        last_success_ms: Some(MIDNIGHT_MS),
    }
}

/// A plan that never had a success.
fn fresh(name: &str, cron: &str) -> Plan {
    Plan { last_success_ms: None, ..plan(name, cron) }
}

fn options(clock: &Arc<SteppedClock>) -> AgendaOptions {
    AgendaOptions::new("node-1", Seed(1), Arc::clone(clock) as Arc<dyn Clock>)
}

/// An agenda that runs from [`MIDNIGHT_MS`] on.
fn run(plans: Vec<Plan>) -> Runs {
    let clock = SteppedClock::new(MIDNIGHT_MS);
    let options = options(&clock);
    Runs::start(plans, options, clock)
}

fn ok() -> Done {
    Done::ok(0)
}

fn failed() -> Done {
    Done::failed(FailureClass::ConnectFailed, Culprit::Peer)
}

#[test]
fn plans_can_be_told_apart() {
    let clock = SteppedClock::new(0);
    let two = Agenda::new(vec![plan("a", "@hourly"), plan("a", "@daily")], options(&clock)).err();
    assert_eq!(two, Some(AgendaError::SameName { name: "a".into() }));
    let many = (0..=MAX_PLANS).map(|number| plan(&number.to_string(), "@hourly")).collect();
    assert_eq!(Agenda::new(many, options(&clock)).err(), Some(AgendaError::TooMany { found: MAX_PLANS + 1 }));
}
