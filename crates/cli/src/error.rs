//! What the user can run into, and the documented exit code of each.

use std::path::PathBuf;
use std::process::ExitCode;

use peermark_dht::engine::EngineError;
use peermark_dht::host::HostError;
use peermark_dht::scheduler::SchedulerError;
use peermark_dht::server::ServerError;
use peermark_http::BindError;
use peermark_lab::dht::DhtError;
use peermark_lab::run::RunError;
use peermark_lab::scenario::ScenarioError;
use peermark_monitor::MonitorError;
use peermark_monitor::client::ServiceError;
use peermark_monitor::fleet::{FleetConfigError, FleetError};
use peermark_node::NodeError;
use peermark_node::client::ClientError;
use peermark_store::OpenError;
use thiserror::Error;

use crate::command::ledger::LedgerError;

/// The exit codes besides 0, clap's 2 for wrong usage and Rust's for a bug. Documented in the README and printed by `peermark --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The configuration cannot be used.
    Configuration = 64,
    /// A scenario or other input cannot be used.
    BadData = 65,
    /// Something that is needed is not there.
    Unavailable = 69,
    /// It finished, but a threshold failed.
    ThresholdFailed = 100,
    /// It was stopped before it finished.
    Aborted = 101,
    /// Output could not be written.
    Output = 110,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Everything that is the user's world and not a bug.
