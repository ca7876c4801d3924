//! `peermark dht scheduler`.

mod capacity;
mod rounds;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use peermark_core::Seed;
use peermark_dht::scheduler::{CallOptions, Fleets};
use peermark_lab::scenario::HumanDuration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::database::DatabaseArgs;
use crate::command::up::{Format, draw_seed};
use crate::error::ExpectedError;
use crate::output;

/// Rounds in quicker succession would be a load, and without servers a busy loop on the database.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListenerArg {
    Telemetry,
}

#[derive(Debug, Args)]
pub(crate) struct SchedulerArgs {
    #[command(flatten)]
    fleets: FleetArgs,
    #[command(flatten)]
    rounds: RoundArgs,
    #[command(flatten)]
    calls: CallArgs,
    #[command(flatten)]
    capacity: CapacityArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    ignored: IgnoredArgs,
    /// Seed of contents and arrivals; drawn and printed when absent. The same seed publishes the same contents again
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Results on stdout as text or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Check the arguments and ask nobody
    #[arg(long, env = "PARSEC_SCHEDULE_DRY_RUN", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    dry_run: bool,
    /// Stop when stdin is closed: how a scheduler notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Fleets")]
struct FleetArgs {
    /// Fleets whose servers publish in turn and look up, mixed (repeatable, or separated by commas)
    #[arg(long, value_name = "NAME", env = "PARSEC_SCHEDULER_FLEETS", value_delimiter = ',')]
    fleets: Vec<String>,
    /// Fleets whose servers publish, where others look up; instead of --fleets
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "lookup_fleets")]
    publish_fleets: Vec<String>,
    /// Fleets whose servers look up, where others publish; instead of --fleets
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "publish_fleets")]
    lookup_fleets: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rounds")]
struct RoundArgs {
    /// From one round to the next, 100ms at least
    #[arg(long, value_name = "DURATION", env = "PARSEC_SCHEDULER_INTERVAL", default_value = "1m")]
    interval: HumanDuration,
    /// Retrieves per server and round
    #[arg(long, value_name = "COUNT", env = "PARSEC_SCHEDULER_PROBES", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    probes: u32,
    /// Stop after so many rounds
    #[arg(long, value_name = "COUNT")]
    rounds: Option<u64>,
    /// After each provide, ask in every region until the record is seen, so long at most
    #[arg(long, value_name = "DURATION")]
    visible_within: Option<HumanDuration>,
    /// How long the last list of servers is used on without the database, once its heartbeats are no longer fresh
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    grace: HumanDuration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Calls")]
struct CallArgs {
    /// Longest provide or retrieve; parsec's servers end a provide after 180 s
    #[arg(long, value_name = "DURATION", default_value = "190s")]
    timeout: HumanDuration,
    /// Longest time for a server to say that it is ready
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    readiness_timeout: HumanDuration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Capacity curve, instead of rounds")]
struct CapacityArgs {
    /// Operations per second of the last step, whatever becomes of the ones before: draws the capacity curve
    #[arg(long, value_name = "RATE", conflicts_with_all = ["rounds", "visible_within"])]
    rate: Option<f64>,
    /// Length of each step
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", requires = "rate")]
    lasting: HumanDuration,
    /// Steps, each at twice the rate of the one before
    #[arg(long, value_name = "COUNT", default_value_t = 5, requires = "rate")]
    steps: u32,
    /// Share of provides among the operations
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, requires = "rate")]
    provide_share: f64,
    /// Operations in flight; one more is turned away and counted
    #[arg(long, value_name = "COUNT", default_value_t = 512, requires = "rate")]
    in_flight: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Telemetry")]
struct TelemetryArgs {
    /// Name or address that the page of metrics binds
    #[arg(long, value_name = "HOST", env = "PARSEC_TELEMETRY_HOST", default_value = "localhost")]
    telemetry_host: String,
    /// Port of the page of metrics; 0 takes a free one
    #[arg(long, value_name = "PORT", env = "PARSEC_TELEMETRY_PORT", default_value_t = 6666)]
    telemetry_port: u16,
    /// Let a listener answer beyond loopback
    #[arg(long, value_name = "LISTENER")]
    allow_anonymous: Option<ListenerArg>,
}

/// parsec's flags that do nothing here.
#[derive(Debug, Args)]
struct IgnoredArgs {
    #[arg(long, hide = true, env = "PARSEC_LOG_LEVEL")]
    log_level: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_DEBUG", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    debug: Option<String>,
    #[arg(long, hide = true, env = "ECS_CONTAINER_METADATA", hide_env_values = true)]
    ecs_metadata: Option<String>,
    #[arg(long, hide = true, env = "ECS_CONTAINER_METADATA_URI_V4")]
    ecs_metadata_uri_v4: Option<String>,
    #[arg(long, hide = true, env = "AWS_REGION")]
    aws_region: Option<String>,
}

impl IgnoredArgs {
    /// Those that were given.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--log-level", &self.log_level),
            ("--debug", &self.debug),
            ("--ecs-metadata", &self.ecs_metadata),
            ("--ecs-metadata-uri-v4", &self.ecs_metadata_uri_v4),
            ("--aws-region", &self.aws_region),
        ];
        let given = all.into_iter().filter(|(_, value)| value.as_deref().is_some_and(|text| !text.is_empty()));
        given.map(|(flag, _)| flag).collect()
    }
}

