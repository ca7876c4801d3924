//! A fleet of servers of the test, each with a fault or none, their rows in a store, and a scheduler over them.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use parking_lot::Mutex;
use peermark_core::{Clock, Seed};
use peermark_dht::key::RecordKey;
use peermark_dht::scheduler::round::{RoundEnd, RoundSummary};
use peermark_dht::scheduler::{
    CallOptions, EvidenceRun, Fleets, Notice, SchedulerOptions, SchedulerSummary, Tell, run,
};
use peermark_probe::clock::MonotonicClock;
use peermark_store::dht::{DhtStore, MAX_PORT, Measured, MeasuredFilter, NewNode, NodeId};
use peermark_store::{RunRecord, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything that has to happen.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What a server does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Ready, and never answers anything else.
    Hangs,
    /// Never says whether it is ready.
    HangsWhenAsked,
    /// Answers with something that is not JSON.
    Garbage,
    /// Answers as before September 2025.
    Legacy,
    /// Its durations are floats.
    Floats,
    /// Answers HTTP status 500 and a text.
    Breaks,
    /// Listens no more.
    Dead,
    /// Answers late, but in time.
    Slow(Duration),
    /// Sees records so long after they were published.
    Late(Duration),
    /// Fails to publish, and says so.
    CannotPublish,
    /// Is not ready.
    NotReady,
}

/// The records that all servers of one test publish and find, with the moment of publication.
type Network = Arc<Mutex<HashMap<String, Duration>>>;

#[derive(Clone)]
struct Server {
    fault: Fault,
    rt_size: i32,
    network: Network,
    clock: Arc<dyn Clock>,
    calls: Arc<Mutex<Vec<String>>>,
}

/// One server of a cluster.
pub(crate) struct Member {
    pub(crate) id: NodeId,
    /// Its routing table has a size that no other's has: what it said is recognised wherever it is written down.
    pub(crate) rt_size: i32,
    pub(crate) address: SocketAddr,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
}

/// Servers with their rows.
pub(crate) struct Cluster {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) tables: DhtStore,
    pub(crate) members: Vec<Member>,
    pub(crate) clock: Arc<dyn Clock>,
    network: Network,
}

impl Cluster {
    /// Servers `(peer id, region, fleet, fault)` that have just sent a heartbeat.
    pub(crate) async fn start(servers: &[(&str, &str, &str, Fault)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("peermark.db")).await.unwrap();
        let tables = DhtStore::of(&store);
        Self::start_in(directory, store, tables, servers).await
    }

    /// The same with tables that are elsewhere than the observations.
    pub(crate) async fn start_in(
        directory: tempfile::TempDir,
        store: Store,
        tables: DhtStore,
        servers: &[(&str, &str, &str, Fault)],
    ) -> Self {
        let mut cluster = Self {
            directory,
            tables,
            store,
            members: Vec::new(),
            clock: Arc::new(MonotonicClock::new()),
            network: Network::default(),
        };
        for (peer_id, region, fleet, fault) in servers {
            cluster.add(peer_id, region, fleet, *fault).await;
        }
        cluster
    }

    pub(crate) async fn add(&mut self, peer_id: &str, region: &str, fleet: &str, fault: Fault) {
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let rt_size = 1000 + self.members.len() as i32;
        let (clock, network) = (Arc::clone(&self.clock), Arc::clone(&self.network));
        let server = Server { fault, rt_size, network, clock, calls: Arc::clone(&calls) };
        let address = serve(server).await;
        let id = self.register(peer_id, region, fleet, address).await;
        self.members.push(Member { id, rt_size, address, calls });
    }

    /// A row for a server at an address, with a heartbeat.
    pub(crate) async fn register(&self, peer_id: &str, region: &str, fleet: &str, address: SocketAddr) -> NodeId {
        let node = NewNode {
            cpu: 1,
            memory: 1,
            peer_id: peer_id.to_owned(),
            region: region.to_owned(),
            cmd: "server".to_owned(),
            fleet: fleet.to_owned(),
            dependencies: serde_json::json!({}),
            ip_address: Ipv4Addr::LOCALHOST,
            server_port: address.port(),
            peer_port: 1,
        };
        let now_ms = self.clock.wall_ms();
        let id = self.tables.insert_node(&node, now_ms).await.unwrap();
        self.tables.heartbeat(id, now_ms).await.unwrap();
        id
    }