#[derive(Debug, Error)]
pub(crate) enum ExpectedError {
    /// A configuration file, environment variable or flag.
    #[error("configuration: {0}")]
    Configuration(String),
    /// A node did not start.
    #[error("node: {0}")]
    Node(#[from] NodeError),
    /// A monitor did not start.
    #[error(transparent)]
    MonitorStart(#[from] MonitorError),
    /// A DHT server did not start.
    #[error("the DHT server does not start")]
    DhtServer(#[source] Box<ServerError>),
    /// A DHT scheduler did not start or could not go on.
    #[error("the DHT scheduler does not run")]
    DhtScheduler(#[source] Box<SchedulerError>),
    /// A database cannot be used.
    #[error("the database cannot be used")]
    Store(#[source] Box<OpenError>),
    /// Something that is needed is not there.
    #[error("{0}")]
    Unavailable(String),
    /// A libp2p host did not start.
    #[error("DHT: {0}")]
    DhtHost(#[from] HostError),
    /// A DHT cannot be joined.
    #[error("DHT: {0}")]
    DhtEngine(#[from] EngineError),
    /// A monitor cannot be asked, or refuses.
    #[error(transparent)]
    Monitor(Box<ServiceError>),
    /// A ledger cannot be used.
    #[error("ledger")]
    Ledger(#[source] Box<LedgerError>),
    /// A fleet of monitors cannot be watched.
    #[error("fleet: {0}")]
    Fleet(#[source] Box<FleetError>),
    /// Nobody can listen there.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// A benchmark gave no figure.
    #[error("benchmark: {0}")]
    Bench(#[source] peermark_bench::BenchError),
    /// A run gave no result.
    #[error("run: {0}")]
    Run(#[from] RunError),
    /// A run that measures a DHT gave no result.
    #[error("run: {0}")]
    DhtRun(#[from] DhtError),
    /// A scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Runs that were named cannot be used.
    #[error("{0}")]
    Runs(String),
    /// Measurements, a policy, a job or a question cannot be judged.
    #[error("{0}")]
    Evidence(String),
    /// Output could not be written.
    #[error("cannot write output: {0}")]
    Output(#[source] std::io::Error),
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refuses what every process needs.
    #[error("cannot start: {0}")]
    System(std::io::Error),
}

impl ExpectedError {
    /// Every error has its code; a new variant cannot forget one.
    pub(crate) fn exit_code(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::Node(error) => match error {
                NodeError::Setting { .. } => Exit::Configuration,
                NodeError::Identity { .. } => Exit::BadData,
                NodeError::Data { .. } | NodeError::Blocks(_) | NodeError::Listen { .. } | NodeError::Http(_) => {
                    Exit::Unavailable
                }
            },
            Self::MonitorStart(error) => monitor_start_exit_code(error),
            Self::DhtServer(error) => server_exit_code(error),
            Self::DhtScheduler(error) => scheduler_exit_code(error),
            Self::DhtHost(error) => match error {
                HostError::Setting { .. } => Exit::Configuration,
                _ => Exit::Unavailable,
            },
            Self::DhtEngine(EngineError::NoBootstrap | EngineError::Setting { .. }) => Exit::Configuration,
            Self::DhtEngine(_) | Self::Store(_) | Self::Unavailable(_) => Exit::Unavailable,
            Self::Monitor(error) => service_exit_code(error),
            Self::Fleet(error) => fleet_exit_code(error),
            Self::Ledger(error) => error.exit_code(),
            Self::Listen(BindError::Open { .. }) => Exit::Configuration,
            Self::Listen(BindError::Io { .. }) => Exit::Unavailable,
            Self::Run(error) => run_exit_code(error),
            Self::DhtRun(error) => dht_run_exit_code(error),
            Self::Scenario(error) => scenario_exit_code(error),
            Self::Runs(_) | Self::Evidence(_) => Exit::BadData,
            Self::Output(_) => Exit::Output,
            Self::Read { .. } => Exit::Unavailable,
            Self::System(_) | Self::Bench(_) => Exit::Unavailable,
        }
    }
}

impl From<ServiceError> for ExpectedError {
    fn from(error: ServiceError) -> Self {
        Self::Monitor(Box::new(error))
    }
}

impl From<FleetError> for ExpectedError {
    fn from(error: FleetError) -> Self {
        Self::Fleet(Box::new(error))
    }
}

impl From<FleetConfigError> for ExpectedError {
    fn from(error: FleetConfigError) -> Self {
        FleetError::from(error).into()
    }
}

impl From<ServerError> for ExpectedError {
    fn from(error: ServerError) -> Self {
        Self::DhtServer(Box::new(error))
    }
}

impl From<SchedulerError> for ExpectedError {
    fn from(error: SchedulerError) -> Self {
        Self::DhtScheduler(Box::new(error))
    }
}

impl From<OpenError> for ExpectedError {
    fn from(error: OpenError) -> Self {
        Self::Store(Box::new(error))
    }
}

fn monitor_start_exit_code(error: &MonitorError) -> Exit {
    match error {
        MonitorError::Setting(_) | MonitorError::Agenda(_) | MonitorError::Listen(BindError::Open { .. }) => {
            Exit::Configuration
        }
        MonitorError::Key(NodeError::Identity { .. }) => Exit::BadData,
        _ => Exit::Unavailable,
    }
}

/// Why a server of ours cannot be asked, or refuses, and the exit code of each.
pub(crate) fn service_exit_code(error: &ServiceError) -> Exit {
    match error {
        ServiceError::TokenInTheClear { .. }
        | ServiceError::Token
        | ServiceError::TokenFile { .. }
        | ServiceError::Trust(_)
        | ServiceError::Call { source: ClientError::InvalidUrl { .. }, .. }
        | ServiceError::Refused { status: 401 | 403, .. } => Exit::Configuration,
        // What was asked for is not there or cannot be done; a conflict or a limit passes.
        ServiceError::Refused { status: 409 | 429 | 500.., .. } => Exit::Unavailable,
        ServiceError::Refused { .. } => Exit::BadData,
        ServiceError::Call { .. } | ServiceError::Document { .. } => Exit::Unavailable,
    }
}

fn fleet_exit_code(error: &FleetError) -> Exit {
    match error {
        FleetError::Config(FleetConfigError::Read { .. }) => Exit::Unavailable,
        FleetError::Config(_) | FleetError::Rate(_) => Exit::Configuration,
        FleetError::Keep(_) | FleetError::Alerts(_) | FleetError::Engine(_) => Exit::Unavailable,
    }
}

fn server_exit_code(error: &ServerError) -> Exit {
    match error {
        ServerError::Setting { .. }
        | ServerError::Port { .. }
        | ServerError::NoAddress { .. }
        | ServerError::Listen(BindError::Open { .. }) => Exit::Configuration,
        _ => Exit::Unavailable,
    }
}

fn scheduler_exit_code(error: &SchedulerError) -> Exit {
    match error {
        SchedulerError::NoFleets
        | SchedulerError::BadFleet { .. }
        | SchedulerError::Setting { .. }
        | SchedulerError::Metrics { source: BindError::Open { .. } } => Exit::Configuration,
        _ => Exit::Unavailable,
    }
}

fn run_exit_code(error: &RunError) -> Exit {
    match error {
        RunError::Scenario(error) => scenario_exit_code(error),
        RunError::Plan(_) => Exit::BadData,
        RunError::Launch(_)
        | RunError::Ready(_)
        | RunError::Calibrate(_)
        | RunError::Load(_)
        | RunError::Network(_)
        | RunError::Url { .. }
        | RunError::Fault(_) => Exit::Unavailable,
        RunError::Record(_) => Exit::Output,
        RunError::Stopped => Exit::Aborted,
    }
}

fn dht_run_exit_code(error: &DhtError) -> Exit {
    match error {
        DhtError::Plan(_) => Exit::BadData,
        DhtError::Launch(_)
        | DhtError::NotReady { .. }
        | DhtError::Preflight { .. }
        | DhtError::Busy { .. }
        | DhtError::Calibrate(_)
        | DhtError::Scheduler { .. }
        | DhtError::Store(_)
        | DhtError::Fault(_) => Exit::Unavailable,
        DhtError::Record(_) => Exit::Output,
        DhtError::Stopped => Exit::Aborted,
    }
}

fn scenario_exit_code(error: &ScenarioError) -> Exit {
    match error {
        ScenarioError::Read { .. } => Exit::Unavailable,
        ScenarioError::Malformed { .. } | ScenarioError::Invalid { .. } => Exit::BadData,
    }
}
