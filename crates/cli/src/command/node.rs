//! `peermark node run`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use peermark_core::ByteSize;
use peermark_node::{Node, NodeConfig};
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

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
    /// Address of the REST API; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<SocketAddr>,
    /// Serve the API beyond loopback to callers without a token
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_anonymous: bool,
    /// File with the token that callers of the API must present
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    token_file: Option<PathBuf>,
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
    /// Stop when stdin is closed: how a node notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    #[serde(skip)]
    exit_with_stdin: bool,
}

/// Runs `peermark node ...`.
///
/// # Errors
/// [`ExpectedError`] when the configuration cannot be used or the node does not start.
pub(crate) fn run(command: NodeCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let NodeSubcommand::Run(args) = command.command;
    let settings: NodeConfig = config::section("node", &args, file)?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    // Two workers: a node does little, and fifty of them share a laptop.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let done = runtime.block_on(serve(settings, token, args.exit_with_stdin));
    // A reader of stdin may be blocked in the system; it does not keep the process.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(settings: NodeConfig, token: Option<Arc<str>>, exit_with_stdin: bool) -> Result<(), ExpectedError> {
    if settings.allow_anonymous && !settings.api.ip().is_loopback() {
        output::talk(&format!("the API at {} answers anybody who reaches it, as you allowed", settings.api));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    let node = Node::start(settings, token).await?;
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
    node.shutdown().await;
    Ok(())
}

/// The token in a file.
///
/// # Errors
/// [`ExpectedError`] when the file cannot be read or is empty.
pub(crate) fn read_token(path: &Path) -> Result<Arc<str>, ExpectedError> {
    let text = std::fs::read_to_string(path).map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
    match text.trim() {
        "" => Err(ExpectedError::Configuration(format!("token file {} is empty", path.display()))),
        token => Ok(token.into()),
    }
}
