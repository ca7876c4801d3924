//! The section `monitor` of the configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use peermark_core::ByteSize;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dialback::DialbackConfig;
use crate::slots::SlotsConfig;
use crate::tasks::clock::ClockConfig;
use crate::tasks::command::CommandConfig;
use crate::tasks::cpu_benchmark::CpuBenchmarkConfig;
use crate::tasks::cpu_suite::CpuSuiteConfig;
use crate::tasks::disk::DiskConfig;
use crate::tasks::healthcheck::HealthcheckConfig;
use crate::tasks::host::HostConfig;
use crate::tasks::iperf::IperfConfig;
use crate::tasks::latency::LatencyConfig;
use crate::tasks::node_self_test::NodeSelfTestConfig;
use crate::tasks::process::ProcessConfig;
use crate::tasks::public_ip_validation::PublicIpConfig;
use crate::tasks::reachability::ReachabilityConfig;

/// Everything that can be set. Times are in the unit that the name says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Which tasks run.
    pub profile: Profile,
    /// Directory of the history and the key, where the monitor runs alone. In a node it is the node's.
    pub data: PathBuf,
    /// Where the monitor's own API listens, where it runs alone.
    pub api: SocketAddr,
    /// Whether the API may be served beyond loopback without a token.
    pub allow_anonymous: bool,
    /// Certificate chain (PEM) that the API is served with; plain HTTP without.
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    pub tls_key: Option<PathBuf>,
    /// Redis for the compatible view and bus: `redis://127.0.0.1:6379` or `redis+unix:///run/redis.sock`.
    pub redis: Option<String>,
    /// Time zone of cron expressions: `UTC` or a name of the tz database.
    pub zone: String,
    /// Base URL of the storage node's API that is tested.
    pub node_api: Option<String>,
    /// What the tests may use up a day.
    pub budget: BudgetConfig,
    /// How much is kept.
    pub history: HistoryConfig,
    /// Slots for throughput tests of others.
    pub slots: SlotsConfig,
    /// Dial-back for others.
    pub dialback: DialbackConfig,
    /// The task `iperf`.
    pub iperf: IperfConfig,
    /// The task `public-ip-validation`.
    pub public_ip_validation: PublicIpConfig,
    /// The task `reachability`.
    pub reachability: ReachabilityConfig,
    /// The task `latency`.
    pub latency: LatencyConfig,
    /// The task `node-self-test`.
    pub node_self_test: NodeSelfTestConfig,
    /// Overrides by task name.
    pub task: BTreeMap<String, TaskConfig>,
    /// `cpu-benchmark`.
    pub cpu_benchmark: CpuBenchmarkConfig,
    /// `cpu-suite`.
    pub cpu_suite: CpuSuiteConfig,
    /// `healthcheck`.
    pub healthcheck: HealthcheckConfig,
    /// `disk`.
    pub disk: DiskConfig,
    /// `clock`.
    pub clock: ClockConfig,
    /// `host`.
    pub host: HostConfig,
    /// `process`.
    pub process: ProcessConfig,
    /// Tests of the operator's own.
    pub command: Vec<CommandConfig>,
}

/// Which tasks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// All that are configured.
    #[default]
    Full,
    /// Only those that a node under load can afford.
    Light,
    /// None: the monitor is not started.
    Off,
}

/// What the tests may use up a day; what does not fit is skipped and says so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Bytes over the network.
    pub bytes_per_day: ByteSize,
    /// CPU time, seconds.
    pub cpu_seconds_per_day: u64,
}

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// Every attempt for so many days; then one rollup a day and task.
    pub attempts_days: u32,
    /// Rollups for so many days.
    pub rollups_days: u32,
    /// Bytes of the history; the oldest attempts become rollups early where this is reached.
    pub max_size: ByteSize,
}

/// Overrides of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskConfig {
    /// `false` never runs it.
    pub enabled: Option<bool>,
    /// Six fields.
    pub cron: Option<String>,
    /// Seconds.
    pub jitter_s: Option<u32>,
    /// Seconds from a run's start to its deadline.
    pub timeout_s: Option<u32>,
}

/// A setting that cannot be used.
#[derive(Debug, Error)]
#[error("monitor.{key}: {reason}")]
pub struct ConfigError {
    /// Path of the setting below `monitor`.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            profile: Profile::Full,
            data: PathBuf::from("./peermark-monitor"),
            api: SocketAddr::from(([127, 0, 0, 1], 8090)),
            allow_anonymous: false,
            tls_cert: None,
            tls_key: None,
            redis: None,
            zone: "UTC".into(),
            node_api: None,
            budget: BudgetConfig::default(),
            history: HistoryConfig::default(),
            slots: SlotsConfig::default(),
            dialback: DialbackConfig::default(),
            iperf: IperfConfig::default(),
            public_ip_validation: PublicIpConfig::default(),
            reachability: ReachabilityConfig::default(),
            latency: LatencyConfig::default(),
            node_self_test: NodeSelfTestConfig::default(),
            task: BTreeMap::new(),
            cpu_benchmark: CpuBenchmarkConfig::default(),
            cpu_suite: CpuSuiteConfig::default(),
            healthcheck: HealthcheckConfig::default(),
            disk: DiskConfig::default(),
            clock: ClockConfig::default(),
            host: HostConfig::default(),
            process: ProcessConfig::default(),
            command: Vec::new(),
        }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { bytes_per_day: ByteSize(20 << 30), cpu_seconds_per_day: 3_600 }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { attempts_days: 45, rollups_days: 400, max_size: ByteSize(50_000_000) }
    }
}
