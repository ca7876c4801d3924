//! `healthcheck`: can the node write to its data directory, and can it reach the services that it depends on?
//!
//! The result keeps the shape that readers of zos expect to the letter: `{"cache":[...],"network":[...]}`, both lists always there
//! and empty where all is well, showing this attempt as it is. What is more (which class, who has to mend it, what to do) is in the
//! findings; a service is a finding only when it failed in K of the last N runs, because one lost packet is no illness.

mod cache;
mod network;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use peermark_core::{ByteSize, Culprit, FailureClass, Unit, in_words};
use peermark_node::client::Trust;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::thread::Lane;
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Task};

/// Longest name of a service.
const MAX_NAME_BYTES: usize = 100;

/// Most services, and most instances of one.
const MAX_TARGETS: usize = 64;

/// Settings of `healthcheck`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthcheckConfig {
    /// Services by name, each with the URLs of its instances, of which one has to answer: `http://`, `https://` (any status below 500)
    /// or `tcp://host:port` (the connection opens). None: the network is not checked.
    pub services: BTreeMap<String, Vec<String>>,
    /// Authorities (PEM) that `https` instances have to be vouched for by; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// Time for one instance, ms.
    pub timeout_ms: u32,
    /// A service is a finding when it failed in so many (K) ...
    pub bad_runs: u32,
    /// ... of so many (N) runs, the present one among them.
    pub of_runs: u32,
    /// Less free space in the data directory is a problem.
    pub min_free: ByteSize,
    /// Fewer free inodes than so many percent is a problem, where the file system counts them.
    pub min_free_inodes_percent: f64,
}

impl Default for HealthcheckConfig {
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            ca: None,
            timeout_ms: 10_000,
            bad_runs: 2,
            of_runs: 3,
            min_free: ByteSize(256 << 20),
            min_free_inodes_percent: 1.0,
        }
    }
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthcheckResult {
    /// What is wrong with the data directory; empty where all is well.
    pub cache: Vec<String>,
    /// Which services cannot be reached, and why; empty where all can.
    pub network: Vec<String>,
}

/// The task.
#[derive(Debug)]
pub struct Healthcheck {
    about: About,
    config: HealthcheckConfig,
    lane: Lane,
    trust: Trust,
}

const READ_ONLY: Failure = Failure {
    code: "cache_read_only",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the node cannot write to its data directory: see whether its file system became read-only (findmnt -T DIR, dmesg | tail) \
             and who owns it (ls -ld DIR)",
    may_pass: true,
};
const CACHE_IO: Failure = Failure {
    code: "cache_broken",
    class: FailureClass::WrongBytes,
    culprit: Culprit::Observer,
    advice: "what is written to the data directory does not come back: save the data, then test the disk (smartctl -a DEVICE, dmesg | \
             grep -i error)",
    may_pass: true,
};
const CACHE_FULL: Failure = Failure {
    code: "cache_full",
    class: FailureClass::QuotaFull,
    culprit: Culprit::Observer,
    advice: "the file system of the data directory is almost full: see what fills it (du -xh DIR | sort -h | tail), and lower the node's \
             quota or add space",
    may_pass: true,
};
const NO_INODES: Failure = Failure {
    code: "cache_no_inodes",
    class: FailureClass::QuotaFull,
    culprit: Culprit::Observer,
    advice: "the file system of the data directory can hold hardly any more files (df -i DIR): remove small files, or make it anew with \
             more inodes",
    may_pass: true,
};
const UNREACHABLE: Failure = Failure {
    code: "service_unreachable",
    class: FailureClass::ConnectFailed,
    culprit: Culprit::Path,
    advice: "no instance of a service answers: try one by hand (curl -v URL); if others are reached it is the service's, else look at the \
             firewall, the route (ip route) and the name server (resolvectl status)",
    may_pass: true,
};
const SERVICE_ERROR: Failure = Failure {
    code: "service_error",
    class: FailureClass::ServerError,
    culprit: Culprit::ThirdParty,
    advice: "a service is reached but does not work (HTTP status 500 or above, no HTTP, or a certificate that is not trusted): try curl -v \
             URL; where that fails too, tell its operator or name another instance in monitor.healthcheck.services",
    may_pass: true,
};

