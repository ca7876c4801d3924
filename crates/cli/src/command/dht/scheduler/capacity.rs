//! `peermark dht scheduler --rate`: the capacity curve.

use std::sync::Arc;

use peermark_core::Seed;
use peermark_dht::scheduler::Fleets;
use peermark_dht::scheduler::capacity::{self, CapacityOptions};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::schedule::Rate;
use tokio_util::sync::CancellationToken;

use super::SchedulerArgs;
use crate::command::dht::database::Databases;
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

/// Draws the curve and prints it.
pub(super) async fn run(
    args: &SchedulerArgs,
    rate: f64,
    fleets: Fleets,
    seed: Seed,
    databases: &Databases,
    stop: CancellationToken,
) -> Result<(), ExpectedError> {
    let rate = Rate::try_new(rate).map_err(|error| ExpectedError::Configuration(format!("--rate: {error}")))?;
    let options = CapacityOptions {
        fleets,
        rate,
        steps: args.capacity.steps,
        duration: args.capacity.lasting.0,
        provide_share: args.capacity.provide_share,
        calls: args.calls.options()?,
        max_in_flight: args.capacity.in_flight,
        seed,
    };
    output::talk(&format!("{} steps of {} each", options.steps, args.capacity.lasting));
    let clock = Arc::new(MonotonicClock::new());
    let show = |step: &capacity::CapacityStep| output::talk(&step.to_string());
    let curve = capacity::run(options, &databases.dht, clock, stop, show).await?;
    let text = match args.format {
        Format::Text => curve.to_string().trim_end().to_owned(),
        Format::Json => serde_json::to_string_pretty(&curve).map_err(|error| ExpectedError::Output(error.into()))?,
    };
    output::data(&text).map_err(ExpectedError::Output)
}
