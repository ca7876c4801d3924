//! Why a program came to no end of its own.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::SEARCH_PATH;

/// Why there is no end to look at.
#[derive(Debug, Error)]
pub enum ChildError {
    /// It is not installed.
    #[error("{program} is not installed: looked for it in {SEARCH_PATH}")]
    Missing {
        /// Its name.
        program: String,
    },
    /// The system does not let this user run it.
    #[error("not permitted to run {program}")]
    NotPermitted {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be started for another reason.
    #[error("start {program}")]
    Start {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It wrote more than it may. It is dead now.
    #[error("{program} wrote more than {limit} bytes")]
    TooMuchOutput {
        /// Its name.
        program: String,
        /// The limit.
        limit: usize,
    },
    /// It did not end in time. It is dead now.
    #[error("{program} did not end within {after:?}")]
    Timeout {
        /// Its name.
        program: String,
        /// The time that it had.
        after: Duration,
    },
    /// It could not be waited for.
    #[error("wait for {program}")]
    Wait {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}
