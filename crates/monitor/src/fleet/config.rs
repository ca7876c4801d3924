//! `nodes.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peermark_node::client::{Trust, TrustError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::client::{Access, MonitorClient, ServiceError};
use crate::desk::TaskState;

/// Most monitors of one fleet.
pub const MAX_NODES: usize = 1000;

/// Most alert rules.
const MAX_ALERTS: usize = 100;

/// Answers that a rule can look back on.
pub const MAX_LOOK_BACK: u32 = 64;

/// Longest name of a node or rule.
const MAX_NAME: usize = 100;

/// Which monitors, how often, and who is told when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetConfig {
    /// Seconds from one question to the next one to the same monitor.
    #[serde(default = "every_s")]
    pub every_s: u32,
    /// Seconds that a monitor may take to answer; less than `every_s`.
    #[serde(default = "timeout_s")]
    pub timeout_s: u32,
    /// Questions without an answer after which a node is silent.
    #[serde(default = "silent_after")]
    pub silent_after: u32,
    /// The monitors.
    #[serde(default)]
    pub node: Vec<NodeTarget>,
    /// The rules.
    #[serde(default)]
    pub alert: Vec<AlertRule>,
}

/// One monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTarget {
    /// Its name in the grid.
    pub name: String,
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// File with the token that it wants.
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities whose certificates are believed; the system's without.
    pub ca: Option<PathBuf>,
    /// Where it is, as its evidence shall say: a geohash; empty where nobody says.
    #[serde(default)]
    pub region: String,
}

/// When somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// Of this node only.
    pub node: Option<String>,
    /// Of this task only; every task without. Not with `silent`.
    pub task: Option<String>,
    /// In these states.
    #[serde(default)]
    pub state: Vec<TaskState>,
    /// When the latest success is older, seconds.
    pub age_over_s: Option<u64>,
    /// When the latest value is larger, in the task's unit.
    pub value_over: Option<i64>,
    /// When the latest value is smaller, in the task's unit.
    pub value_under: Option<i64>,
    /// When the node has not answered for `silent_after` questions.
    #[serde(default)]
    pub silent: bool,
    /// `[K, N]`: raised when K of the last N looks found it so.
    #[serde(default = "raise")]
    pub raise: [u32; 2],
    /// Cleared after so many looks in a row that found it otherwise.
    #[serde(default = "clear")]
    pub clear: u32,
    /// Who is told: the URL that a JSON document is posted to. Without, the alert is shown only.
    pub webhook: Option<String>,
    /// File with the bearer token that the receiver wants.
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities whose certificates are believed; the system's without.
    pub ca: Option<PathBuf>,
}

/// Why `nodes.toml` cannot be used.
#[derive(Debug, Error)]
pub enum FleetConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or holds keys that nobody knows.
    #[error("{path} cannot be understood")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value cannot be used.
    #[error("{key}: {reason}")]
    Value {
        /// Which: `node "a"`, `alert "b"`, `every_s`.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of authorities cannot be used.
    #[error("{key}")]
    Trust {
        /// Whose.
        key: String,
        /// What is wrong with it.
        source: TrustError,
    },
    /// A monitor or receiver cannot be asked like this.
    #[error("{key}")]
    Access {
        /// Which.
        key: String,
        /// Why.
        source: ServiceError,
    },
}

fn every_s() -> u32 {
    30
}

fn timeout_s() -> u32 {
    10
}

fn silent_after() -> u32 {
    3
}

fn raise() -> [u32; 2] {
    [2, 3]
}

fn clear() -> u32 {
    2
}

