//! Why a scheduler does not start or cannot go on.

use std::io;
use std::time::Duration;

use peermark_http::BindError;
use peermark_probe::executor::ExecuteError;
use peermark_store::StoreError;
use thiserror::Error;

/// Why a scheduler does not start or cannot go on. What servers fail at is data, and a database that goes away while it runs is
/// waited for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// Nothing would ever match.
    #[error("no fleet given: a scheduler asks the servers of the fleets that it is told")]
    NoFleets,
    /// The name of a fleet cannot be sent as a header.
    #[error("fleet names cannot be sent to servers: {fleets:?}")]
    BadFleet {
        /// The fleets.
        fleets: Vec<String>,
    },
    /// A setting that makes no sense.
    #[error("{name} has to be {expected}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The scheduler could not be registered.
    #[error("cannot register the scheduler in the database")]
    Register {
        /// What the database said.
        source: StoreError,
    },
    /// The database does not answer at all.
    #[error("the database does not answer within {after:?}")]
    Silent {
        /// The time it had.
        after: Duration,
    },
    /// The servers could not be read.
    #[error("cannot read the servers")]
    Servers {
        /// What the database said.
        source: StoreError,
    },
    /// Too few servers for an open loop.
    #[error("too few servers are ready: {ready}, at least 2 are needed (fleets {})", fleets.join(", "))]
    TooFewServers {
        /// Those that are.
        ready: usize,
        /// The fleets.
        fleets: Vec<String>,
    },
    /// Nothing could be published before an open loop, so there is nothing to look up.
    #[error("none of {tried} provides succeeded: there is nothing to look up")]
    NothingPublished {
        /// Provides that were tried.
        tried: u64,
    },
    /// The metrics cannot be served.
    #[error("cannot serve metrics")]
    Metrics {
        /// Why.
        #[from]
        source: BindError,
    },
    /// The timer of the engine failed.
    #[error("cannot create a timer")]
    Timer {
        /// What the system said.
        source: io::Error,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine {
        /// Why.
        #[from]
        source: ExecuteError,
    },
    /// A task of the scheduler panicked, which is a fault of this program.
    #[error("a task of the scheduler panicked")]
    Panicked,
}
