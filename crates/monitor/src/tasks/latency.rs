//! How long others take to answer: a few light probes per run to each target that the configuration names.

mod distribution;
mod target;

use std::net::SocketAddr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use peermark_core::{Culprit, FailureClass, Unit};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Finding, Needs, Report, Retry, Running, Stop, Task};
pub use distribution::Distribution;
use target::{Lost, Prober, Target};

/// Most targets.
const MAX_TARGETS: usize = 32;

/// The section `monitor.latency`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyConfig {
    /// `tcp://host:port`, `http(s)://host/path`, `stun://host:port`, `icmp://host`.
    pub targets: Vec<String>,
    /// Probes of each target per run.
    pub probes: u32,
    /// Time over which they are spread, milliseconds.
    pub spread_ms: u32,
    /// Longest wait for one probe, milliseconds. Who has not answered by then is lost.
    pub timeout_ms: u32,
}

impl Default for LatencyConfig {
    fn default() -> Self {
        Self { targets: Vec::new(), probes: 20, spread_ms: 10_000, timeout_ms: 2_000 }
    }
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetLatency {
    /// The target as it is configured.
    pub target: String,
    /// Its address, where it has one.
    pub address: Option<String>,
    /// Time to look up its name, ns; `null` where it is an address.
    pub dns_ns: Option<u64>,
    /// Probes sent.
    pub n: u32,
    /// Probes that were not answered in time.
    pub lost: u32,
    /// To an answer: an open connection for `tcp`, the whole answer on an open connection for `http`, the round trip else.
    pub latency: Option<Distribution>,
    /// To an open TCP connection, where the target has one.
    pub connect: Option<Distribution>,
    /// Why probes were lost: the last reason.
    pub error: Option<String>,
}

const NOBODY: Failure = Failure::new(
    "no_target_answered",
    FailureClass::Timeout,
    Culprit::Path,
    true,
    "none of the targets answered: see whether this machine is online (ip route get 192.0.2.1), and monitor.latency.targets",
);
const SILENT: Failure = Failure::new(
    "target_silent",
    FailureClass::Timeout,
    Culprit::ThirdParty,
    true,
    "this target answered no probe while others did: nothing to do on this node, or take it out of monitor.latency.targets",
);
const LOOK_UP: Failure = Failure::new(
    "look_up_failed",
    FailureClass::ConnectFailed,
    Culprit::ThirdParty,
    true,
    "the target's name has no address: check it with getent hosts NAME, and this machine's resolver if no name works",
);
const NOT_PERMITTED: Failure = Failure::new(
    "not_permitted",
    FailureClass::NotPermitted,
    Culprit::Observer,
    false,
    "let the monitor ping: sysctl net.ipv4.ping_group_range='0 2147483647' or CAP_NET_RAW; or use a tcp:// target",
);

static FAILURES: &[Failure] = &[NOBODY, SILENT, LOOK_UP, NOT_PERMITTED];

/// The task `latency`.
#[derive(Clone, Debug)]
pub struct Latency {
    about: About,
    config: LatencyConfig,
    targets: Vec<Target>,
}

impl Latency {
    /// The task with its settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn new(config: LatencyConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: String| ConfigError { key: format!("latency.{key}"), reason };
        let targets = config.targets.iter().map(|text| Target::read(text)).collect::<Result<Vec<_>, _>>();
        let targets = targets.map_err(|reason| wrong("targets", reason))?;
        if targets.len() > MAX_TARGETS {
            return Err(wrong("targets", format!("at most {MAX_TARGETS}")));
        }
        if !(1..=1000).contains(&config.probes) {
            return Err(wrong("probes", "expected 1 to 1000".into()));
        }
        if config.spread_ms > 60_000 {
            return Err(wrong("spread_ms", "expected at most 60000".into()));
        }
        if !(1..=60_000).contains(&config.timeout_ms) {
            return Err(wrong("timeout_ms", "expected 1 to 60000".into()));
        }
        Ok(Self { about: about(&config), config, targets })
    }
}

fn about(config: &LatencyConfig) -> About {
    let each = Duration::from_millis(config.timeout_ms.into());
    let spread = Duration::from_millis(config.spread_ms.into());
    let targets = config.targets.len() as u64;
    About {
        name: "latency".into(),
        description: "Measures how long the configured targets take to answer, with light probes.".into(),
        cron: "0 */5 * * * *".into(),
        jitter_s: 60,
        // The look-up, the opening of connections, and the last probe, which may take two waits (connect and answer).
        timeout: spread + each * 6 + Duration::from_secs(5),
        needs: Needs::default(),
        light: true,
        at_start: true,
        unit: Unit::Nanoseconds,
        value: "worst median".into(),
        better: Better::Lower,
        bytes: targets * u64::from(config.probes) * 2_000,
        cpu: Duration::from_millis(50),
        retry: Retry::NONE,
        failures: FAILURES,
        schema: || schemars::schema_for!(Vec<TargetLatency>).to_value(),
    }
}

impl Task for Latency {
    fn about(&self) -> &About {
        &self.about
    }

    fn configured(&self) -> Result<(), String> {
        if self.targets.is_empty() {
            return Err("no target is configured: set monitor.latency.targets".into());
        }
        Ok(())
    }

