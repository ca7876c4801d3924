//! Slots for throughput tests of others: one asker at a time gets an `iperf3` server of its own for a bounded time.
//!
//! Two nodes of one operator often share an uplink, and `iperf3` turns away whoever comes second. So a test is agreed first, by
//! both ends: `POST /slots` holds this node's network class, so that no test of its own runs meanwhile, starts `iperf3 -s -1`, and
//! says the port. The slot ends with the last of the runs that were asked for, or at its deadline, whichever is first; the server
//! is killed then. Whoever is done earlier gives it back (`DELETE /slots/{id}`). Whoever asks while another slot is open, or while a
//! test of this node fills the network, gets 409; whoever asks again a moment after his last slot, 429.

mod server;

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::routing::{delete, post};
use axum::{Json, Router};
use http::StatusCode;
use parking_lot::Mutex;
use peermark_http::{Caller, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::child::ChildError;

/// Name of the document that grants a slot.
pub const GRANT_SCHEMA: &str = "peermark.monitor-slot/1";

/// Most runs in one slot: both directions of both protocols, each once more.
pub const MAX_RUNS: u32 = 8;

/// Largest request that is read.
const MAX_REQUEST_BYTES: usize = 4096;

/// Askers that are remembered for the gap. Where there are more, the one that had a slot longest ago is forgotten.
const MAX_ASKERS: usize = 1024;

/// A part of each run's time that goes to connecting and to the exchange of results.
const AROUND_A_RUN: Duration = Duration::from_secs(5);

/// The network of this node, which one test at a time may fill.
pub trait NetworkClass: Send + Sync + 'static {
    /// Takes it for at most so long, unless a test of this node has it or is about to. It is given back when the guard is dropped,
    /// which happens before the time is over.
    fn try_hold(&self, longest: Duration) -> Option<Guard>;
}

/// Holds the network class until it is dropped.
pub type Guard = Box<dyn Any + Send>;

/// The section `monitor.slots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotsConfig {
    /// Whether this node serves tests of others.
    pub enabled: bool,
    /// Address that the `iperf3` server listens on. Beyond loopback it answers whoever finds the port while a slot is open.
    pub bind: IpAddr,
    /// First and last port that it may take; a free one of the system's where both are 0.
    pub ports: [u16; 2],
    /// Longest slot, seconds.
    pub longest_s: u32,
    /// Least time between two slots of one asker, seconds, so that the others get theirs.
    pub gap_s: u32,
    /// Name or path of `iperf3`.
    pub program: String,
}

impl Default for SlotsConfig {
    fn default() -> Self {
        let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { enabled: false, bind, ports: [0, 0], longest_s: 120, gap_s: 30, program: "iperf3".into() }
    }
}

/// Asks for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotRequest {
    /// How many tests will be made, one after the other: 1 to 8.
    pub runs: u32,
    /// How long each sends, seconds, the part that is left out of the figures included.
    pub seconds_each: u32,
}

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotGrant {
    /// `peermark.monitor-slot/1`.
    pub schema: String,
    /// Peer id of the node that serves.
    pub node: String,
    /// Its number, under which it is given back.
    pub id: u64,
    /// Port of its `iperf3` server.
    pub port: u16,
    /// When it stops serving, in milliseconds from now.
    pub expires_in_ms: u64,
}

/// Why a slot is not granted.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The configuration does not allow it.
    #[error("this node serves no tests of others: monitor.slots.enabled is off")]
    Disabled,
    /// Another slot is open.
    #[error("busy: another node tests this one")]
    Busy,
    /// The asker had a slot a moment ago.
    #[error("asked too often: a slot every {gap_s} s is granted, wait {wait_s} s")]
    TooOften {
        /// Least time between two.
        gap_s: u32,
        /// What is left of it.
        wait_s: u64,
    },
    /// The asker has no such slot.
    #[error("you have no slot {0} open")]
    NoSlot(u64),
    /// A test of this node has the network.
    #[error("busy: this node tests its own network")]
    OwnTest,
    /// The request asks for too little or too much.
    #[error("{0}")]
    Request(String),
    /// No port of the range is free.
    #[error("no port of monitor.slots.ports is free")]
    NoPort,
    /// `iperf3` did not start.
    #[error("iperf3 cannot be started")]
    Program(#[source] ChildError),
}

/// Grants slots, one at a time. Dropping it ends the one that is open.
pub struct Slots {
    config: SlotsConfig,
    node: String,
    class: Arc<dyn NetworkClass>,
    open: Mutex<Option<Open>>,
    /// When each had his last slot.
    askers: Mutex<HashMap<IpAddr, Instant>>,
    next: AtomicU64,
    /// Held while a slot is being opened.
    opening: tokio::sync::Mutex<()>,
}

/// The slot that is open.
struct Open {
    id: u64,
    asker: IpAddr,
    serving: AbortOnDropHandle<()>,
}

impl Slots {
    /// Slots of the node with this peer id.
    pub fn new(config: SlotsConfig, node: String, class: Arc<dyn NetworkClass>) -> Arc<Self> {
        Arc::new(Self {
            config,
            node,
            class,
            open: Mutex::default(),
            askers: Mutex::default(),
            next: AtomicU64::new(1),
            opening: tokio::sync::Mutex::new(()),
        })
    }

