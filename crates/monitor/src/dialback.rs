//! Dial-back: another node asks whether it can be reached at its own libp2p addresses, and this one tries.
//!
//! It must not become a tool against others. Only addresses are dialled whose IP is the asker's own as this node sees it, or which
//! this node's configuration names (loopback only then: behind a reverse proxy every asker seems to be this machine); at most eight; each asker may ask once in a while and few are served at a time. The dial is an
//! ordinary libp2p connection in which the peer proves its id by its key, and nothing is sent on it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use futures::future::join_all;
use http::StatusCode;
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;
use peermark_core::{Clock, FailureClass};
use peermark_http::{Caller, Problem};
use peermark_node::dial::{DialError, destination, dial};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// Name of the document that tells what came of it.
pub const ANSWER_SCHEMA: &str = "peermark.monitor-dialback/1";

/// Most addresses of one request.
pub const MAX_ADDRESSES: usize = 8;

/// Largest request that is read.
const MAX_REQUEST_BYTES: usize = 8192;

/// Requests that are served at a time.
const AT_ONCE: usize = 4;

/// Askers that are remembered for the rate limit. Where there are more, the one that asked longest ago is forgotten.
const MAX_ASKERS: usize = 1024;

/// The section `monitor.dialback`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialbackConfig {
    /// Whether this node dials others back.
    pub enabled: bool,
    /// Addresses that are dialled for whoever asks, besides the asker's own: those of the operator's other nodes. Loopback is only
    /// dialled where it is named here.
    pub allow: Vec<IpAddr>,
    /// Least time between two requests of one asker, seconds.
    pub gap_s: u32,
    /// Longest dial, milliseconds.
    pub dial_timeout_ms: u32,
}

impl Default for DialbackConfig {
    fn default() -> Self {
        Self { enabled: true, allow: Vec::new(), gap_s: 30, dial_timeout_ms: 5_000 }
    }
}

/// Asks to be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DialbackRequest {
    /// Peer id of who is to be reached.
    pub peer: String,
    /// libp2p addresses, at most eight: `/ip4/192.0.2.1/tcp/4001`.
    pub addresses: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DialbackAnswer {
    /// `peermark.monitor-dialback/1`.
    pub schema: String,
    /// Peer id of the node that dialled.
    pub node: String,
    /// From where it sees the asker.
    pub seen_from: String,
    /// One entry per address, in the order of the request.
    pub dials: Vec<DialOutcome>,
}

/// What came of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DialOutcome {
    /// The address.
    pub address: String,
    /// What came of it.
    pub outcome: DialState,
    /// From the first packet to the proof of the peer's id, ns; only where it was reached.
    pub handshake_ns: Option<u64>,
    /// Why it failed, in the words that all jobs share; only where it did.
    pub class: Option<FailureClass>,
    /// Why it was not reached or not tried.
    pub reason: Option<String>,
}

/// What came of one address, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DialState {
    /// The peer is there.
    Reached,
    /// It was dialled in vain.
    Unreached,
    /// Another peer answers there.
    WrongPeer,
    /// It was not dialled.
    NotTried,
}

/// Dials back.
pub struct Dialback {
    config: DialbackConfig,
    node: String,
    clock: Arc<dyn Clock>,
    askers: Mutex<HashMap<IpAddr, u64>>,
    at_once: Semaphore,
}

/// Why nothing is dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialbackError {
    /// The configuration does not allow it.
    #[error("this node dials nobody back: monitor.dialback.enabled is off")]
    Disabled,
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// The asker asked a moment ago.
    #[error("asked too often: once in {gap_s} s is served, wait {wait_s} s")]
    TooOften {
        /// Least time between two.
        gap_s: u32,
        /// What is left of it.
        wait_s: u64,
    },
    /// Others are being served.
    #[error("busy: too many nodes ask at once")]
    Busy,
}

impl Dialback {
    /// Dial-back by the node with this peer id.
    pub fn new(config: DialbackConfig, node: String, clock: Arc<dyn Clock>) -> Arc<Self> {
        let askers = Mutex::new(HashMap::new());
        Arc::new(Self { config, node, clock, askers, at_once: Semaphore::new(AT_ONCE) })
    }

    /// Dials the asker, who calls from `from`.
    ///
    /// # Errors
    /// [`DialbackError`].
    pub async fn serve(&self, from: IpAddr, request: DialbackRequest) -> Result<DialbackAnswer, DialbackError> {
        if !self.config.enabled {
            return Err(DialbackError::Disabled);
        }
        let asker = from.to_canonical();
        let (peer, addresses) = read(&request)?;
        let _permit = self.at_once.try_acquire().map_err(|_| DialbackError::Busy)?;
        self.admit(asker)?;
        let dials = join_all(addresses.iter().map(|address| self.try_one(asker, peer, address))).await;
        Ok(DialbackAnswer {
            schema: ANSWER_SCHEMA.into(),
            node: self.node.clone(),
            seen_from: asker.to_string(),
            dials,
        })
    }