    fn run(&self, context: Context) -> Running {
        let (targets, config) = (self.targets.clone(), self.config.clone());
        async move {
            let measured = join_all(targets.iter().map(|target| measure(target, &config, &context))).await;
            conclude(measured)
        }
        .boxed()
    }
}

/// A target's figures, and what was wrong where it has none.
async fn measure(target: &Target, config: &LatencyConfig, context: &Context) -> (TargetLatency, Option<Finding>) {
    let timeout = Duration::from_millis(config.timeout_ms.into());
    let mut told = TargetLatency {
        target: target.to_string(),
        address: None,
        dns_ns: None,
        n: 0,
        lost: 0,
        latency: None,
        connect: None,
        error: None,
    };
    let address = match look_up(target, timeout, context).await {
        Ok((address, dns_ns)) => {
            told.dns_ns = dns_ns;
            address
        }
        Err(error) => {
            let finding = LOOK_UP.with(format!("{target}: {error}"));
            told.error = Some(error);
            return (told, Some(finding));
        }
    };
    told.address = Some(address.ip().to_string());
    let prober = Prober::new(target, address, timeout, &*context.clock);
    let mut random = context.seed.stream(&format!("latency/{target}"));
    let step = Duration::from_millis(config.spread_ms.into()) / config.probes;
    let (mut totals, mut connects) = (Vec::new(), Vec::new());
    let mut refused = None;
    // What it says of a target that is away, the probes say too.
    let _ = prober.prepare().await;
    let mut ticks = tokio::time::interval(step.max(Duration::from_nanos(1)));
    // Who answers slowly is not asked faster afterwards, and the run has an end.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    // Where they are not spread, a target that is silent has the time of one wait for all of them.
    let longest = if step.is_zero() { timeout } else { Duration::from_millis(config.spread_ms.into()) };
    let ends_ns = context.clock.now_ns() + longest.as_nanos() as u64;
    while told.n < config.probes && (told.n == 0 || context.clock.now_ns() < ends_ns) {
        ticks.tick().await;
        let mut mark = [0; 16];
        random.fill_bytes(&mut mark);
        told.n += 1;
        match prober.probe(&mark).await {
            Ok(probe) => {
                totals.push(probe.total_ns);
                connects.extend(probe.connect_ns);
            }
            Err(lost) => {
                told.lost += 1;
                let (Lost::Why(why) | Lost::NotPermitted(why)) = &lost;
                told.error = Some(why.clone());
                if matches!(lost, Lost::NotPermitted(_)) {
                    refused = Some(NOT_PERMITTED.with(format!("{target}: {why}")));
                    break;
                }
            }
        }
    }
    told.latency = Distribution::of(&totals);
    told.connect = Distribution::of(&connects);
    let silent = || SILENT.with(format!("{target}: {}", told.error.as_deref().unwrap_or_default()));
    let finding = refused.or_else(|| told.latency.is_none().then(silent));
    (told, finding)
}

/// Address and time of the look-up, which an address needs none of.
async fn look_up(target: &Target, timeout: Duration, context: &Context) -> Result<(SocketAddr, Option<u64>), String> {
    let (host, port) = target.destination();
    if let Ok(ip) = host.parse() {
        return Ok((SocketAddr::new(ip, port), None));
    }
    let started_ns = context.clock.now_ns();
    let found = tokio::time::timeout(timeout, tokio::net::lookup_host((host, port))).await;
    let dns_ns = context.clock.now_ns().saturating_sub(started_ns);
    match found {
        Ok(Ok(mut addresses)) => {
            let first = addresses.next().ok_or_else(|| format!("{host} has no address"))?;
            Ok((first, Some(dns_ns)))
        }
        Ok(Err(error)) => Err(format!("look up {host}: {error}")),
        Err(_) => Err(format!("look up {host}: no answer within {timeout:?}")),
    }
}

fn conclude(measured: Vec<(TargetLatency, Option<Finding>)>) -> Result<Report, Stop> {
    let (targets, findings): (Vec<TargetLatency>, Vec<Option<Finding>>) = measured.into_iter().unzip();
    let findings: Vec<Finding> = findings.into_iter().flatten().collect();
    let worst = targets.iter().filter_map(|target| target.latency.map(|latency| latency.p50_ns)).max();
    let Some(worst) = worst else {
        let all: Vec<&str> = findings.iter().map(|finding| finding.detail.as_str()).collect();
        let all_alike = |failure: &Failure| findings.iter().all(|finding| finding.failure == failure);
        let failure = if all_alike(&NOT_PERMITTED) {
            &NOT_PERMITTED
        } else if all_alike(&LOOK_UP) {
            &LOOK_UP
        } else {
            &NOBODY
        };
        return Err(failure.stop(all.join("; ")));
    };
    let probes: u64 = targets.iter().map(|target| u64::from(target.n)).sum();
    Ok(Report {
        value: i64::try_from(worst).unwrap_or(i64::MAX),
        result: serde_json::to_value(&targets).unwrap_or_default(),
        findings,
        // Headers and answers, about.
        bytes: probes * 500,
        cpu: Duration::ZERO,
    })
}
