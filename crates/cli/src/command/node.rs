//! `peermark node run`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use peermark_core::{ByteSize, Seed, in_words};
use peermark_http::Tls;
use peermark_monitor::config::{MonitorConfig, Profile};
use peermark_monitor::task::{NodeFacts, Secret};
use peermark_monitor::{Listen, Monitor, MonitorError, MonitorOptions, Orders};
use peermark_node::{BoundNode, Node, NodeConfig};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::service::ApiArgs;
use crate::command::up::draw_seed;
use crate::config;
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct NodeCommand {
    #[command(subcommand)]
    command: NodeSubcommand,
}

#[derive(Debug, Subcommand)]
enum NodeSubcommand {
    /// Run a node until it is stopped; its addresses are printed as one line of JSON
    Run(Box<RunArgs>),
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum ModeArg {
    Altruistic,
    Marketplace,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum StoreArg {
    Disk,
    Memory,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "snake_case")]
struct RunArgs {
    /// Directory of the identity and the blocks; made when it is not there
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    api: ApiArgs,
    /// libp2p address to listen on, TCP or QUIC (repeatable)
    #[arg(long, value_name = "MULTIADDR")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listen: Vec<String>,
    /// Peer to join the network by, with its /p2p/ peer id (repeatable)
    #[arg(long, value_name = "MULTIADDR")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bootstrap: Vec<String>,
    /// Give blocks away, or serve them against a signed promise of payment
    #[arg(long, value_name = "MODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<ModeArg>,
    /// Price of a byte in marketplace mode, in the smallest unit of account
    #[arg(long, value_name = "AMOUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    price_per_byte: Option<u64>,
    /// Most that is promised to one peer, in the smallest unit of account; 0 never pays
    #[arg(long, value_name = "AMOUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_limit: Option<u64>,
    /// Where blocks are kept
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreArg>,
    /// Most bytes of blocks that are kept
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<ByteSize>,
    /// Most bytes of blocks in the memory cache
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<ByteSize>,
    /// Bytes of the blocks that uploads are cut into
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    block_size: Option<ByteSize>,
    /// Name of the Kademlia protocol; other names are other networks
    #[arg(long, value_name = "PROTOCOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dht_protocol: Option<String>,
    /// Peers that a provider record is stored with
    #[arg(long, value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    dht_replication: Option<u32>,
    /// First part of every metric's name
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_prefix: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    monitor: MonitorFlags,
    /// Stop when stdin is closed: how a node notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    #[serde(skip)]
    exit_with_stdin: bool,
}

/// What a node's self-tests can be told on the command line; the rest is in the section `monitor`.
#[derive(Debug, Args, Serialize)]
pub(crate) struct MonitorFlags {
    /// Self-tests that the node runs: all that are configured, those that a node under load can afford, or none
    #[arg(long = "monitor", value_name = "WHICH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileArg>,
    /// Redis for zos-compatible results and the RMB commands of the self-tests
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProfileArg {
    Full,
    Light,
    Off,
}

/// Runs `peermark node ...`.
///
/// # Errors
/// [`ExpectedError`] when the configuration cannot be used or the node does not start.
pub(crate) fn run(command: NodeCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let NodeSubcommand::Run(args) = command.command;
    let settings: NodeConfig = config::section("node", &args, file)?;
    let monitor: MonitorConfig = config::section("monitor", &args.monitor, file)?;
    let token = args.api.token()?;
    // Two workers: a node does little, and fifty of them share a laptop.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let done = runtime.block_on(serve(settings, monitor, token, args.exit_with_stdin));
    // A reader of stdin may be blocked in the system; it does not keep the process.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    settings: NodeConfig,
    monitor: MonitorConfig,
    token: Option<Arc<str>>,
    exit_with_stdin: bool,
) -> Result<(), ExpectedError> {
    if settings.allow_anonymous && !settings.api.ip().is_loopback() {
        output::talk(&format!("the API at {} answers anybody who reaches it, as you allowed", settings.api));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    let data = settings.data.clone();
    let secret = token.clone().map(Secret);
    let orders = if token.is_some() { Orders::Guarded } else { Orders::FromHere };
    let bound = Node::bind(settings, token).await?;
    let monitor = start_monitor(&bound, monitor, data, secret).await?;
    let extension = monitor.as_ref().map(|monitor| monitor.extension(orders)).unwrap_or_default();
    let node = bound.serve(extension);
    let addresses: Vec<String> =
        node.addresses().iter().map(|address| format!("{address}/p2p/{}", node.peer_id())).collect();
    let line = json!({
        "schema": "peermark.node/1",
        "api": format!("http://{}", node.api_address()),
        "peer_id": node.peer_id().to_string(),
        "addresses": addresses,
        "pid": std::process::id(),
    });
    output::data(&line.to_string()).map_err(ExpectedError::Output)?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        () = output::stdin_closed(), if exit_with_stdin => {}
    }
    // The tests ask the node, so they end first.
    if let Some(monitor) = monitor {
        monitor.shutdown().await;
    }
    node.shutdown().await;
    Ok(())
}

/// The self-tests of a node that listens already; `None` where none are to run, or where they cannot: a damaged history is no reason
/// for a node not to serve its files. A setting that cannot be used is one for not starting.
async fn start_monitor(
    node: &BoundNode,
    config: MonitorConfig,
    data: PathBuf,
    token: Option<Secret>,
) -> Result<Option<Monitor>, ExpectedError> {
    if config.profile == Profile::Off {
        return Ok(None);
    }
    // The node's own API speaks plain HTTP. With a certificate the monitor's is served beside it, for those who ask from elsewhere.
    let listen = match tls(&config)? {
        Some(tls) => Some(Listen {
            address: config.api,
            token: token.as_ref().map(|token| Arc::clone(&token.0)),
            tls: Some(tls),
            allow_anonymous: config.allow_anonymous,
        }),
        None => None,
    };
    let mut api = node.api_address();
    if api.ip().is_unspecified() {
        api.set_ip(if api.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let facts = NodeFacts {
        id: node.peer_id().to_string(),
        api: Some(format!("http://{api}")),
        token,
        addresses: node.addresses().iter().map(ToString::to_string).collect(),
        pid: Some(std::process::id()),
        data,
    };
    let options = MonitorOptions {
        config,
        node: facts,
        key: node.key().clone(),
        environment: environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT")),
        clock: Arc::new(MonotonicClock::new()),
        seed: Seed(draw_seed()),
        listen,
    };
    match Monitor::start(options).await {
        Ok(monitor) => Ok(Some(monitor)),
        Err(error @ (MonitorError::Setting(_) | MonitorError::Agenda(_) | MonitorError::Listen(_))) => {
            Err(error.into())
        }
        Err(error) => {
            output::talk(&format!("this node does not test itself: {}", in_words(&error)));
            Ok(None)
        }
    }
}

/// What the monitor's API is served with; `None` without a certificate.
///
/// # Errors
/// [`ExpectedError::Configuration`] for files that hold something else.
pub(crate) fn tls(config: &MonitorConfig) -> Result<Option<Tls>, ExpectedError> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let tls = Tls::from_pem_files(certificate, key);
    tls.map(Some).map_err(|error| ExpectedError::Configuration(error.to_string()))
}