impl FleetConfig {
    /// Reads and checks a file. Files that it names are looked for beside it.
    ///
    /// # Errors
    /// [`FleetConfigError`], each naming what it is about.
    pub fn read(path: &Path) -> Result<Self, FleetConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| FleetConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|source| FleetConfigError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        let beside = path.parent().unwrap_or(Path::new("."));
        let nodes = config.node.iter_mut().flat_map(|node| [&mut node.token_file, &mut node.ca]);
        let rules = config.alert.iter_mut().flat_map(|rule| [&mut rule.token_file, &mut rule.ca]);
        for file in nodes.chain(rules).flatten() {
            *file = beside.join(&*file);
        }
        config.check()?;
        Ok(config)
    }

    /// From one question to the next one to the same monitor.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_s.into())
    }

    /// How long a monitor may take to answer.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.into())
    }

    /// How long a node may say nothing.
    pub fn patience(&self) -> Duration {
        self.every() * self.silent_after
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`FleetConfigError::Value`].
    pub fn check(&self) -> Result<(), FleetConfigError> {
        let wrong = |key: &str, reason: String| Err(FleetConfigError::Value { key: key.to_owned(), reason });
        if !(1..=86_400).contains(&self.every_s) {
            return wrong("every_s", "from 1 to 86400 seconds".into());
        }
        if self.timeout_s == 0 || self.timeout_s >= self.every_s.max(2) {
            return wrong("timeout_s", format!("at least 1 second, and less than every_s = {}", self.every_s));
        }
        if !(1..=1000).contains(&self.silent_after) {
            return wrong("silent_after", "from 1 to 1000".into());
        }
        if self.node.is_empty() || self.node.len() > MAX_NODES {
            return wrong("node", format!("from 1 to {MAX_NODES} nodes, found {}", self.node.len()));
        }
        if self.alert.len() > MAX_ALERTS {
            return wrong("alert", format!("at most {MAX_ALERTS} rules"));
        }
        let names = unique("node", self.node.iter().map(|node| node.name.as_str()))?;
        unique("alert", self.alert.iter().map(|rule| rule.name.as_str()))?;
        self.alert.iter().try_for_each(|rule| rule.check(&names))
    }
}

fn unique<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, FleetConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let reason = if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            format!("a name is 1 to {MAX_NAME} printable bytes")
        } else if !seen.insert(name) {
            "the name is there twice".to_owned()
        } else {
            continue;
        };
        return Err(FleetConfigError::Value { key: format!("{key} {name:?}"), reason });
    }
    Ok(seen)
}

impl NodeTarget {
    /// A client of it. Reads the files that are named.
    ///
    /// # Errors
    /// [`FleetConfigError`] naming the node.
    pub fn client(&self, timeout: Duration, insecure: bool) -> Result<MonitorClient, FleetConfigError> {
        let key = || format!("node {:?}", self.name);
        let trust = trust(self.ca.as_deref(), key)?;
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let access = Access { url: self.url.clone(), token, trust, insecure, timeout };
        MonitorClient::new(&access).map_err(|source| FleetConfigError::Access { key: key(), source })
    }
}

impl AlertRule {
    fn check(&self, nodes: &BTreeSet<&str>) -> Result<(), FleetConfigError> {
        let wrong = |reason: String| Err(FleetConfigError::Value { key: format!("alert {:?}", self.name), reason });
        let conditions = [
            !self.state.is_empty(),
            self.age_over_s.is_some(),
            self.value_over.is_some(),
            self.value_under.is_some(),
            self.silent,
        ];
        let [least, of] = self.raise;
        match () {
            () if conditions.iter().filter(|given| **given).count() != 1 => {
                wrong("exactly one of state, age_over_s, value_over, value_under and silent".into())
            }
            () if self.silent && self.task.is_some() => wrong("a node is silent, not a task: leave task out".into()),
            () if (self.value_over.is_some() || self.value_under.is_some()) && self.task.is_none() => {
                wrong("a value needs its task: tasks differ in their units".into())
            }
            () if least == 0 || least > of || of > MAX_LOOK_BACK => {
                wrong(format!("raise = [K, N] with 1 <= K <= N <= {MAX_LOOK_BACK}"))
            }
            () if self.clear == 0 || self.clear > MAX_LOOK_BACK => wrong(format!("clear from 1 to {MAX_LOOK_BACK}")),
            () => match &self.node {
                Some(name) if !nodes.contains(name.as_str()) => wrong(format!("there is no node {name:?}")),
                _ => Ok(()),
            },
        }
    }
}