static FAILURES: &[Failure] = &[READ_ONLY, CACHE_IO, CACHE_FULL, NO_INODES, UNREACHABLE, SERVICE_ERROR];

impl Healthcheck {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for K of N that cannot be, no time, more than 64 services or instances, a service without instances or with
    /// a URL that cannot be asked, and a `ca` that cannot be used.
    pub fn new(config: HealthcheckConfig) -> Result<Self, ConfigError> {
        let wrong =
            |key: &str, reason: &str| Err(ConfigError { key: format!("healthcheck.{key}"), reason: reason.into() });
        if config.bad_runs == 0 || config.bad_runs > config.of_runs || config.of_runs > 100 {
            return wrong("bad_runs", "has to be 1 to of_runs, and of_runs at most 100");
        }
        if !(100..=60_000).contains(&config.timeout_ms) {
            return wrong("timeout_ms", "has to be 100 to 60000");
        }
        if config.services.len() > MAX_TARGETS || config.services.values().any(|urls| urls.len() > MAX_TARGETS) {
            return wrong("services", "has more than 64 services or instances of one");
        }
        for (service, urls) in &config.services {
            if service.is_empty() || service.len() > MAX_NAME_BYTES {
                return wrong("services", &format!("{service:?}: a name is 1 to {MAX_NAME_BYTES} bytes"));
            }
            if urls.is_empty() {
                return wrong("services", &format!("no instances provided for service {service}"));
            }
            for url in urls {
                if let Err(reason) = network::check(url) {
                    return wrong("services", &format!("invalid URL {url} of {service}: {reason}"));
                }
            }
        }
        let trust = config.ca.as_deref().map_or(Ok(Trust::system()), Trust::pem_file);
        let trust = match trust {
            Ok(trust) => trust,
            Err(error) => return wrong("ca", &in_words(&error)),
        };
        let instances = config.services.values().map(Vec::len).max().unwrap_or(0) as u64;
        let about = About {
            name: "healthcheck".into(),
            description: "health check task runs multiple checks to ensure the node is in a usable state and set flags for the power \
                          daemon to stop reporting uptime if it is not usable"
                .into(),
            cron: "0 */15 * * * *".into(),
            jitter_s: 0,
            timeout: Duration::from_secs(30) + Duration::from_millis(u64::from(config.timeout_ms)) * instances as u32,
            needs: Needs::default(),
            light: true,
            at_start: true,
            unit: Unit::Count,
            value: "problems".into(),
            better: Better::Lower,
            bytes: 1 << 20,
            cpu: Duration::from_millis(50),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(HealthcheckResult).to_value(),
        };
        Ok(Self { about, config, trust, lane: Lane::new("healthcheck") })
    }
}

impl Task for Healthcheck {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let (config, trust) = (self.config.clone(), self.trust.clone());
        Box::pin(async move {
            let (data, limits) = (context.node.data.clone(), config.clone());
            let mut stream = context.seed.stream("healthcheck");
            let disk = lane.on_thread(&context.cancel, move |_| Ok(cache::problems(&data, &limits, &mut stream)));
            let earlier = context.past.successes("healthcheck", config.of_runs as usize - 1);
            let (disk, network, earlier) = tokio::join!(disk, network::problems(&config, &trust), earlier);
            let disk = disk?;
            let bad_before = |service: &str| earlier.iter().filter(|(_, result)| names(result, service)).count();
            let ill = network.iter().filter(|problem| bad_before(&problem.service) + 1 >= config.bad_runs as usize);
            let found: Vec<_> = disk.iter().cloned().chain(ill.map(|problem| problem.finding.clone())).collect();
            let result = HealthcheckResult {
                cache: disk.into_iter().map(|finding| finding.detail).collect(),
                network: network.into_iter().map(|problem| problem.finding.detail).collect(),
            };
            Ok(Report {
                value: (result.cache.len() + result.network.len()) as i64,
                result: super::json(&result),
                findings: found,
                bytes: 0,
                cpu: Duration::from_millis(50),
            })
        })
    }
}

/// Whether an earlier result says that `service` failed.
fn names(result: &Value, service: &str) -> bool {
    let lists = result.get("network").and_then(Value::as_array).into_iter().flatten();
    lists.filter_map(Value::as_str).any(|text| network::is_about(text, service))
}

#[cfg(test)]
mod tests;