/// Runs `peermark dht scheduler ...`.
///
/// # Errors
/// [`ExpectedError`] when the arguments cannot be used or the scheduler does not start.
pub(crate) fn run(args: SchedulerArgs) -> Result<ExitCode, ExpectedError> {
    let seed = Seed(args.seed.unwrap_or_else(draw_seed));
    output::talk(&format!("seed {seed}"));
    let ignored = args.ignored.given();
    if !ignored.is_empty() {
        output::talk(&format!("accepted for parsec's sake, without effect: {}", ignored.join(", ")));
    }
    let fleets = args.fleets.resolve()?;
    args.rounds.check()?;
    if args.dry_run {
        output::talk(&format!("dry run: fleets {}; nobody is asked, nothing is stored", fleets.all().join(", ")));
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let done = runtime.block_on(Box::pin(perform(args, fleets, seed)));
    // A reader of stdin may be blocked in the system; it does not keep the process.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn perform(args: SchedulerArgs, fleets: Fleets, seed: Seed) -> Result<(), ExpectedError> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    let (stopped, exit_with_stdin) = (stop.clone(), args.exit_with_stdin);
    let stopping = tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = output::stdin_closed(), if exit_with_stdin => {}
        }
        output::talk("stopping: what was measured is written first");
        stopped.cancel();
    });
    let databases = args.database.open().await?;
    let done = match args.capacity.rate {
        Some(rate) => capacity::run(&args, rate, fleets, seed, &databases, stop).await,
        None => rounds::run(&args, fleets, seed, &databases, stop).await,
    };
    stopping.abort();
    databases.dht.close().await;
    if let Some(store) = databases.observations {
        store.close().await;
    }
    done
}

impl FleetArgs {
    fn resolve(&self) -> Result<Fleets, ExpectedError> {
        let named = |fleets: &[String]| -> Vec<String> {
            fleets.iter().map(|fleet| fleet.trim().to_owned()).filter(|fleet| !fleet.is_empty()).collect()
        };
        let (mixed, publish, lookup) = (named(&self.fleets), named(&self.publish_fleets), named(&self.lookup_fleets));
        let wrong = |text: &str| Err(ExpectedError::Configuration(text.to_owned()));
        match (mixed.is_empty(), publish.is_empty(), lookup.is_empty()) {
            (false, true, true) => Ok(Fleets::mixed(mixed)),
            (true, false, false) => Ok(Fleets::pair(publish, lookup)),
            (true, ..) => wrong(
                "no fleet: name those whose servers shall be asked with --fleets, or with --publish-fleets and \
                 --lookup-fleets",
            ),
            (false, ..) => {
                wrong("--fleets mixes what --publish-fleets and --lookup-fleets keep apart: give one or the other")
            }
        }
    }
}

impl RoundArgs {
    fn check(&self) -> Result<(), ExpectedError> {
        if self.interval.0 < SHORTEST_INTERVAL {
            let (given, least) = (self.interval, HumanDuration(SHORTEST_INTERVAL));
            return Err(ExpectedError::Configuration(format!("--interval {given}: shorter than {least}")));
        }
        Ok(())
    }
}

impl CallArgs {
    fn options(&self) -> Result<CallOptions, ExpectedError> {
        let possible = Duration::from_millis(1)..=Duration::from_secs(3600);
        for (flag, given) in [("--timeout", self.timeout), ("--readiness-timeout", self.readiness_timeout)] {
            if !possible.contains(&given.0) {
                return Err(ExpectedError::Configuration(format!("{flag} {given}: not between 1ms and 1h")));
            }
        }
        Ok(CallOptions { timeout: self.timeout.0, readiness_timeout: self.readiness_timeout.0 })
    }
}

impl TelemetryArgs {
    /// The address that its name stands for, IPv4 first as elsewhere.
    async fn address(&self) -> Result<SocketAddr, ExpectedError> {
        let named = (self.telemetry_host.as_str(), self.telemetry_port);
        let found = tokio::net::lookup_host(named).await.map_err(|error| {
            ExpectedError::Configuration(format!("--telemetry-host {:?}: {error}", self.telemetry_host))
        })?;
        let mut found: Vec<SocketAddr> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found.first().copied().ok_or_else(|| {
            ExpectedError::Configuration(format!("--telemetry-host {:?} has no address", self.telemetry_host))
        })
    }
}
