//! One server: its row and the client of its address, in one value that nothing takes apart. Whatever a call brings is therefore
//! written down for the node that was called.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use http::{HeaderMap, Method};
use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs};
use peermark_node::client::{Call, ClientError, ClientOptions, NodeClient};
use peermark_store::dht::LiveNode;
use thiserror::Error;

use super::wire::{AnswerError, MAX_ANSWER_BYTES, RETRIEVE_BODY, ServerAnswer, provide_body, read_answer};

/// Connections to one server. Rounds need one; an open loop as many as it has operations in flight there.
const MAX_CONNECTIONS: usize = 1024;

/// A server that can be asked.
#[derive(Clone, Debug)]
pub struct Target {
    node: Arc<LiveNode>,
    client: NodeClient,
}

/// What all calls of one scheduler share.
#[derive(Clone)]
pub struct Asker {
    /// Headers of a provide or retrieve.
    pub headers: HeaderMap,
    /// Longest time for a provide or retrieve.
    pub timeout: Duration,
    /// Longest time for the question whether a server is ready.
    pub readiness_timeout: Duration,
    /// Stamps calls.
    pub clock: Arc<dyn Clock>,
}

/// A call that ended.
#[derive(Debug)]
pub struct Called {
    /// When it began.
    pub started_ns: MonotonicNs,
    /// When it ended.
    pub ended_ns: MonotonicNs,
    /// When it ended, wall clock.
    pub ended_wall_ms: u64,
    /// What the server said.
    pub answer: Result<ServerAnswer, CallError>,
}

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It answered something else.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Asked whether it is ready, it said no.
    #[error("not ready: HTTP status {status}")]
    NotReady {
        /// What it said instead of 200.
        status: u16,
    },
}

impl CallError {
    /// What it is for a measurement.
    pub fn failure(&self) -> (FailureClass, Culprit) {
        match self {
            Self::Client(error) => error.failure(),
            Self::Answer(_) => (FailureClass::Protocol, Culprit::Peer),
            Self::NotReady { .. } => (FailureClass::ServerError, Culprit::Peer),
        }
    }

    /// Whether the server counts as offline: it could not be reached or understood. What was our own fault, and an answer that
    /// parsec's scheduler could have read, say nothing against it.
    pub fn is_offline(&self) -> bool {
        match self {
            Self::Client(error) => error.failure().1 != Culprit::Observer,
            Self::Answer(error) => !error.is_legible(),
            Self::NotReady { .. } => true,
        }
    }
}

impl Target {
    /// A server at the address in its row.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`] for port 0.
    pub fn new(node: LiveNode) -> Result<Self, ClientError> {
        let options = ClientOptions { max_connections: MAX_CONNECTIONS, ..ClientOptions::default() };
        let client = NodeClient::new(&format!("http://{}:{}", node.ip_address, node.server_port), options)?;
        Ok(Self { node: Arc::new(node), client })
    }

    /// The same address with what its row says now.
    pub fn with_row(&self, node: LiveNode) -> Self {
        debug_assert_eq!((node.ip_address, node.server_port), (self.node.ip_address, self.node.server_port));
        Self { node: Arc::new(node), client: self.client.clone() }
    }

    /// Its row.
    pub fn node(&self) -> &LiveNode {
        &self.node
    }

    /// Asks whether it is ready, which only a 200 says.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn ready(&self, asker: &Asker) -> Result<(), CallError> {
        let call = Call {
            method: Method::GET,
            path: "/readiness",
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_answer_bytes: MAX_ANSWER_BYTES,
            timeout: asker.readiness_timeout,
        };
        match self.client.call(call).await?.status {
            200 => Ok(()),
            status => Err(CallError::NotReady { status }),
        }
    }

    /// Has it publish content.
    pub async fn provide(&self, asker: &Asker, content: &[u8]) -> Called {
        self.post(asker, "/provide", provide_body(content).into(), asker.timeout).await
    }

    /// Has it look up who provides a CID, within the scheduler's deadline or a nearer one.
    pub async fn retrieve(&self, asker: &Asker, cid: &Cid, within: Duration) -> Called {
        let path = format!("/retrieve/{cid}");
        self.post(asker, &path, Bytes::from_static(RETRIEVE_BODY.as_bytes()), asker.timeout.min(within)).await
    }

    async fn post(&self, asker: &Asker, path: &str, body: Bytes, timeout: Duration) -> Called {
        let started_ns = asker.clock.now_ns();
        let call = Call {
            method: Method::POST,
            path,
            headers: asker.headers.clone(),
            body,
            max_answer_bytes: MAX_ANSWER_BYTES,
            timeout,
        };
        let longest_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let answer = match self.client.call(call).await {
            Ok(answer) => read_answer(answer.status, &answer.body, longest_ns).map_err(CallError::from),
            Err(error) => Err(error.into()),
        };
        Called { started_ns, ended_ns: asker.clock.now_ns(), ended_wall_ms: asker.clock.wall_ms(), answer }
    }
}
