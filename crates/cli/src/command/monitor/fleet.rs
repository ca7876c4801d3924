//! `peermark monitor fleet`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use peermark_core::in_words;
use peermark_http::{Server, Tls};
use peermark_monitor::fleet::rules::prometheus_rules;
use peermark_monitor::fleet::server::{FleetListen, start};
use peermark_monitor::fleet::{Fleet, FleetConfig, FleetOptions, page, terminal};
use peermark_probe::clock::MonotonicClock;
use peermark_store::Store;
use tokio_util::sync::CancellationToken;

use super::{print, runtime};
use crate::command::service::read_token;
use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct FleetArgs {
    /// File that names the monitors and the alert rules
    #[arg(long, value_name = "FILE", required_unless_present = "rules")]
    targets: Option<PathBuf>,
    /// Print alert rules for a Prometheus that scrapes the monitors, and end
    #[arg(long, conflicts_with_all = ["targets", "once", "listen"])]
    rules: bool,
    /// Ask every monitor once, print, and end: with 100 where somebody has to look at a node
    #[arg(long)]
    once: bool,
    /// The grid, or one JSON document; again after each interval without --once
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Database that gets every attempt; `none` keeps nothing
    #[arg(long, value_name = "PATH", default_value = "./peermark.db")]
    store: PathBuf,
    /// With --once: also write the grid as a page
    #[arg(long, value_name = "FILE", requires = "once")]
    html: Option<PathBuf>,
    /// Send tokens to other machines over plain HTTP, where everybody on the way can read them
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    listen: ListenArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving the grid")]
struct ListenArgs {
    /// Serve the grid here as a page, as JSON and as metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDR", conflicts_with = "once")]
    listen: Option<SocketAddr>,
    /// File with the token that callers must present
    #[arg(long, value_name = "FILE", requires = "listen")]
    token_file: Option<PathBuf>,
    /// Serve it beyond loopback to callers without a token
    #[arg(long, requires = "listen")]
    allow_anonymous: bool,
    /// Certificate chain (PEM) that it is served with
    #[arg(long, value_name = "FILE", requires_all = ["listen", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`ExpectedError`] when the fleet cannot be watched.
pub(super) fn run(args: FleetArgs) -> Result<ExitCode, ExpectedError> {
    if args.rules {
        output::data(prometheus_rules().trim_end()).map_err(ExpectedError::Output)?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime()?.block_on(async {
        tokio::spawn(watch(args)).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    })
}

async fn watch(args: FleetArgs) -> Result<ExitCode, ExpectedError> {
    let config = FleetConfig::read(args.targets.as_deref().unwrap_or(Path::new("")))?;
    let every = config.every();
    let keeps = args.store.as_os_str() != "none";
    let store = if keeps { Some(Store::open(&args.store).await?) } else { None };
    let mut alerts = args.store.clone().into_os_string();
    alerts.push(".alerts.json");
    let options = FleetOptions {
        clock: Arc::new(MonotonicClock::new()),
        store: store.clone(),
        alerts: keeps.then(|| alerts.into()),
        insecure: args.insecure,
    };
    let fleet = Fleet::open(config, options).await?;
    let stop = CancellationToken::new();
    let code = if args.once {
        once(&fleet, &args, &stop).await?
    } else {
        let served = serve(&fleet, &args.listen).await?;
        let mut running = tokio::spawn({
            let (fleet, stop) = (fleet.clone(), stop.clone());
            async move { fleet.run(&stop).await }
        });
        // Whichever ends first ends the other: a grid that nobody keeps up to date is not shown.
        let (shown, ran) = tokio::select! {
            shown = show(&fleet, args.format, every) => {
                stop.cancel();
                (shown, running.await)
            }
            ran = &mut running => (Ok(()), ran),
        };
        let ran = ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if let Some(server) = served {
            server.shutdown().await;
        }
        ran?;
        shown?;
        ExitCode::SUCCESS
    };
    if let Some(store) = store {
        store.close().await;
    }
    Ok(code)
}

async fn once(fleet: &Fleet, args: &FleetArgs, stop: &CancellationToken) -> Result<ExitCode, ExpectedError> {
    fleet.once(stop).await?;
    let document = fleet.document();
    if let Some(path) = &args.html {
        std::fs::write(path, page::html(&document)).map_err(ExpectedError::Output)?;
    }
    print(args.format, &document, || terminal::render(&document))?;
    Ok(if document.is_bad() { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}

async fn serve(fleet: &Fleet, args: &ListenArgs) -> Result<Option<Server>, ExpectedError> {
    let Some(address) = args.listen else { return Ok(None) };
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => {
            Some(Tls::from_pem_files(chain, key).map_err(|error| ExpectedError::Configuration(in_words(&error)))?)
        }
        _ => None,
    };
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let listen = FleetListen { address, token, allow_anonymous: args.allow_anonymous, tls };
    let server = start(fleet.clone(), listen).await?;
    output::talk(&format!("the grid is at {}", server.url()));
    Ok(Some(server))
}

/// Prints the fleet after each interval until the process is told to stop.
async fn show(fleet: &Fleet, format: Format, every: std::time::Duration) -> Result<(), ExpectedError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let document = fleet.document();
                print(format, &document, || format!("{}\n", terminal::render(&document)))?;
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}
