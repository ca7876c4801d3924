//! `peermark monitor run`: a monitor of its own, beside any storage node or none.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use peermark_core::Seed;
use peermark_monitor::config::MonitorConfig;
use peermark_monitor::task::{NodeFacts, Secret};
use peermark_monitor::{Listen, Monitor, MonitorOptions};
use peermark_node::identity;
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::node::{MonitorFlags, tls};
use crate::command::service::{ApiArgs, TlsArgs, read_token};
use crate::command::up::draw_seed;
use crate::config;
use crate::error::ExpectedError;
use crate::output;

/// What is not given here comes from the section `monitor` of the configuration.
#[derive(Debug, Args, Serialize)]
pub(crate) struct RunArgs {
    /// Directory of the key and the history; made when it is not there
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    api: ApiArgs,
    /// Let a token cross the network readable, where there is no certificate
    #[arg(long)]
    #[serde(skip)]
    insecure: bool,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Base URL of the storage node that is tested
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    node_api: Option<String>,
    /// File with the token that the storage node asks for
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    node_token_file: Option<PathBuf>,
    /// Time zone of schedules: UTC or a name such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    tests: MonitorFlags,
    /// Stop when stdin is closed: how a monitor notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    #[serde(skip)]
    exit_with_stdin: bool,
}

/// Runs a monitor until it is stopped.
///
/// # Errors
/// [`ExpectedError`] when the configuration cannot be used or it does not start.
pub(crate) fn run(args: &RunArgs, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let settings: MonitorConfig = config::section("monitor", args, file)?;
    let token = args.api.token()?;
    let node_token = args.node_token_file.as_deref().map(read_token).transpose()?;
    // One thread: what takes long in a test has threads or processes of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(4)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let done = runtime.block_on(serve(settings, [token, node_token], args.insecure, args.exit_with_stdin));
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    settings: MonitorConfig,
    [token, node_token]: [Option<Arc<str>>; 2],
    insecure: bool,
    exit_with_stdin: bool,
) -> Result<(), ExpectedError> {
    let (address, anonymous) = (settings.api, settings.allow_anonymous);
    peermark_http::check_bind(address, token.is_some(), anonymous).map_err(peermark_monitor::MonitorError::from)?;
    let tls = tls(&settings)?;
    if token.is_some() && tls.is_none() && !address.ip().is_loopback() && !insecure {
        let text = format!(
            "the token for {address} would cross the network readable: serve with --tls-cert and --tls-key, or allow it with --insecure"
        );
        return Err(ExpectedError::Configuration(text));
    }
    if anonymous && token.is_none() && !address.ip().is_loopback() {
        output::talk(&format!(
            "the API at {address} answers anybody who reaches it, as you allowed; orders only from this machine"
        ));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    std::fs::create_dir_all(&settings.data)
        .map_err(|source| ExpectedError::Read { path: settings.data.clone(), source })?;
    let key = identity::load_or_create(&settings.data)?;
    let id = key.public().to_peer_id().to_string();
    let node = NodeFacts {
        id: id.clone(),
        api: settings.node_api.clone(),
        token: node_token.map(Secret),
        addresses: Vec::new(),
        pid: None,
        data: settings.data.clone(),
    };
    let options = MonitorOptions {
        config: settings,
        node,
        key,
        environment: environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT")),
        clock: Arc::new(MonotonicClock::new()),
        seed: Seed(draw_seed()),
        listen: Some(Listen { address, token, tls, allow_anonymous: anonymous }),
    };
    let monitor = Monitor::start(options).await?;
    let line = json!({
        "schema": "peermark.monitor/1",
        "api": monitor.url(),
        "node": id,
        "pid": std::process::id(),
    });
    output::data(&line.to_string()).map_err(ExpectedError::Output)?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        () = output::stdin_closed(), if exit_with_stdin => {}
    }
    monitor.shutdown().await;
    Ok(())
}
