//! `peermark dht server`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use peermark_core::Clock;
use peermark_dht::evidence::Evidence;
use peermark_dht::server::{DhtServer, Listener, RunningServer, ServerConfig, ServerParts};
use peermark_lab::scenario::HumanDuration;
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::database::{DatabaseArgs, Databases};
use super::engine::{Engine, EngineArgs, build_measure, free_small_port};
use crate::command::service::read_token;
use crate::config;
use crate::error::ExpectedError;
use crate::output;

/// parsec's kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Dht,
    Ipni,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum ListenerArg {
    Api,
    Telemetry,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Kind of the server, as parsec spells it; `dht` may be left out
    #[arg(value_name = "KIND", hide = true)]
    kind: Option<Kind>,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    ignored: IgnoredArgs,
    /// File with the token that callers of both listeners must present. Schedulers send none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Serve without a database: no scheduler finds the server, nothing is stored
    #[arg(long)]
    dry_run: bool,
    /// Stop when stdin is closed: how a server notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

/// The `[dht_server]` section, as far as it is given.
#[derive(Debug, Args, Serialize)]
#[command(next_help_heading = "Server")]
struct SettingArgs {
    /// Name or address that the HTTP interface binds [default: localhost]
    #[arg(long, value_name = "HOST", env = "PARSEC_SERVER_SERVER_HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    server_host: Option<String>,
    /// Port of the HTTP interface, at most 32767; 0 takes a free one [default: 7070]
    #[arg(long, value_name = "PORT", env = "PARSEC_SERVER_SERVER_PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    server_port: Option<u16>,
    /// Name or address that the page of metrics binds [default: localhost]
    #[arg(long, value_name = "HOST", env = "PARSEC_TELEMETRY_HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry_host: Option<String>,
    /// Port of the page of metrics; 0 takes a free one [default: 6666]
    #[arg(long, value_name = "PORT", env = "PARSEC_TELEMETRY_PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry_port: Option<u16>,
    /// Let a listener answer beyond loopback without a token (repeatable)
    #[arg(long, value_name = "LISTENER")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_anonymous: Vec<ListenerArg>,
    /// Fleet that schedulers choose the server by
    #[arg(long, value_name = "NAME", env = "PARSEC_SERVER_FLEET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<String>,
    /// Region, as reports name it
    #[arg(long, alias = "aws-region", value_name = "NAME", env = "AWS_REGION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// IPv4 address under which schedulers reach the server
    #[arg(long, value_name = "IP")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise_ip: Option<Ipv4Addr>,
    /// ECS container metadata as JSON
    #[arg(long, value_name = "JSON", env = "ECS_CONTAINER_METADATA", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ecs_metadata: Option<String>,
    /// Where to get the ECS container metadata
    #[arg(long, value_name = "URL", env = "ECS_CONTAINER_METADATA_URI_V4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ecs_metadata_uri_v4: Option<String>,
    /// From answering to the first heartbeat, which schedulers wait for [default: 1m]
    #[arg(long, value_name = "DURATION", env = "PARSEC_SERVER_STARTUP_DELAY", value_parser = milliseconds)]
    #[serde(rename = "startup_delay_ms", skip_serializing_if = "Option::is_none")]
    startup_delay: Option<u64>,
    /// Longest provide [default: 3m]
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    #[serde(rename = "provide_timeout_ms", skip_serializing_if = "Option::is_none")]
    provide_timeout: Option<u64>,
    /// Longest retrieve [default: 3m]
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    #[serde(rename = "retrieve_timeout_ms", skip_serializing_if = "Option::is_none")]
    retrieve_timeout: Option<u64>,
    /// Operations at once; one more is refused [default: 256]
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_operations: Option<usize>,
}

/// parsec's flags that do nothing here.
#[derive(Debug, Args)]
struct IgnoredArgs {
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_REGION")]
    firehose_region: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_STREAM")]
    firehose_stream: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_BATCH_TIME")]
    firehose_batch_time: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_BATCH_SIZE")]
    firehose_batch_size: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_CONNECTION_EVENTS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    firehose_connection_events: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_FIREHOSE_RPC_EVENTS", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    firehose_rpc_events: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_DHT_BADBITS")]
    badbits: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_SERVER_DHT_DENIED_CIDS")]
    denied_cids: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_LOG_LEVEL")]
    log_level: Option<String>,
    #[arg(long, hide = true, env = "PARSEC_DEBUG", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    debug: Option<String>,
}

impl IgnoredArgs {
    /// Those that were given.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--firehose-region", &self.firehose_region),
            ("--firehose-stream", &self.firehose_stream),
            ("--firehose-batch-time", &self.firehose_batch_time),
            ("--firehose-batch-size", &self.firehose_batch_size),
            ("--firehose-connection-events", &self.firehose_connection_events),
            ("--firehose-rpc-events", &self.firehose_rpc_events),
            ("--badbits", &self.badbits),
            ("--denied-cids", &self.denied_cids),
            ("--log-level", &self.log_level),
            ("--debug", &self.debug),
        ];
        let given = all.into_iter().filter(|(_, value)| value.as_deref().is_some_and(|text| !text.is_empty()));
        given.map(|(flag, _)| flag).collect()
    }
}