    pub(crate) async fn rows(&self) -> Vec<Measured> {
        let filter = MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() };
        let rows = self.tables.measured(&filter, 10_000).await.unwrap();
        // Whoever said it is who it is written down for.
        for measured in &rows {
            let by = self.members.iter().find(|member| member.rt_size == measured.row.rt_size).unwrap();
            assert_eq!(by.id, measured.row.node, "{measured:?}");
        }
        rows
    }

    /// Whether a server counts as offline.
    pub(crate) async fn is_offline(&self, id: NodeId) -> bool {
        let seen = self.tables.nodes_since(0).await.unwrap();
        seen.iter().find(|seen| seen.node.id == id).unwrap().offline_since_ms.is_some()
    }

    /// A run for observations.
    pub(crate) async fn evidence(&self) -> EvidenceRun {
        let environment = peermark_probe::environment::environment("0", "test");
        let environment = self.store.put_environment(&environment).await.unwrap();
        let record = RunRecord {
            id: "scheduler".into(),
            kind: "dht".into(),
            name: "scheduler".into(),
            scenario_fingerprint: String::new(),
            seed: Seed(1),
            version: "0".into(),
            commit: "test".into(),
            environment: environment.clone(),
            started_wall_ms: self.clock.wall_ms(),
        };
        self.store.begin_run(&record).await.unwrap();
        EvidenceRun { store: self.store.clone(), run: record.id, environment, observer: "scheduler".into() }
    }

    /// Runs a scheduler to its end.
    pub(crate) async fn schedule(&self, options: SchedulerOptions) -> Done {
        let running = self.begin(options, None);
        tokio::time::timeout(LONG, running.end()).await.unwrap()
    }

    /// Starts a scheduler.
    pub(crate) fn begin(&self, options: SchedulerOptions, evidence: Option<EvidenceRun>) -> Running {
        let told = Arc::<Mutex<Vec<Notice>>>::default();
        let tell: Tell = {
            let told = Arc::clone(&told);
            Arc::new(move |notice| told.lock().push(notice))
        };
        let stop = CancellationToken::new();
        let (tables, clock) = (self.tables.clone(), Arc::clone(&self.clock));
        let task = tokio::spawn(run(options, tables, evidence, clock, tell, stop.clone()));
        Running { told, stop, task }
    }
}

/// A scheduler under way.
pub(crate) struct Running {
    pub(crate) told: Arc<Mutex<Vec<Notice>>>,
    pub(crate) stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<SchedulerSummary, peermark_dht::scheduler::SchedulerError>>,
}

/// What a scheduler did and said.
pub(crate) struct Done {
    pub(crate) summary: SchedulerSummary,
    pub(crate) told: Vec<Notice>,
}

impl Running {
    pub(crate) async fn end(self) -> Done {
        let summary = self.task.await.unwrap().unwrap();
        let told = self.told.lock().clone();
        Done { summary, told }
    }