    fn admit(&self, asker: IpAddr) -> Result<(), DialbackError> {
        const NS_PER_S: u64 = 1_000_000_000;
        let now = self.clock.now_ns();
        let gap = u64::from(self.config.gap_s) * NS_PER_S;
        let mut askers = self.askers.lock();
        if let Some(last) = askers.get(&asker) {
            let left = gap.saturating_sub(now.saturating_sub(*last));
            if left > 0 {
                return Err(DialbackError::TooOften { gap_s: self.config.gap_s, wait_s: left.div_ceil(NS_PER_S) });
            }
        }
        askers.retain(|_, last| now.saturating_sub(*last) < gap);
        if askers.len() >= MAX_ASKERS
            && let Some(oldest) = askers.iter().min_by_key(|(_, last)| **last).map(|(asker, _)| *asker)
        {
            askers.remove(&oldest);
        }
        askers.insert(asker, now);
        Ok(())
    }

    async fn try_one(&self, asker: IpAddr, peer: PeerId, address: &Multiaddr) -> DialOutcome {
        let outcome = |outcome, class, reason: Option<String>| DialOutcome {
            address: address.to_string(),
            outcome,
            handshake_ns: None,
            class,
            reason,
        };
        let Some((ip, _, _)) = destination(address) else {
            let reason = DialError::Unsupported { address: address.clone() }.to_string();
            return outcome(DialState::NotTried, None, Some(reason));
        };
        if !self.may_dial(asker, ip) {
            let reason =
                format!("{ip} is not {asker}, from where you ask, and monitor.dialback.allow does not name it");
            return outcome(DialState::NotTried, None, Some(reason));
        }
        let timeout = Duration::from_millis(self.config.dial_timeout_ms.into());
        match dial(&*self.clock, peer, address, timeout).await {
            Ok(reached) => {
                let done = outcome(DialState::Reached, None, None);
                DialOutcome { handshake_ns: Some(reached.handshake_ns), ..done }
            }
            Err(error) => {
                let (state, class) = match &error {
                    DialError::WrongPeer { .. } => (DialState::WrongPeer, Some(FailureClass::Unfit)),
                    DialError::TimedOut { .. } => (DialState::Unreached, Some(FailureClass::Timeout)),
                    DialError::Failed { .. } => (DialState::Unreached, Some(FailureClass::ConnectFailed)),
                    // This node's own lack says nothing of the asker.
                    DialError::NoRoute { .. } | DialError::Unsupported { .. } => (DialState::NotTried, None),
                };
                outcome(state, class, Some(error.to_string()))
            }
        }
    }

    fn may_dial(&self, asker: IpAddr, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        (ip == asker && !ip.is_loopback()) || self.config.allow.iter().any(|allowed| allowed.to_canonical() == ip)
    }
}

fn read(request: &DialbackRequest) -> Result<(PeerId, Vec<Multiaddr>), DialbackError> {
    let refused = |reason: String| DialbackError::Request(reason);
    let shown = |text: &str| text.chars().take(100).collect::<String>();
    if request.addresses.is_empty() || request.addresses.len() > MAX_ADDRESSES {
        return Err(refused(format!("{} addresses, expected 1 to {MAX_ADDRESSES}", request.addresses.len())));
    }
    let peer = request.peer.parse().map_err(|_| refused(format!("{:?} is no peer id", shown(&request.peer))))?;
    let addresses = request
        .addresses
        .iter()
        .map(|text| text.parse::<Multiaddr>().map_err(|_| refused(format!("{:?} is no multiaddress", shown(text)))));
    Ok((peer, addresses.collect::<Result<_, _>>()?))
}

/// `POST /dialback`, to be nested under the monitor's API. The server has to tell who calls
/// (`into_make_service_with_connect_info::<Caller>()`), as [`peermark_http::Server`] does.
pub fn router(dialback: Arc<Dialback>) -> Router {
    Router::new().route("/dialback", post(answer)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(dialback)
}

async fn answer(
    State(dialback): State<Arc<Dialback>>,
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    request: Result<Json<DialbackRequest>, JsonRejection>,
) -> Result<Json<DialbackAnswer>, Problem> {
    let Json(request) = request.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    dialback.serve(from.ip(), request).await.map(Json).map_err(|error| problem(&error))
}

fn problem(error: &DialbackError) -> Problem {
    let detail = error.to_string();
    match error {
        DialbackError::Request(_) => Problem::bad_request(detail),
        DialbackError::Disabled => Problem::request(StatusCode::FORBIDDEN, "dialback_disabled", detail),
        DialbackError::TooOften { .. } => Problem::request(StatusCode::TOO_MANY_REQUESTS, "too_often", detail),
        DialbackError::Busy => Problem::request(StatusCode::CONFLICT, "busy", detail),
    }
}
