//! A server from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use peermark_core::{Clock, Environment};
use peermark_http::Server;
use peermark_store::dht::{DhtStore, MAX_PORT, NewNode, NodeId};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::config::ServerConfig;
use super::dependencies::{EngineFacts, dependencies};
use super::error::ServerError;
use super::heartbeat::{Beat, beats};
use super::listen::bind;
use super::metrics::{Metrics, count};
use super::place::{self, Place};
use super::redact::without_secrets;
use super::state::{Inner, Limits, ServerState};
use super::{disk, http};
use crate::evidence::{Evidence, EvidenceOptions, Finished, RecorderEnd, RunFacts};
use crate::measure::Measure;

/// Longest wait for one write of the server's row.
const ROW_TIMEOUT: Duration = Duration::from_secs(5);

/// How long operations may go on once the server stops. Shorter than the HTTP server waits for open requests, so that their callers
/// are told what became of them.
const OPERATIONS_GRACE: Duration = Duration::from_secs(3);

/// A server before it starts.
#[derive(Debug)]
pub struct DhtServer;

/// What a server is composed of.
pub struct ServerParts {
    /// Does the operations.
    pub measure: Arc<dyn Measure>,
    /// Who does them.
    pub peer_id: PeerId,
    /// Port of the libp2p host.
    pub peer_port: u16,
    /// How the lookup engine is set up.
    pub engine: EngineFacts,
    /// Gets the server's row and heartbeats; without it no scheduler finds the server.
    pub store: Option<DhtStore>,
    /// Gets every operation; without it they are in the metrics only.
    pub evidence: Option<Evidence>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Machine and build.
    pub environment: Environment,
    /// The command line as it was given.
    pub arguments: Vec<String>,
    /// Asked of every caller of both listeners when it is given. Schedulers send none.
    pub token: Option<Arc<str>>,
}

/// A running server. Dropping it stops it without a word to the database; [`RunningServer::shutdown`] stops it in order.
pub struct RunningServer {
    api: Server,
    telemetry: Server,
    state: ServerState,
    row: Option<Row>,
    recorder: Option<RecorderEnd>,
    _disk: Option<AbortOnDropHandle<()>>,
}

/// The server's row and the task that keeps it fresh.
struct Row {
    store: DhtStore,
    node: NodeId,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl DhtServer {
    /// Starts a server: listeners bound, row written without a heartbeat, evidence begun, requests answered; the first heartbeat comes
    /// after the startup delay.
    ///
    /// # Errors
    /// [`ServerError`] names the setting, address, port or database that cannot be used.
    pub async fn start(config: ServerConfig, parts: ServerParts) -> Result<RunningServer, ServerError> {
        check(&config, &parts)?;
        let (api, telemetry) = bind(&config, &parts).await?;
        let place = match &parts.store {
            Some(_) => Some(place::find(&config, api.address()).await?),
            None => None,
        };
        let region = place.as_ref().map_or_else(|| config.region.clone().unwrap_or_default(), |at| at.region.clone());
        let node = match (&parts.store, place) {
            (Some(store), Some(place)) => {
                Some((store.clone(), register(store, &config, &parts, place, api.address()).await?))
            }
            _ => None,
        };
        let mut recorder = (None, None);
        if let Some(evidence) = parts.evidence.clone() {
            let facts = facts(&config, &parts, region);
            let begun = evidence.begin(facts, EvidenceOptions::default(), &*parts.clock).await;
            let (handle, end) = begun.map_err(ServerError::Evidence)?;
            recorder = (Some(handle), Some(end));
        }
        let state = state(&config, &parts, recorder.0);
        let disk = config.provider_store.clone().map(|path| tokio::spawn(disk::watch(state.clone(), path)));
        let telemetry = telemetry.serve(http::telemetry(state.clone()));
        let api = api.serve(http::router(state.clone()));
        let row = node.map(|(store, node)| keep_fresh(&config, state.clone(), store, node));
        let disk = disk.map(AbortOnDropHandle::new);
        Ok(RunningServer { api, telemetry, state, row, recorder: recorder.1, _disk: disk })
    }
}

impl RunningServer {
    /// Where schedulers call.
    pub fn api_address(&self) -> SocketAddr {
        self.api.address()
    }

    /// Where the page of metrics is.
    pub fn telemetry_address(&self) -> SocketAddr {
        self.telemetry.address()
    }

    /// The server's row; `None` without a database.
    pub fn node_id(&self) -> Option<NodeId> {
        self.row.as_ref().map(|row| row.node)
    }

    /// Stops in order, within 30 s whatever the database does: no more heartbeats, row offline, open requests answered, running
    /// operations ended and recorded, evidence written. Returns what became of the operations, where they are stored.
    pub async fn shutdown(self) -> Option<Finished> {
        let Self { api, telemetry, state, row, recorder, _disk } = self;
        if let Some(row) = row {
            row.mark_offline(&state).await;
        }
        let operations = async {
            state.operations.close();
            if timeout(OPERATIONS_GRACE, state.operations.wait()).await.is_err() {
                state.give_up.cancel();
                state.operations.wait().await;
            }
        };
        tokio::join!(api.shutdown(), operations);
        telemetry.shutdown().await;
        match recorder {
            Some(recorder) => Some(recorder.finish().await),
            None => None,
        }
    }
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningServer")
            .field("api", &self.api.address())
            .field("node", &self.node_id())
            .finish_non_exhaustive()
    }
}

