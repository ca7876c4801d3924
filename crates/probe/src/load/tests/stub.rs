//! Storage nodes with the Archivist API over a map in memory, each a real server on a free port.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use peermark_node::client::{ClientOptions, NodeClient};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use crate::workload::{Network, Target};

/// What the nodes do to every fetch over the network.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    WrongByte,
    Shorter,
    Longer,
    Status(u16),
    Silence,
    /// One request at a time, each this long.
    Slow(Duration),
}

#[derive(Default)]
struct Shared {
    contents: HashMap<String, Bytes>,
    fetches_of_what_was_there: u64,
}

#[derive(Clone)]
struct Node {
    fault: Fault,
    shared: Arc<Mutex<Shared>>,
    held: Arc<Mutex<HashSet<String>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

pub(super) struct StubNetwork {
    urls: Vec<String>,
    shared: Arc<Mutex<Shared>>,
    _runtime: Runtime,
}

impl StubNetwork {
    pub(super) fn start(nodes: usize, fault: Fault) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let turn: Arc<tokio::sync::Mutex<()>> = Arc::default();
        let start = |_| {
            let node = Node { fault, shared: Arc::clone(&shared), held: Arc::default(), turn: Arc::clone(&turn) };
            let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            runtime.spawn(async move { axum::serve(listener, routes(node)).await });
            url
        };
        let urls = (0..nodes).map(start).collect();
        Self { urls, shared, _runtime: runtime }
    }

    pub(super) fn network(&self) -> Network {
        let target = |(index, url): (u32, &String)| Target {
            index,
            client: NodeClient::new(url, ClientOptions::default()).unwrap(),
            mode: "altruistic".into(),
        };
        Network::new((0..).zip(&self.urls).map(target).collect()).unwrap()
    }

    /// Fetches over the network that asked a node for what it held.
    pub(super) fn fetches_of_what_was_there(&self) -> u64 {
        self.shared.lock().unwrap().fetches_of_what_was_there
    }
}

fn routes(node: Node) -> Router {
    let base = "/api/archivist/v1";
    Router::new()
        .route(&format!("{base}/data"), post(upload))
        .route(&format!("{base}/data/{{cid}}"), get(read))
        .route(&format!("{base}/data/{{cid}}/network/stream"), get(fetch))
        .with_state(node)
}

async fn upload(State(node): State<Node>, body: Bytes) -> String {
    let cid: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    node.shared.lock().unwrap().contents.insert(cid.clone(), body);
    node.held.lock().unwrap().insert(cid.clone());
    cid
}

async fn read(State(node): State<Node>, Path(cid): Path<String>) -> Response {
    if !node.held.lock().unwrap().contains(&cid) {
        return StatusCode::NOT_FOUND.into_response();
    }
    node.shared.lock().unwrap().contents[&cid].clone().into_response()
}

async fn fetch(State(node): State<Node>, Path(cid): Path<String>) -> Response {
    let bytes = {
        let mut shared = node.shared.lock().unwrap();
        shared.fetches_of_what_was_there += u64::from(!node.held.lock().unwrap().insert(cid.clone()));
        shared.contents.get(&cid).cloned()
    };
    let Some(bytes) = bytes else { return StatusCode::NOT_FOUND.into_response() };
    match node.fault {
        Fault::None => bytes.into_response(),
        Fault::WrongByte => {
            let mut wrong = bytes.to_vec();
            if let Some(last) = wrong.last_mut() {
                *last ^= 1;
            }
            wrong.into_response()
        }
        Fault::Shorter => bytes.slice(..bytes.len() - 1).into_response(),
        Fault::Longer => [bytes.as_ref(), b"x"].concat().into_response(),
        Fault::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Fault::Silence => std::future::pending().await,
        Fault::Slow(time) => {
            let turn = node.turn.lock().await;
            tokio::time::sleep(time).await;
            drop(turn);
            bytes.into_response()
        }
    }
}
