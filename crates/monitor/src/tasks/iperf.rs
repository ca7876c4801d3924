//! Throughput to a node or server that the configuration names, by the system's `iperf3`: TCP and UDP, both directions.
//!
//! The result keeps zos's shape (an array with a row per protocol, bit/s, `error` not empty where a row failed) and adds what zos
//! throws away. Unlike zos's, the download is measured by a run of its own (`--reverse`), a rate is what *arrived*, and why a
//! server did not serve is kept in iperf3's own words and never taken for a fault of this node.

mod failures;
mod leg;
mod output;
mod result;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use peermark_core::{FailureClass, Unit};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::client::{Access, MonitorClient, ServiceError};
use crate::config::ConfigError;
use crate::slots::{SlotGrant, SlotRequest};
use crate::task::{About, Better, Context, Finding, Needs, Report, Retry, Running, Stop, TIMEOUT, Task};
use failures::{FAILURES, MONITOR_ABSENT, SERVER_ABSENT, SLOT_BUSY, SLOT_REFUSED, TOKEN};
use leg::{Leg, Measured};
pub use output::{Bottleneck, CpuReport, Flow};
pub use result::{IperfRow, RowStatus};
pub use target::Target;

/// A run's time around the part in which it sends: connecting and the exchange of results.
const AROUND_A_LEG: Duration = Duration::from_secs(5);

/// Of the task's time, kept for putting the result together: who stalls is found out before the task's own deadline.
const RESERVE: Duration = Duration::from_millis(500);

/// Longest wait for another monitor's word on a slot.
const SLOT_ANSWER: Duration = Duration::from_secs(10);

/// Longest wait for giving a slot back; within [`RESERVE`] where nothing else is left.
const GIVE_BACK: Duration = Duration::from_millis(400);

/// How long the next server of a slot may take to listen, and how often it is tried.
const NEXT_SERVER: Duration = Duration::from_secs(2);
const NEXT_SERVER_STEP: Duration = Duration::from_millis(100);

/// The section `monitor.iperf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IperfConfig {
    /// `host:port` of an iperf3 server, or `http(s)://host:port` of a monitor, with which a slot is agreed first. Tried one after
    /// the other until one serves.
    pub targets: Vec<String>,
    /// Whether another one comes first each time.
    pub shuffle: bool,
    /// Length of each of the four runs, seconds.
    pub seconds: u32,
    /// Slow start before it, which is left out of the figures, seconds.
    pub omit_seconds: u32,
    /// Streams at once.
    pub streams: u32,
    /// Whether UDP is measured too.
    pub udp: bool,
    /// Rate of the UDP runs, bit/s, all streams together.
    pub udp_bits_per_second: u64,
    /// Longest connect, milliseconds.
    pub connect_timeout_ms: u32,
    /// Holds the token that the monitors among the targets want.
    pub token_file: Option<PathBuf>,
    /// Authorities (PEM) that monitors with `https` have to be vouched for by; the system's where there is none.
    pub ca: Option<PathBuf>,
    /// Name or path of `iperf3`.
    pub program: String,
}

impl Default for IperfConfig {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            shuffle: true,
            seconds: 10,
            omit_seconds: 1,
            streams: 1,
            udp: true,
            udp_bits_per_second: 10_000_000,
            connect_timeout_ms: 5_000,
            token_file: None,
            ca: None,
            program: "iperf3".into(),
        }
    }
}

/// The task `iperf`.
#[derive(Clone, Debug)]
pub struct Iperf {
    about: About,
    config: IperfConfig,
    targets: Vec<Target>,
}

impl Iperf {
    /// The task with its settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot be used.
    pub fn new(config: IperfConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: String| ConfigError { key: format!("iperf.{key}"), reason };
        let targets = config.targets.iter().map(|text| Target::read(text)).collect::<Result<Vec<_>, _>>();
        let targets = targets.map_err(|reason| wrong("targets", reason))?;
        if !(1..=300).contains(&config.seconds) {
            return Err(wrong("seconds", "expected 1 to 300".into()));
        }
        if config.omit_seconds > 60 {
            return Err(wrong("omit_seconds", "expected 0 to 60".into()));
        }
        if !(1..=128).contains(&config.streams) {
            return Err(wrong("streams", "expected 1 to 128".into()));
        }
        if config.udp_bits_per_second < 1000 {
            return Err(wrong("udp_bits_per_second", "expected at least 1000".into()));
        }
        Ok(Self { about: about(&config, targets.len()), config, targets })
    }
}

