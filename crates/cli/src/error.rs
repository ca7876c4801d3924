//! What the user can run into, and the documented exit code of each.

use std::path::PathBuf;
use std::process::ExitCode;

use peermark_lab::run::RunError;
use peermark_lab::scenario::ScenarioError;
use peermark_node::NodeError;
use thiserror::Error;

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
    /// A benchmark gave no figure.
    #[error("benchmark: {0}")]
    Bench(#[source] peermark_bench::BenchError),
    /// A run gave no result.
    #[error("run: {0}")]
    Run(#[from] RunError),
    /// A scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Runs that were named cannot be used.
    #[error("{0}")]
    Runs(String),
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
            Self::Run(error) => run_exit_code(error),
            Self::Scenario(error) => scenario_exit_code(error),
            Self::Runs(_) => Exit::BadData,
            Self::Output(_) => Exit::Output,
            Self::Read { .. } => Exit::Unavailable,
            Self::System(_) | Self::Bench(_) => Exit::Unavailable,
        }
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

fn scenario_exit_code(error: &ScenarioError) -> Exit {
    match error {
        ScenarioError::Read { .. } => Exit::Unavailable,
        ScenarioError::Malformed { .. } | ScenarioError::Invalid { .. } => Exit::BadData,
    }
}
