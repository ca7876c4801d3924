//! One schedule of trivial requests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs, Seed};
use peermark_node::client::{ClientError, ClientOptions, NodeClient};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::clock::MonotonicClock;
use crate::driver::{Done, Driver, Prepared};
use crate::executor::{ExecuteError, Executor, Limits, window_from};
use crate::pacer::{Pace, PrecisePacer};
use crate::recorder::{LaneRecord, Recorder};
use crate::schedule::Schedule;
use crate::thread::{OwnThread, ThreadError};

/// Why the generator could not be measured.
#[derive(Debug, Error)]
pub enum HarnessError {
    /// No thread to measure on.
    #[error(transparent)]
    Thread {
        /// Why.
        #[from]
        source: ThreadError,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine {
        /// Why.
        #[from]
        source: ExecuteError,
    },
    /// The client could not be made.
    #[error(transparent)]
    Client {
        /// Why.
        #[from]
        source: ClientError,
    },
    /// Asked for something that cannot be measured.
    #[error("{what} out of range")]
    OutOfRange {
        /// What.
        what: &'static str,
    },
}

/// Requests for a trivial answer over a bounded number of connections.
pub(crate) struct Pings {
    pub(crate) client: NodeClient,
}

impl Driver for Pings {
    type Task = ();

    fn lanes(&self) -> Vec<String> {
        vec!["ping".into()]
    }

    fn prepare(&mut self, number: u64) -> Option<Prepared<()>> {
        Some(Prepared { lane: 0, trace: number, timeout: None, task: () })
    }

    fn run(&self, _task: (), _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let client = self.client.clone();
        async move { ping(&client).await }
    }
}

/// One trivial request.
pub(crate) async fn ping(client: &NodeClient) -> Done {
    match client.get_text("/").await {
        Ok(text) => Done::ok(text.len() as u64),
        Err(error) => {
            let (class, culprit) = error.failure();
            Done::failed(class, culprit)
        }
    }
}

/// What came of a run.
pub(crate) struct PingOutcome {
    pub(crate) record: LaneRecord,
    /// CPU time of the generator's thread per operation, ns.
    pub(crate) cpu_ns_per_operation: f64,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingRun {
    pub(crate) schedule: Schedule,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) core: Option<usize>,
}

impl PingRun {
    /// Runs it against `url` on a thread of its own.
    pub(crate) fn against(self, url: &str) -> Result<PingOutcome, HarnessError> {
        let client = self.client(url)?;
        self.with(Pings { client })
    }

    /// Runs it on a thread of its own with another driver, of one lane.
    pub(crate) fn with(self, driver: impl Driver + 'static) -> Result<PingOutcome, HarnessError> {
        OwnThread::start("peermark-load", self.core, self.run(driver))?.join()?
    }

    /// A client with as many connections as the run may use.
    pub(crate) fn client(&self, url: &str) -> Result<NodeClient, HarnessError> {
        let options = ClientOptions { max_connections: self.connections, ..ClientOptions::default() };
        Ok(NodeClient::new(url, options)?)
    }

    async fn run(self, mut driver: impl Driver) -> Result<PingOutcome, HarnessError> {
        let timeout = Duration::from_secs(10);
        let limits = Limits {
            warm_up: self.warm_up,
            duration: Some(self.duration),
            operations: None,
            timeout,
            max_in_flight: self.max_in_flight,
        };
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let mut pacer = PrecisePacer::new(clock).map_err(ExecuteError::from)?;
        let window = window_from(pacer.clock().as_ref(), &limits);
        let timeout_ns = timeout.as_nanos() as u64;
        let mut recorder = Recorder::new(&"harness".into(), &driver.lanes(), window, timeout_ns, None);
        let engine = Executor {
            limits,
            window,
            pacer: &mut pacer,
            recorder: &mut recorder,
            stop: &CancellationToken::new(),
            show: &mut |_| {},
        };
        let mut arrivals = self.schedule.arrivals(Seed(0).stream("harness"));
        let cpu_before_ns = crate::thread::cpu_ns();
        let execution = engine.execute(&mut driver, &mut arrivals).await?;
        let mut records = recorder.finish(execution.window.end_ns).map_err(ExecuteError::from)?;
        let cpu_ns_per_operation = (crate::thread::cpu_ns() - cpu_before_ns) as f64 / execution.arrivals.max(1) as f64;
        Ok(PingOutcome { record: records.remove(0), cpu_ns_per_operation })
    }
}