fn about(config: &IperfConfig, targets: usize) -> About {
    /// What the daily budget reckons with, where only the run itself can tell: 1 Gbit/s.
    const RECKONED_BYTES_PER_S: u64 = 125_000_000;
    let seconds = u64::from(config.seconds + config.omit_seconds);
    let udp = if config.udp { 2 * config.udp_bits_per_second / 8 * seconds } else { 0 };
    let longest = leg_limit(config) * legs(config) + SLOT_ANSWER;
    // Time for two targets that stall at the first run, and one that serves.
    let timeout = longest + leg_limit(config) * u32::try_from(targets.clamp(1, 3) - 1).unwrap_or(0) + RESERVE;
    About {
        name: "iperf".into(),
        description: "Test network performance against public iperf3 servers with both UDP and TCP".into(),
        cron: "0 0 */6 * * *".into(),
        jitter_s: 1200,
        timeout,
        needs: Needs { network: true, ..Needs::default() },
        light: false,
        at_start: true,
        unit: Unit::BitsPerSecond,
        value: "TCP, slower direction".into(),
        better: Better::Higher,
        bytes: 2 * RECKONED_BYTES_PER_S * seconds + udp,
        cpu: Duration::from_secs(seconds * 2),
        retry: Retry { attempts: 4, first: Duration::from_secs(10), longest: Duration::from_secs(90) },
        failures: FAILURES,
        schema: || schemars::schema_for!(Vec<IperfRow>).to_value(),
    }
}

fn legs(config: &IperfConfig) -> u32 {
    if config.udp { 4 } else { 2 }
}

fn leg_limit(config: &IperfConfig) -> Duration {
    let sending = Duration::from_secs(u64::from(config.seconds) + u64::from(config.omit_seconds));
    sending + Duration::from_millis(config.connect_timeout_ms.into()) + AROUND_A_LEG
}

impl Task for Iperf {
    fn about(&self) -> &About {
        &self.about
    }

    fn configured(&self) -> Result<(), String> {
        if self.targets.is_empty() {
            return Err("no target is configured: set monitor.iperf.targets".into());
        }
        Ok(())
    }

    fn run(&self, context: Context) -> Running {
        let run = Run { config: self.config.clone(), context };
        let mut targets = self.targets.clone();
        async move {
            if run.config.shuffle {
                targets.shuffle(&mut run.context.seed.stream("iperf/targets"));
            }
            run.first_that_serves(&targets).await
        }
        .boxed()
    }
}

struct Run {
    config: IperfConfig,
    context: Context,
}

/// Where `iperf3` is sent.
struct Server<'a> {
    target: &'a Target,
    host: String,
    port: u16,
    /// Its monitor and the number of the slot, which serves each run by a server of its own that takes a moment to listen.
    slot: Option<(MonitorClient, u64)>,
}

impl Run {
    async fn first_that_serves(&self, targets: &[Target]) -> Result<Report, Stop> {
        let mut failed: Vec<Finding> = Vec::new();
        for target in targets {
            if self.left() < self.shortest_leg() {
                break;
            }
            match self.against(target).await {
                Ok(report) => return Ok(report),
                Err(finding) => {
                    tracing::debug!(%target, code = finding.failure.code, detail = finding.detail, "no throughput");
                    failed.push(finding);
                }
            }
        }
        let Some(first) = failed.first() else {
            return Err(TIMEOUT.stop("the time that is left is too short for one run"));
        };
        let details: Vec<String> = failed.iter().map(|finding| finding.detail.clone()).collect();
        Err(first.failure.stop(details.join("; ")))
    }

    async fn against(&self, target: &Target) -> Result<Report, Finding> {
        let server = self.server(target).await?;
        let measured = self.measure(&server, target).await;
        if let Some((monitor, id)) = &server.slot {
            // All runs made, it has ended by itself; else nobody else has to wait for its deadline.
            let _ = tokio::time::timeout(GIVE_BACK, monitor.delete(&format!("/slots/{id}"))).await;
        }
        measured
    }

