//! One operation on one node.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs};
use peermark_node::client::{ByteSink, ClientError, NodeClient, RequestBody, Upload};

use super::catalog::{Catalog, Content};
use crate::driver::Done;
use crate::payload::{Chunks, Mismatch, Payload, Verifier};

/// Bytes of an upload that are generated before it is due; larger content is generated while it is sent. One megabyte takes about
/// a millisecond, which would be lateness.
const PREPARED_BYTES: u64 = 1 << 20;

/// Contents that were uploaded for a purpose of their own: what, and the CID that each node gave it.
pub(crate) type Seeded = Arc<Mutex<Vec<Content>>>;

/// What becomes of uploaded content.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// It may be fetched and read.
    Catalogue,
    /// It is put here.
    Seed(Seeded),
}

/// An operation.
#[derive(Debug)]
pub(crate) enum Task {
    /// Upload.
    Upload {
        node: usize,
        payload: Payload,
        then: Then,
        /// The bytes, once they were made ready.
        body: Option<Box<Body>>,
    },
    /// Read on the node that it was uploaded to.
    Read { content: Arc<Content> },
    /// Fetch through another node.
    Fetch { node: usize, content: Arc<Content> },
}

/// The bytes of an upload.
#[derive(Debug)]
pub(crate) struct Body {
    first: Vec<Bytes>,
    rest: Chunks,
}

impl Body {
    fn of(payload: Payload) -> Self {
        let mut rest = payload.chunks();
        let at_once = if payload.size <= PREPARED_BYTES { usize::MAX } else { 1 };
        Self { first: rest.by_ref().take(at_once).collect(), rest }
    }
}

impl Task {
    /// Generates what the operation will send first.
    pub(crate) fn made_ready(mut self) -> Self {
        if let Self::Upload { payload, body, .. } = &mut self {
            body.get_or_insert_with(|| Box::new(Body::of(*payload)));
        }
        self
    }

    /// Number of the payload.
    pub(crate) fn trace(&self) -> u64 {
        match self {
            Self::Upload { payload, .. } => payload.id,
            Self::Read { content } | Self::Fetch { content, .. } => content.payload.id,
        }
    }
}

/// Does operations.
#[derive(Clone)]
pub(crate) struct Worker {
    clients: Arc<[NodeClient]>,
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    clock: Arc<dyn Clock>,
}

impl Worker {
    pub(crate) fn new(clients: Arc<[NodeClient]>, catalog: Catalog, clock: Arc<dyn Clock>) -> Self {
        Self { clients, catalog: Arc::new(Mutex::new(catalog)), clock }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.clients.len()
    }

    pub(crate) async fn perform(self, task: Task) -> Done {
        match task {
            Task::Upload { node, payload, then, body } => {
                let Body { first, rest } = body.map_or_else(|| Body::of(payload), |ready| *ready);
                let body = RequestBody::chunks(payload.size, first.into_iter().chain(rest));
                self.upload(node, payload, body, then).await
            }
            Task::Read { content } => self.receive(content.holder, &content, Reach::Local).await,
            Task::Fetch { node, content } => self.receive(node, &content, Reach::Network).await,
        }
    }

    async fn upload(&self, node: usize, payload: Payload, body: RequestBody, then: Then) -> Done {
        let cid = match self.clients[node].upload(Upload::new(body)).await {
            Ok(cid) => cid,
            Err(error) => return failed(&error),
        };
        let content = Content { payload, cid: cid.into(), holder: node };
        match then {
            Then::Catalogue => self.catalog.lock().unwrap_or_else(PoisonError::into_inner).add(content),
            Then::Seed(seeded) => seeded.lock().unwrap_or_else(PoisonError::into_inner).push(content),
        }
        Done::ok(payload.size)
    }

    async fn receive(&self, node: usize, content: &Content, reach: Reach) -> Done {
        let mut sink = VerifyingSink {
            verifier: content.payload.verifier(),
            mismatch: None,
            first_byte_ns: None,
            clock: self.clock.as_ref(),
        };
        let client = &self.clients[node];
        let received = match reach {
            Reach::Local => client.fetch_local(&content.cid, &mut sink).await,
            Reach::Network => client.fetch_network(&content.cid, &mut sink).await,
        };
        let first_byte_ns = sink.first_byte_ns;
        let done = match received {
            Err(ClientError::Stopped { .. }) => Done::failed(FailureClass::WrongBytes, Culprit::Peer),
            Err(error) => failed(&error),
            Ok(_) => match sink.verifier.finish() {
                Ok(()) => Done::ok(sink.verifier.verified()),
                Err(_) => Done::failed(FailureClass::Truncated, Culprit::Peer),
            },
        };
        if let Some(mismatch) = sink.mismatch {
            tracing::warn!(node, cid = %content.cid, payload = content.payload.id, %mismatch, "wrong bytes");
        }
        Done { first_byte_ns, ..done }
    }
}

/// From where a node may take what it is asked for.
#[derive(Clone, Copy)]
enum Reach {
    Local,
    Network,
}

fn failed(error: &ClientError) -> Done {
    let (class, culprit) = error.failure();
    Done::failed(class, culprit)
}

/// Compares what comes with what was sent, and breaks off at the first difference.
struct VerifyingSink<'a> {
    verifier: Verifier,
    mismatch: Option<Mismatch>,
    first_byte_ns: Option<MonotonicNs>,
    clock: &'a dyn Clock,
}

impl ByteSink for VerifyingSink<'_> {
    fn chunk(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if self.first_byte_ns.is_none() {
            self.first_byte_ns = Some(self.clock.now_ns());
        }
        match self.verifier.push(bytes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(mismatch) => {
                self.mismatch = Some(mismatch);
                ControlFlow::Break(())
            }
        }
    }
}