    /// Waits until what was told so far satisfies a condition.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&[Notice]) -> bool) {
        let by = tokio::time::Instant::now() + LONG;
        while !condition(&self.told.lock()) {
            assert!(tokio::time::Instant::now() < by, "{what}: {:?}", self.told.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Done {
    pub(crate) fn rounds(&self) -> Vec<&RoundSummary> {
        rounds(&self.told).collect()
    }
}

pub(crate) fn rounds(told: &[Notice]) -> impl Iterator<Item = &RoundSummary> {
    told.iter().filter_map(|notice| if let Notice::Round(summary) = notice { Some(summary) } else { None })
}

pub(crate) fn complete(told: &[Notice]) -> usize {
    rounds(told).filter(|summary| summary.end == RoundEnd::Complete).count()
}

/// So many rounds in quick succession over fleet `default`.
pub(crate) fn quick(rounds: u64) -> SchedulerOptions {
    SchedulerOptions {
        fleets: Fleets::mixed(vec!["default".into()]),
        interval: Duration::from_millis(20),
        probes: 1,
        calls: CallOptions { timeout: Duration::from_secs(5), readiness_timeout: Duration::from_secs(5) },
        visible_within: None,
        rounds: Some(rounds),
        grace: Duration::from_secs(60),
        seed: Seed(1),
        metrics: None,
        allow_anonymous: false,
        dependencies: serde_json::json!({}),
        last_writes: Duration::from_secs(10),
    }
}

/// A listener on a free port that parsec's schema can hold: the ports that the system gives away are above.
pub(crate) async fn listen() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16;
    for _ in 0..MAX_PORT {
        let port = 10_240 + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (MAX_PORT - 10_240);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return listener;
        }
    }
    panic!("no free port below {MAX_PORT}");
}

async fn serve(server: Server) -> SocketAddr {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    if server.fault == Fault::Dead {
        return address;
    }
    let router = Router::new()
        .route("/readiness", get(readiness))
        .route("/provide", post(provide))
        .route("/retrieve/{cid}", post(retrieve))
        .with_state(server);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn readiness(State(server): State<Server>) -> StatusCode {
    server.calls.lock().push("readiness".to_owned());
    match server.fault {
        Fault::HangsWhenAsked => std::future::pending().await,
        Fault::NotReady => StatusCode::NO_CONTENT,
        _ => StatusCode::OK,
    }
}

async fn provide(State(server): State<Server>, body: Bytes) -> (StatusCode, String) {
    use base64::Engine as _;
    server.calls.lock().push("provide".to_owned());
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let content = base64::engine::general_purpose::STANDARD.decode(body["Content"].as_str().unwrap()).unwrap();
    assert_eq!(content.len(), 1024);
    let (_, cid) = RecordKey::of_content(&content);
    let error = if server.fault == Fault::CannotPublish { "context deadline exceeded" } else { "" };
    if error.is_empty() {
        let now = Duration::from_nanos(server.clock.now_ns());
        server.network.lock().insert(cid.to_string(), now);
    }
    answer(&server, &cid.to_string(), "provide", error).await
}

async fn retrieve(State(server): State<Server>, Path(cid): Path<String>, body: Bytes) -> (StatusCode, String) {
    server.calls.lock().push(format!("retrieve {cid} {}", String::from_utf8_lossy(&body)));
    let published = server.network.lock().get(&cid).copied();
    let delay = if let Fault::Late(delay) = server.fault { delay } else { Duration::ZERO };
    let now = Duration::from_nanos(server.clock.now_ns());
    let found = published.is_some_and(|published| now >= published + delay);
    answer(&server, &cid, "", if found { "" } else { "not found" }).await
}

async fn answer(server: &Server, cid: &str, step: &str, error: &str) -> (StatusCode, String) {
    let rt_size = server.rt_size;
    let ok = |body: String| (StatusCode::OK, body);
    match server.fault {
        Fault::Hangs => std::future::pending().await,
        Fault::Garbage => ok("{\"Measurements\":[{".to_owned()),
        Fault::Legacy => ok(format!(r#"{{"CID":"{cid}","Duration":5,"Error":"","RoutingTableSize":{rt_size}}}"#)),
        Fault::Floats => ok(format!(
            r#"{{"CID":"{cid}","Measurements":[{{"Step":"","Duration":1.5e9,"Error":""}}],"RoutingTableSize":{rt_size}}}"#
        )),
        Fault::Breaks => (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n".to_owned()),
        fault => {
            if let Fault::Slow(delay) = fault {
                tokio::time::sleep(delay).await;
            }
            let measurement = serde_json::json!({ "Step": step, "Duration": 2_000_000, "Error": error });
            let body = serde_json::json!({ "CID": cid, "Measurements": [measurement], "RoutingTableSize": rt_size });
            ok(body.to_string())
        }
    }
}