    async fn measure(&self, server: &Server<'_>, target: &Target) -> Result<Report, Finding> {
        let mut cpu = Duration::ZERO;
        let mut leg = async |udp, reverse| {
            let measured = self.leg(server, udp, reverse).await;
            cpu += measured.as_ref().map(|measured| measured.cpu).unwrap_or_default();
            measured
        };
        let up = leg(false, false).await?;
        let down = leg(false, true).await?;
        let value = up.flow.bits_per_second.min(down.flow.bits_per_second);
        let end = result::End { host: &server.host, port: server.port, ip: up.remote.or(down.remote) };
        let mut rows = vec![result::row(target, &end, false, Ok(up), Ok(down))];
        if self.config.udp {
            // What TCP showed stands, also where UDP is blocked on the way.
            let up = leg(true, false).await;
            let down = leg(true, true).await;
            rows.push(result::row(target, &end, true, up, down));
        }
        let bytes = rows.iter().map(|row| row.bytes(self.config.omit_seconds)).sum();
        let result = serde_json::to_value(&rows).map_err(|error| failures::BAD_OUTPUT.with(error.to_string()))?;
        Ok(Report { value: value as i64, result, findings: Vec::new(), bytes, cpu })
    }

    async fn server<'a>(&self, target: &'a Target) -> Result<Server<'a>, Finding> {
        let url = match target {
            Target::Server { host, port } => {
                return Ok(Server { target, host: host.clone(), port: *port, slot: None });
            }
            Target::Monitor { url } => url,
        };
        let explain = |error: ServiceError| {
            let detail = format!("{url}: {}", error.told());
            match error.class() {
                FailureClass::Busy => SLOT_BUSY.with(detail),
                FailureClass::NotSent => TOKEN.with(detail),
                FailureClass::Rejected | FailureClass::ServerError | FailureClass::Protocol => {
                    SLOT_REFUSED.with(detail)
                }
                _ => MONITOR_ABSENT.with(detail),
            }
        };
        let (token, ca) = (self.config.token_file.as_deref(), self.config.ca.as_deref());
        let wait = SLOT_ANSWER.min(self.left());
        let access = Access::from_files(url, token, ca, wait).await.map_err(explain)?;
        let monitor = MonitorClient::new(&access).map_err(explain)?;
        let seconds_each = self.config.seconds + self.config.omit_seconds;
        let request = SlotRequest { runs: legs(&self.config), seconds_each };
        let grant: SlotGrant = monitor.post("/slots", &request).await.map_err(explain)?;
        Ok(Server { target, host: monitor.host().to_owned(), port: grant.port, slot: Some((monitor, grant.id)) })
    }

    async fn leg(&self, server: &Server<'_>, udp: bool, reverse: bool) -> Result<Measured, Finding> {
        let leg = Leg { config: &self.config, host: &server.host, port: server.port, udp, reverse };
        let mut waited = Duration::ZERO;
        loop {
            let within = leg_limit(&self.config).min(self.left());
            if within < self.shortest_leg() {
                // No server could have served: none is to blame.
                return Err(TIMEOUT.with(format!("{}: the time that is left is too short for one run", server.target)));
            }
            match leg.run(within).await {
                Err(finding)
                    if server.slot.is_some()
                        && finding.failure.code == SERVER_ABSENT.code
                        && waited < NEXT_SERVER
                        && self.left() > NEXT_SERVER =>
                {
                    tracing::trace!(target = %server.target, "the slot's next server does not listen yet");
                    tokio::time::sleep(NEXT_SERVER_STEP).await;
                    waited += NEXT_SERVER_STEP;
                }
                done => return done,
            }
        }
    }

    /// Below it a run cannot end, however good the server is.
    fn shortest_leg(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.seconds) + u64::from(self.config.omit_seconds) + 1)
    }

    fn left(&self) -> Duration {
        let left = self.context.deadline_ns.saturating_sub(self.context.clock.now_ns());
        Duration::from_nanos(left).saturating_sub(RESERVE)
    }
}