    /// Opens a slot for the one who calls from `from`.
    ///
    /// # Errors
    /// [`SlotError`].
    pub async fn open(&self, from: IpAddr, request: SlotRequest) -> Result<SlotGrant, SlotError> {
        let length = self.length(request)?;
        let _opening = self.opening.try_lock().map_err(|_| SlotError::Busy)?;
        if self.is_open() {
            return Err(SlotError::Busy);
        }
        let asker = from.to_canonical();
        self.admit(asker)?;
        let guard = self.class.try_hold(length).ok_or(SlotError::OwnTest)?;
        let (port, first) = server::start(&self.config).await?;
        let program = server::program(&self.config, port);
        let serving = tokio::spawn(async move {
            let served = server::serve(program, first, request.runs);
            if tokio::time::timeout(length, served).await.is_err() {
                tracing::debug!(port, "slot ended by its deadline");
            }
            drop(guard);
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.remember(asker);
        *self.open.lock() = Some(Open { id, asker, serving: AbortOnDropHandle::new(serving) });
        let expires_in_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Ok(SlotGrant { schema: GRANT_SCHEMA.into(), node: self.node.clone(), id, port, expires_in_ms })
    }

    /// Whether one is open.
    pub fn is_open(&self) -> bool {
        self.open.lock().as_ref().is_some_and(|open| !open.serving.is_finished())
    }

    /// Ends the slot `id` of the one who calls from `from`: its server is killed and the network given back.
    ///
    /// # Errors
    /// [`SlotError::NoSlot`] also for a slot of somebody else, and one that has ended.
    pub fn close(&self, from: IpAddr, id: u64) -> Result<(), SlotError> {
        let mut open = self.open.lock();
        let his = |open: &mut Open| open.id == id && open.asker == from.to_canonical() && !open.serving.is_finished();
        open.take_if(his).map(drop).ok_or(SlotError::NoSlot(id))
    }

    fn admit(&self, asker: IpAddr) -> Result<(), SlotError> {
        let gap = Duration::from_secs(self.config.gap_s.into());
        let askers = self.askers.lock();
        let left = askers.get(&asker).map_or(Duration::ZERO, |last| gap.saturating_sub(last.elapsed()));
        if left.is_zero() {
            return Ok(());
        }
        Err(SlotError::TooOften { gap_s: self.config.gap_s, wait_s: left.as_secs() + 1 })
    }

    fn remember(&self, asker: IpAddr) {
        let gap = Duration::from_secs(self.config.gap_s.into());
        let mut askers = self.askers.lock();
        askers.retain(|_, last| last.elapsed() < gap);
        if askers.len() >= MAX_ASKERS
            && let Some(oldest) = askers.iter().min_by_key(|(_, last)| **last).map(|(asker, _)| *asker)
        {
            askers.remove(&oldest);
        }
        askers.insert(asker, Instant::now());
    }

    fn length(&self, request: SlotRequest) -> Result<Duration, SlotError> {
        if !self.config.enabled {
            return Err(SlotError::Disabled);
        }
        let longest = Duration::from_secs(self.config.longest_s.into());
        if request.runs == 0 || request.runs > MAX_RUNS || request.seconds_each == 0 {
            return Err(SlotError::Request(format!("runs is 1 to {MAX_RUNS}, seconds_each at least 1")));
        }
        let each = Duration::from_secs(request.seconds_each.into()).saturating_add(AROUND_A_RUN);
        let wanted = each.saturating_mul(request.runs);
        if wanted > longest {
            let (wanted, longest) = (wanted.as_secs(), longest.as_secs());
            return Err(SlotError::Request(format!(
                "{} runs of {} s take {wanted} s with what is around them, and a slot lasts at most {longest} s",
                request.runs, request.seconds_each
            )));
        }
        Ok(wanted)
    }
}

/// `POST /slots` and `DELETE /slots/{id}`, to be nested under the monitor's API. The server has to tell who calls, as
/// [`peermark_http::Server`] does.
pub fn router(slots: Arc<Slots>) -> Router {
    let routes = Router::new().route("/slots", post(grant)).route("/slots/{id}", delete(give_back));
    routes.layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(slots)
}

async fn grant(
    State(slots): State<Arc<Slots>>,
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    request: Result<Json<SlotRequest>, JsonRejection>,
) -> Result<Json<SlotGrant>, Problem> {
    let Json(request) = request.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    slots.open(from.ip(), request).await.map(Json).map_err(|error| problem(&error))
}

async fn give_back(
    State(slots): State<Arc<Slots>>,
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    slots.close(from.ip(), id).map(|()| StatusCode::NO_CONTENT).map_err(|error| problem(&error))
}

fn problem(error: &SlotError) -> Problem {
    let detail = error.to_string();
    match error {
        SlotError::Busy | SlotError::OwnTest => Problem::request(StatusCode::CONFLICT, "busy", detail),
        SlotError::TooOften { .. } => Problem::request(StatusCode::TOO_MANY_REQUESTS, "too_often", detail),
        SlotError::NoSlot(_) => Problem::not_found(detail),
        SlotError::Disabled => Problem::request(StatusCode::FORBIDDEN, "slots_disabled", detail),
        SlotError::Request(_) => Problem::bad_request(detail),
        SlotError::NoPort | SlotError::Program(_) => {
            tracing::warn!(%error, source = ?std::error::Error::source(error).map(ToString::to_string), "no slot");
            Problem::server(StatusCode::SERVICE_UNAVAILABLE, "no_server", detail)
        }
    }
}