/// The authorities in a file, or the system's.
pub(super) fn trust(file: Option<&Path>, key: impl Fn() -> String) -> Result<Trust, FleetConfigError> {
    let read = file.map_or(Ok(Trust::system()), Trust::pem_file);
    read.map_err(|source| FleetConfigError::Trust { key: key(), source })
}

/// The token in a file.
pub(super) fn read_token(path: &Path) -> Result<Arc<str>, FleetConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| FleetConfigError::Read { path: path.to_owned(), source })?;
    match text.trim() {
        "" => Err(FleetConfigError::Value { key: path.display().to_string(), reason: "the file is empty".into() }),
        token => Ok(token.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        every_s = 20
        [[node]]
        name = "a"
        url = "https://a.example"
        token_file = "a.token"
        region = "u33"
        [[node]]
        name = "b"
        url = "http://127.0.0.1:8090"
        [[alert]]
        name = "disk"
        task = "disk"
        state = ["failed", "findings"]
        raise = [3, 5]
        clear = 2
        webhook = "http://127.0.0.1:9"
        [[alert]]
        name = "gone"
        node = "a"
        silent = true
    "#;

    fn read(text: &str) -> Result<FleetConfig, FleetConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nodes.toml");
        std::fs::write(&path, text).unwrap();
        FleetConfig::read(&path)
    }

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let config = read(GOOD).unwrap();
        assert_eq!((config.every_s, config.timeout_s, config.silent_after), (20, 10, 3));
        assert_eq!(config.patience(), Duration::from_secs(60));
        assert!(config.node[0].token_file.as_ref().unwrap().is_absolute(), "files lie beside the one that names them");
        assert_eq!((config.alert[0].raise, config.alert[1].raise, config.alert[1].clear), ([3, 5], [2, 3], 2));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let node = "[[node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n";
        let alert = |rest: &str| format!("{node}[[alert]]\nname = \"x\"\n{rest}");
        let cases = [
            (String::new(), "node: from 1 to"),
            (format!("{node}{node}"), "the name is there twice"),
            (format!("timeout_s = 30\n{node}"), "timeout_s: at least 1 second, and less than every_s"),
            (format!("every_s = 0\n{node}"), "every_s"),
            (alert(""), "exactly one of"),
            (alert("silent = true\nage_over_s = 3"), "exactly one of"),
            (alert("silent = true\ntask = \"disk\""), "leave task out"),
            (alert("value_over = 3"), "needs its task"),
            (alert("silent = true\nraise = [3, 2]"), "1 <= K <= N"),
            (alert("silent = true\nraise = [1, 65]"), "1 <= K <= N"),
            (alert("silent = true\nclear = 0"), "clear"),
            (alert("silent = true\nnode = \"z\""), "there is no node \"z\""),
        ];
        for (text, expected) in cases {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
        let unknown = read(&format!("{node}colour = 1")).unwrap_err();
        assert!(matches!(&unknown, FleetConfigError::Toml { source, .. } if source.to_string().contains("colour")));
    }

    #[test]
    fn a_token_in_the_clear_is_refused_for_the_node_that_it_is_of() {
        let directory = tempfile::tempdir().unwrap();
        let token_file = Some(directory.path().join("token"));
        std::fs::write(directory.path().join("token"), "secret\n").unwrap();
        let target = |url: &str| NodeTarget {
            name: "a".into(),
            url: url.into(),
            token_file: token_file.clone(),
            ca: None,
            region: String::new(),
        };
        let timeout = Duration::from_secs(1);
        let refused = target("http://10.0.0.1:1").client(timeout, false).unwrap_err();
        assert!(
            matches!(&refused, FleetConfigError::Access { source: ServiceError::TokenInTheClear { .. }, .. }),
            "{refused:?}"
        );
        target("http://10.0.0.1:1").client(timeout, true).unwrap();
        target("https://10.0.0.1:1").client(timeout, false).unwrap();
    }
}
