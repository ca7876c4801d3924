//! `peermark dht scheduler`: rounds.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Seed};
use peermark_dht::scheduler::round::RoundSummary;
use peermark_dht::scheduler::{self, EvidenceRun, Fleets, Notice, SchedulerOptions, Tell};
use peermark_lab::run::run_id;
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use peermark_store::{Ending, RunEnd, RunRecord, Store, StoreError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{ListenerArg, SchedulerArgs};
use crate::command::dht::database::Databases;
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

/// How long finished rounds may take to be written at the end.
const LAST_WRITES: Duration = Duration::from_secs(30);

/// Runs rounds until they are done or stopped.
pub(super) async fn run(
    args: &SchedulerArgs,
    fleets: Fleets,
    seed: Seed,
    databases: &Databases,
    stop: CancellationToken,
) -> Result<(), ExpectedError> {
    let telemetry = args.telemetry.address().await?;
    let allow_anonymous = args.telemetry.allow_anonymous == Some(ListenerArg::Telemetry);
    if allow_anonymous && !telemetry.ip().is_loopback() {
        output::talk(&format!("the page of metrics at {telemetry} answers anybody who reaches it, as you allowed"));
    }
    let options = SchedulerOptions {
        interval: args.rounds.interval.0,
        probes: args.rounds.probes,
        calls: args.calls.options()?,
        visible_within: args.rounds.visible_within.map(|within| within.0),
        rounds: args.rounds.rounds,
        grace: args.rounds.grace.0,
        seed,
        metrics: Some(telemetry),
        allow_anonymous,
        dependencies: json!({
            "peermark": env!("CARGO_PKG_VERSION"),
            "commit": env!("PEERMARK_COMMIT"),
            "publish_fleets": fleets.publish(),
            "lookup_fleets": fleets.lookup(),
        }),
        last_writes: LAST_WRITES,
        fleets,
    };
    output::talk(&format!(
        "servers of {}, a round every {}; rows go to {}",
        options.fleets.all().join(", "),
        args.rounds.interval,
        databases.place
    ));
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let name = format!("scheduler {}", options.fleets.all().join(","));
    let evidence = match &databases.observations {
        Some(store) => Some(begin(store, name, seed, clock.as_ref()).await.map_err(|error| no_run(&error))?),
        None => None,
    };
    let done =
        scheduler::run(options, databases.dht.clone(), evidence.clone(), Arc::clone(&clock), tell(args.format), stop)
            .await;
    if let Some(evidence) = evidence {
        let ending = if done.is_ok() { Ending::Succeeded } else { Ending::Aborted };
        let end = RunEnd { ending, validity: None, duration_ns: clock.now_ns(), result_json: None };
        if let Err(error) = evidence.store.finish_run(&evidence.run, &end).await {
            output::talk(&format!("the end of run {} could not be stored: {error}", evidence.run));
        }
    }
    let summary = done?;
    let metrics = &summary.metrics;
    let (rounds, skipped, written, dropped) =
        (metrics.rounds(), metrics.skipped(), metrics.written(), metrics.dropped());
    output::talk(&format!("{rounds} rounds, {skipped} of them skipped; {written} written, {dropped} lost"));
    match summary.unwritten {
        0 => Ok(()),
        left => Err(ExpectedError::Unavailable(format!("{left} rounds could not be written before the end"))),
    }
}

/// Rounds are data, everything else is talk.
fn tell(format: Format) -> Tell {
    Arc::new(move |notice| match &notice {
        Notice::Round(summary) => {
            let line = match format {
                Format::Text => notice.to_string(),
                Format::Json => line(summary),
            };
            if let Err(error) = output::data(&line) {
                // The rows are in the database whether or not anybody reads this.
                tracing::debug!(%error, "nobody reads the rounds");
            }
        }
        _ => output::talk(&notice.to_string()),
    })
}

fn line(summary: &RoundSummary) -> String {
    let mut document = json!(summary);
    document["schema"] = json!("peermark.dht-round/1");
    document.to_string()
}

fn no_run(error: &StoreError) -> ExpectedError {
    ExpectedError::Unavailable(format!("the run cannot be stored: {error}"))
}

async fn begin(store: &Store, name: String, seed: Seed, clock: &dyn Clock) -> Result<EvidenceRun, StoreError> {
    let environment = environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT"));
    let fingerprint = store.put_environment(&environment).await?;
    let record = RunRecord {
        // Two schedulers may start in one second.
        id: format!("{}-{}", run_id(seed), std::process::id()),
        kind: "dht".into(),
        name,
        scenario_fingerprint: String::new(),
        seed,
        version: environment.version,
        commit: environment.commit,
        environment: fingerprint.clone(),
        started_wall_ms: clock.wall_ms(),
    };
    store.begin_run(&record).await?;
    let observer = "dht-scheduler".to_owned();
    Ok(EvidenceRun { store: store.clone(), run: record.id, environment: fingerprint, observer })
}
