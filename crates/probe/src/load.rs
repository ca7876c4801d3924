//! Load on a network of storage nodes, phase by phase, on a thread of its own.
//!
//! A phase is a mix of operations, a schedule (or the search for one) and a duration. Content that a phase needs is uploaded before
//! it, through the same engine and unmeasured. The result is raw: counts, histograms, slices and what limits their use; intervals
//! and verdicts are for others.

mod outcome;
mod plan;
mod runner;
mod stock;

use std::sync::Arc;

use peermark_core::{Clock, EventKind};
use peermark_node::client::ClientOptions;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::executor::ExecuteError;
use crate::recorder::{SampleSink, SinkError, SinkThread};
use crate::thread::{OwnThread, ThreadError};
use crate::workload::Network;

pub use outcome::{LoadOutcome, Note, OperationOutcome};
pub use plan::{ArrivalPlan, LoadPlan, Phase, PlanError, Shape, Work};

use runner::Runner;

/// File descriptors that are left to the rest of the process.
const SPARE_FILES: u64 = 128;

/// Why a load could not be run to its end.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The plan cannot be run.
    #[error("plan of the load")]
    Plan {
        /// Why.
        #[from]
        source: PlanError,
    },
    /// No thread to run it on.
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
    /// The samples could not be kept.
    #[error("write samples")]
    Sink {
        /// What the sink said.
        source: SinkError,
    },
}

/// Runs the phases of `plan` against `network` and blocks until they are over.
///
/// All times are on `clock`. Every sample goes to `sink`, on a thread of its own. `show` gets [`EventKind::PhaseStarted`], a
/// [`EventKind::Tick`] twice a second and [`EventKind::PhaseEnded`]; it is called on the generator's thread and has to return at
/// once; `nodes_up` and `host_busy` are for the caller to fill in. `stop` ends the run within a second, with the outcome so far.
///
/// # Errors
/// [`LoadError`]. What the nodes fail at is no error but data.
pub fn run<S: SampleSink>(
    plan: LoadPlan,
    network: &Network,
    clock: Arc<dyn Clock>,
    sink: S,
    stop: CancellationToken,
    show: impl FnMut(EventKind) + Send + 'static,
) -> Result<(LoadOutcome, S), LoadError> {
    plan.validate(network)?;
    let in_flight = plan.max_in_flight.min(affordable_files());
    let (sender, sink_thread) = SinkThread::start(sink).map_err(ThreadError::from)?;
    let options = ClientOptions {
        // The engine ends an operation at its absolute deadline; the client's own bound only has to be beyond that.
        timeout: plan.longest_timeout() * 2,
        connect_timeout: plan.longest_timeout(),
        max_connections: in_flight,
    };
    let network = network.fork(options);
    let work = async move {
        let runner = Runner::new(plan, &network, in_flight, clock, sender, stop, show)?;
        runner.run().await
    };
    let outcome = OwnThread::start("peermark-load", None, work)?.join();
    let (sink, written) = sink_thread.finish();
    written.map_err(|source| LoadError::Sink { source })?;
    Ok((outcome??, sink))
}

/// Connections that the process may open.
fn affordable_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(SPARE_FILES)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests;