impl Row {
    /// After the last heartbeat, never before it: a late one would bring the server back.
    async fn mark_offline(self, state: &ServerState) {
        self.stop.cancel();
        if timeout(ROW_TIMEOUT * 2, self.task).await.is_err() {
            tracing::warn!("the last heartbeat does not end");
        }
        match timeout(ROW_TIMEOUT, self.store.mark_offline(self.node, state.clock.wall_ms())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot say in the database that this server stops"),
            Err(_elapsed) => tracing::error!("the database does not take that this server stops"),
        }
    }
}

fn check(config: &ServerConfig, parts: &ServerParts) -> Result<(), ServerError> {
    let setting = |name, reason: &str| Err(ServerError::Setting { name, reason: reason.to_owned() });
    if config.max_operations == 0 || config.max_operations > Semaphore::MAX_PERMITS {
        return setting("max_operations", "a server that takes no operations is none");
    }
    if config.heartbeat_ms == 0 {
        return setting("heartbeat_ms", "heartbeats need time between them");
    }
    if config.provide_timeout_ms == 0 || config.retrieve_timeout_ms == 0 {
        return setting("provide_timeout_ms, retrieve_timeout_ms", "an operation needs time");
    }
    if parts.store.is_some() {
        for (what, port) in [("server port", config.server_port), ("peer port", parts.peer_port)] {
            if port > MAX_PORT {
                return Err(ServerError::Port { what, port });
            }
        }
    }
    Ok(())
}

async fn register(
    store: &DhtStore,
    config: &ServerConfig,
    parts: &ServerParts,
    place: Place,
    bound: SocketAddr,
) -> Result<NodeId, ServerError> {
    if bound.port() > MAX_PORT {
        return Err(ServerError::Port { what: "server port", port: bound.port() });
    }
    let node = NewNode {
        cpu: place.cpu,
        memory: place.memory,
        peer_id: parts.peer_id.to_base58(),
        region: place.region,
        cmd: without_secrets(&parts.arguments),
        fleet: config.fleet.clone(),
        dependencies: dependencies(&parts.engine, &parts.environment.commit),
        ip_address: place.address,
        server_port: bound.port(),
        peer_port: parts.peer_port,
    };
    let now_ms = parts.clock.wall_ms();
    match timeout(ROW_TIMEOUT, store.insert_node(&node, now_ms)).await {
        Ok(inserted) => inserted.map_err(ServerError::Register),
        Err(_elapsed) => Err(ServerError::RegisterTimeout { seconds: ROW_TIMEOUT.as_secs() }),
    }
}

fn facts(config: &ServerConfig, parts: &ServerParts, region: String) -> RunFacts {
    let observer = parts.peer_id.to_base58();
    // Peer ids differ at their ends.
    let tail = &observer[observer.len().saturating_sub(8)..];
    RunFacts {
        run: format!("dht-{}-{tail}", parts.clock.wall_ms()),
        observer: observer.clone(),
        fleet: config.fleet.clone(),
        region,
        environment: parts.environment.clone(),
    }
}

fn state(config: &ServerConfig, parts: &ServerParts, recorder: Option<crate::evidence::Recorder>) -> ServerState {
    let metrics = Metrics::new(config.provider_store.is_some());
    metrics.announce(parts.engine.variant);
    ServerState::new(Inner {
        measure: parts.measure.clone(),
        clock: parts.clock.clone(),
        variant: parts.engine.variant,
        metrics,
        recorder,
        limits: Limits {
            provide: Duration::from_millis(config.provide_timeout_ms),
            retrieve: Duration::from_millis(config.retrieve_timeout_ms),
            operations: config.max_operations,
            body_bytes: usize::try_from(config.max_body.0).unwrap_or(usize::MAX),
        },
        permits: Arc::new(Semaphore::new(config.max_operations)),
        operations: TaskTracker::new(),
        give_up: CancellationToken::new(),
    })
}

fn keep_fresh(config: &ServerConfig, state: ServerState, store: DhtStore, node: NodeId) -> Row {
    let stop = CancellationToken::new();
    let beat = Beat { first: config.startup_delay(), every: config.heartbeat() };
    let (stopped, rows) = (stop.clone(), store.clone());
    let task = tokio::spawn(async move {
        beats(beat, &stopped, || write_heartbeat(&state, &rows, node)).await;
    });
    Row { store, node, stop, task: AbortOnDropHandle::new(task) }
}

async fn write_heartbeat(state: &ServerState, store: &DhtStore, node: NodeId) -> bool {
    let failed = match timeout(ROW_TIMEOUT, store.heartbeat(node, state.clock.wall_ms())).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => "the database does not answer".to_owned(),
    };
    count(&state.metrics.heartbeat_failures);
    tracing::warn!(failed, "cannot write the heartbeat, trying again");
    false
}