/// Runs `peermark dht server ...`.
///
/// # Errors
/// [`ExpectedError`] when the configuration cannot be used or the server does not start.
pub(crate) fn run(args: ServerArgs, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    if args.kind == Some(Kind::Ipni) {
        return Err(ExpectedError::Configuration("ipni is not supported: peermark measures DHTs".into()));
    }
    let config: ServerConfig = config::section("dht_server", &args.settings, file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let done = runtime.block_on(serve(config, args));
    // A reader of stdin may be blocked in the system; it does not keep the process.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(mut config: ServerConfig, args: ServerArgs) -> Result<(), ExpectedError> {
    let mut engine = args.engine.resolve()?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let mut stop = pin!(stopped(args.exit_with_stdin)?);
    announce(&config, &args, token.is_some());
    output::talk(&engine.words());
    if engine.public {
        output::talk("joining a public network, as you named it: its peers are strangers, keep the rate low");
    }
    if engine.bootstrap.is_empty() {
        output::talk("no bootstrap peer: this node waits for others to dial it, and is not ready until then");
    }
    let databases = if args.dry_run { None } else { Some(args.database.open().await?) };
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    if databases.is_some() && engine.peer_port == 0 {
        // The schema of the database holds no port that the system would give.
        engine.peer_port = free_small_port(engine.peer_host)?;
    }
    let started = build_measure(&engine, &clock).await?;
    tokio::select! {
        () = join(&started, &engine.bootstrap) => {}
        () = &mut stop => return Ok(()),
    }
    let _upkeep = started.engine.maintain(engine.bootstrap.clone());
    config.provider_store = config.provider_store.or(engine.provider_store);
    let evidence = databases.as_ref().map(evidence);
    let parts = ServerParts {
        measure: started.engine.clone(),
        peer_id: started.peer_id,
        peer_port: started.peer_port,
        engine: started.facts,
        store: databases.as_ref().map(|databases| databases.dht.clone()),
        evidence,
        clock,
        environment: environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT")),
        arguments: arguments(),
        token,
    };
    let peer_id = parts.peer_id;
    let host = started.engine.host();
    let addresses = host.addresses().into_iter().map(|at| format!("{at}/p2p/{peer_id}")).collect::<Vec<_>>();
    let server = DhtServer::start(config, parts).await?;
    output::data(&line(&server, &peer_id.to_string(), &addresses, databases.as_ref()))
        .map_err(ExpectedError::Output)?;
    stop.await;
    if let Some(finished) = server.shutdown().await
        && finished.dropped > 0
    {
        output::talk(&format!("{} operations could not be stored", finished.dropped));
    }
    if let Some(databases) = databases {
        databases.dht.close().await;
        if let Some(store) = databases.observations {
            store.close().await;
        }
    }
    Ok(())
}

/// Ends when the server is to stop.
fn stopped(exit_with_stdin: bool) -> Result<impl Future<Output = ()>, ExpectedError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = output::stdin_closed(), if exit_with_stdin => {}
        }
    })
}

/// Joins the network, so that what is measured first is not the joining. A server that cannot is not ready and goes on trying.
async fn join(started: &Engine, bootstrap: &[libp2p::Multiaddr]) {
    if bootstrap.is_empty() {
        return;
    }
    if let Err(error) = started.engine.join(bootstrap).await {
        output::talk(&format!("not in the network yet, will go on trying: {error}"));
    }
}

/// Says what is open to strangers and what was given and does nothing.
fn announce(config: &ServerConfig, args: &ServerArgs, has_token: bool) {
    let ignored = args.ignored.given();
    if !ignored.is_empty() {
        output::talk(&format!("accepted for parsec's sake, without effect: {}", ignored.join(", ")));
    }
    let listeners = [
        (Listener::Api, "the HTTP interface", &config.server_host),
        (Listener::Telemetry, "the page of metrics", &config.telemetry_host),
    ];
    for (listener, name, host) in listeners {
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !has_token && !local && config.allow_anonymous.contains(&listener) {
            output::talk(&format!("{name} at {host} answers anybody who reaches it, as you allowed"));
        }
    }
    if config.fleet.is_empty() && !args.dry_run {
        output::talk("no --fleet: only schedulers that ask for the fleet without a name find this server");
    }
}

fn evidence(databases: &Databases) -> Evidence {
    Evidence {
        observations: databases.observations.clone(),
        traces: Some(databases.dht.clone()),
        linked: databases.linked,
    }
}

fn line(server: &RunningServer, peer_id: &str, addresses: &[String], databases: Option<&Databases>) -> String {
    let document = json!({
        "schema": "peermark.dht-server/1",
        "api": format!("http://{}", server.api_address()),
        "telemetry": format!("http://{}/metrics", server.telemetry_address()),
        "peer_id": peer_id,
        "addresses": addresses,
        "node_id": server.node_id().map(|node| node.0),
        "store": databases.map(|databases| databases.place.as_str()),
        "pid": std::process::id(),
    });
    document.to_string()
}

#[expect(clippy::disallowed_methods, reason = "the command line goes into the server's row, without its secrets")]
fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// A duration as Go and people write it, in milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let duration: HumanDuration = text.parse().map_err(|error| format!("{error}; write for example 30s or 1m30s"))?;
    u64::try_from(duration.0.as_millis()).map_err(|_| "too long".to_owned())
}
