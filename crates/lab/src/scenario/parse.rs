//! From text to a scenario that can be run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{ArrivalKind, MAX_NODES, Op, Phase, Scenario, VERSION};

/// Largest scenario file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a scenario cannot be run.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read scenario {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, a key that does not exist, or a value of the wrong kind.
    #[error("scenario {path}: {message}{hint}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
        /// The nearest key, where there is one.
        hint: String,
    },
    /// Readable, but nothing that can be run.
    #[error("scenario: {field}: {reason}")]
    Invalid {
        /// The part that is wrong.
        field: String,
        /// Why.
        reason: String,
    },
}

impl ScenarioError {
    pub(super) fn invalid(field: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid { field: field.into(), reason: reason.to_string() }
    }
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let read = |source| ScenarioError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > MAX_FILE_BYTES {
            return Err(ScenarioError::invalid("file", format!("{size} bytes, at most {MAX_FILE_BYTES}")));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(read)?, path)
    }

    /// Reads and checks a scenario; `path` is named in errors.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let hint = nearest_key(error.message());
            ScenarioError::Malformed { path: path.to_owned(), message: error.to_string().trim_end().to_owned(), hint }
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] names the first part that cannot.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let invalid = |field: &str, reason: &str| Err(ScenarioError::invalid(field, reason));
        if self.version != VERSION {
            return Err(ScenarioError::invalid("version", format!("{}, this program reads {VERSION}", self.version)));
        }
        if self.nodes.count == 0 {
            return invalid("nodes.count", "a network needs at least one node");
        }
        if self.total_nodes() > MAX_NODES {
            return Err(ScenarioError::invalid(
                "nodes.count",
                format!("{} nodes, at most {MAX_NODES}", self.total_nodes()),
            ));
        }
        if !(0.0..=1.0).contains(&self.nodes.marketplace_share) {
            return invalid("nodes.marketplace_share", "must lie between 0 and 1");
        }
        if self.nodes.cpu_limit.is_some_and(|limit| !limit.is_finite() || limit <= 0.0) {
            return invalid("nodes.cpu_limit", "must be a positive number of cores");
        }
        if self.nodes.block_size.0 == 0 || self.nodes.block_size.0 > 2 << 20 {
            return invalid("nodes.block_size", "must lie between 1 byte and 2MiB");
        }
        if self.nodes.dht_replication == 0 {
            return invalid("nodes.dht_replication", "0 copies of a record are none");
        }
        let last_port = self.nodes.api_port_base.map(|base| u32::from(base) + self.total_nodes() - 1);
        if last_port.is_some_and(|port| port > u32::from(u16::MAX)) {
            return invalid("nodes.api_port_base", "leaves no port for the last node");
        }
        if self.phases.is_empty() {
            return invalid("phase", "a run needs at least one");
        }
        if self.duration.0 < Duration::from_secs(1) {
            return invalid("duration", "must be at least 1s");
        }
        for (index, phase) in self.phases.iter().enumerate() {
            if self.phases[..index].iter().any(|earlier| earlier.label() == phase.label()) {
                let reason = format!("two phases are called {:?}; name one of them", phase.label());
                return Err(ScenarioError::invalid(format!("phase[{index}].name"), reason));
            }
        }
        for (index, foreign) in self.foreign.iter().enumerate() {
            if foreign.command.is_empty() {
                return Err(ScenarioError::invalid(format!("foreign[{index}].command"), "names no program"));
            }
        }
        for (index, phase) in self.phases.iter().enumerate() {
            self.check_phase(phase)
                .map_err(|(field, reason)| ScenarioError::invalid(format!("phase[{index}].{field}"), reason))?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            if fault.node >= self.total_nodes() {
                let reason = format!("{} of {} nodes (the first is 0)", fault.node, self.total_nodes());
                return Err(ScenarioError::invalid(format!("fault[{index}].node"), reason));
            }
        }
        self.parsed_thresholds().map(drop)
    }

    fn check_phase(&self, phase: &Phase) -> Result<(), (&'static str, String)> {
        let wrong = |field, reason: &str| Err((field, reason.to_owned()));
        if !phase.share.is_finite() || phase.share <= 0.0 {
            return wrong("share", "must be a positive number");
        }
        if phase.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0 || rate > 1e6) {
            return wrong("rate", "must be a positive number of operations per second, at most a million");
        }
        if phase.arrivals == ArrivalKind::Closed && (phase.concurrency == 0 || phase.concurrency > 4096) {
            return wrong("concurrency", "must lie between 1 and 4096");
        }
        if phase.arrivals == ArrivalKind::Closed && phase.rate.is_some() {
            return wrong("rate", "a closed loop has no rate");
        }
        if phase.timeout.0.is_zero() {
            return wrong("timeout", "every operation needs time");
        }
        let weight: f64 = phase.sizes.iter().map(|size| size.weight).sum();
        let bad = |size: &super::SizeWeight| size.size.0 == 0 || !size.weight.is_finite() || size.weight < 0.0;
        if phase.sizes.iter().any(bad) || weight <= 0.0 {
            return wrong("sizes", "needs sizes above 0 with weights that are not all 0");
        }
        let lacks_second = self.total_nodes() < 2;
        if lacks_second && matches!(phase.op, Op::Fetch | Op::Stress | Op::Disseminate) {
            return wrong("op", "needs at least two nodes: the one that fetches must lack the file");
        }
        if phase.op == Op::Disseminate && (phase.seeders == 0 || phase.seeders >= self.total_nodes()) {
            return wrong("seeders", "must leave at least one node that lacks the file");
        }
        Ok(())
    }
}

/// The known key that is nearest to an unknown one, from serde's message.
fn nearest_key(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next().filter(|_| message.starts_with("unknown field")) else { return String::new() };
    let nearest = names.max_by(|a, b| strsim::jaro(a, unknown).total_cmp(&strsim::jaro(b, unknown)));
    nearest.map_or_else(String::new, |name| format!("\ndid you mean `{name}`?"))
}
