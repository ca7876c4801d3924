//! Operations that end as a test says, with moments that it can predict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::PeerId;
use parking_lot::Mutex;
use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs, Outcome};
use peermark_dht::key::RecordKey;
use peermark_dht::measure::Measure;
use peermark_dht::operation::{Hit, Hop, Operation, OperationKind, Rpc, Variant};
use tokio::sync::Semaphore;

/// How long every operation says that it took.
pub(crate) const TOOK_NS: u64 = 1_834_000_512;

/// What becomes of operations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Script {
    /// They succeed.
    Succeed,
    /// They fail with these words.
    Fail(FailureClass, &'static str),
    /// They wait until the test lets one go, and succeed.
    Wait,
    /// They never end.
    Hang,
    /// They have a bug.
    Panic,
}

/// The stand-in.
pub(crate) struct Scripted {
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
    pub(crate) table: AtomicUsize,
    pub(crate) begun: AtomicUsize,
    pub(crate) gate: Semaphore,
    pub(crate) keys: Mutex<Vec<RecordKey>>,
    pub(crate) deadlines: Mutex<Vec<MonotonicNs>>,
}

impl Scripted {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            script: Mutex::new(Script::Succeed),
            table: AtomicUsize::new(231),
            begun: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            keys: Mutex::default(),
            deadlines: Mutex::default(),
        }
    }

    pub(crate) fn follow(&self, script: Script) {
        *self.script.lock() = script;
    }

    async fn measured(&self, kind: OperationKind, key: RecordKey, deadline_ns: MonotonicNs) -> Operation {
        self.keys.lock().push(key.clone());
        self.deadlines.lock().push(deadline_ns);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let script = self.script.lock().clone();
        let mut operation = operation(kind, key, self.clock.now_ns(), self.table.load(Ordering::SeqCst) as u32);
        match script {
            Script::Succeed => {}
            Script::Fail(class, words) => {
                operation.outcome = Outcome::failed(class, Culprit::Peer);
                operation.hit = if class == FailureClass::NotFound { Hit::Miss } else { Hit::Failed };
                operation.error = words.to_owned();
                operation.providers.clear();
            }
            Script::Wait => drop(self.gate.acquire().await.map(tokio::sync::SemaphorePermit::forget)),
            Script::Hang => std::future::pending().await,
            Script::Panic => panic!("as the script says"),
        }
        operation
    }
}

impl Measure for Scripted {
    fn provide(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation> {
        self.measured(OperationKind::Provide, key, deadline_ns).boxed()
    }

    fn retrieve(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation> {
        self.measured(OperationKind::Retrieve, key, deadline_ns).boxed()
    }

    fn table_len(&self) -> usize {
        self.table.load(Ordering::SeqCst)
    }
}

/// An operation that succeeded in [`TOOK_NS`], over two hops of which the second failed.
pub(crate) fn operation(kind: OperationKind, key: RecordKey, started_ns: MonotonicNs, table_len: u32) -> Operation {
    let hop = |from: u64, to: u64, outcome| Hop {
        peer: PeerId::random(),
        rpc: Rpc::GetProviders,
        common_bits: 7,
        parent: None,
        queued_ns: started_ns + from,
        dial_ns: 1_000,
        handshake_ns: 2_000,
        sent_ns: started_ns + from + 3_000,
        ended_ns: started_ns + to,
        learnt: 20,
        providers: 1,
        outcome,
        wasted: false,
        critical: true,
        rtt_ns: Some(900),
    };
    let failed = Outcome::failed(FailureClass::ConnectFailed, Culprit::Peer);
    let is_provide = kind == OperationKind::Provide;
    Operation {
        kind,
        variant: Variant::Default,
        key,
        started_ns,
        returned_ns: started_ns + TOOK_NS,
        stored_ns: is_provide.then_some(started_ns + TOOK_NS + 5),
        stored: if is_provide { 20 } else { 0 },
        providers: if is_provide { Vec::new() } else { vec![PeerId::random()] },
        hit: Hit::Remote,
        outcome: Outcome::Ok,
        error: String::new(),
        table_len,
        hops: vec![hop(0, 40_000_000, Outcome::Ok), hop(10, 50, failed)],
    }
}
