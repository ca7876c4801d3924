//! `clock`: how far this machine's clock is from those of the configured time servers (SNTP, RFC 5905).
//!
//! Three answers are possible. Where enough servers agree, the clock is right or it is off, and that is the result. Where they do not
//! answer or contradict each other, nothing is known of this clock, and the run fails: that is not the node's fault.

mod ask;

use std::time::Duration;

use futures::future::join_all;
use peermark_core::{Culprit, FailureClass, Unit};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Stop, Task};

/// Most servers.
const MAX_SERVERS: usize = 16;

/// Settings of `clock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockConfig {
    /// Time servers, `host` or `host:port`; port 123 where there is none.
    pub servers: Vec<String>,
    /// How many have to agree; more than half of them where it is 0.
    pub quorum: u32,
    /// Questions to each, of which the one with the shortest way counts.
    pub samples: u32,
    /// Time for one answer, ms.
    pub timeout_ms: u32,
    /// Servers agree that are no further from their median, ms.
    pub agree_ms: u32,
    /// A clock that is further off is a finding, ms.
    pub off_ms: u32,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self { servers: Vec::new(), quorum: 0, samples: 3, timeout_ms: 2_000, agree_ms: 100, off_ms: 250 }
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockResult {
    /// Whether the clock is right.
    pub state: ClockState,
    /// How far the servers that agree are ahead of this clock, median, ns. Negative where this clock is ahead.
    pub offset_ns: i64,
    /// Servers that answered.
    pub answered: u32,
    /// Servers that agree.
    pub agreed: u32,
    /// How many had to.
    pub quorum: u32,
    /// Each server.
    pub servers: Vec<ServerAnswer>,
}

/// Whether the clock is right. That nothing is known is a failure of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// It is.
    InSync,
    /// It is further off than it may be.
    Off,
}

/// What one server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerAnswer {
    /// The server as configured.
    pub server: String,
    /// Its clock minus this one, ns; `null` without an answer.
    pub offset_ns: Option<i64>,
    /// Time that question and answer were under way, ns.
    pub delay_ns: Option<i64>,
    /// How far it is from a reference clock, 1 is next to one.
    pub stratum: Option<u8>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// The task.
#[derive(Debug)]
pub struct ClockTask {
    about: About,
    config: ClockConfig,
}

const NO_ANSWER: Failure = Failure {
    code: "no_answer",
    class: FailureClass::Timeout,
    culprit: Culprit::ThirdParty,
    advice: "too few time servers answer: see that UDP port 123 may leave this machine (chronyd -Q 'server NAME iburst' asks one by hand), \
             or name others in monitor.clock.servers",
    may_pass: true,
};
const DISAGREE: Failure = Failure {
    code: "servers_disagree",
    class: FailureClass::Protocol,
    culprit: Culprit::ThirdParty,
    advice: "the time servers contradict each other, so that nothing is known of this clock: name at least three in monitor.clock.servers and \
             remove the one that is wrong (the history names each offset)",
    may_pass: true,
};
const OFF: Failure = Failure {
    code: "clock_off",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "this machine's clock is off: start a time service (timedatectl set-ntp true, or systemctl enable --now chrony) and step the \
             clock once (chronyc makestep)",
    may_pass: true,
};

static FAILURES: &[Failure] = &[NO_ANSWER, DISAGREE, OFF];

impl ClockTask {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for more than 16 servers, a quorum beyond them, and times or samples that cannot be meant.
    pub fn new(config: ClockConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: &str| Err(ConfigError { key: format!("clock.{key}"), reason: reason.into() });
        if config.servers.len() > MAX_SERVERS {
            return wrong("servers", "has more than 16 entries");
        }
        if config.quorum as usize > config.servers.len() {
            return wrong("quorum", "is more than there are servers");
        }
        if !(1..=10).contains(&config.samples) || !(100..=10_000).contains(&config.timeout_ms) {
            return wrong("samples", "has to be 1 to 10, and timeout_ms 100 to 10000");
        }
        let asking = Duration::from_millis(u64::from(config.timeout_ms)) * config.samples;
        let about = About {
            name: "clock".into(),
            description: "Compares the machine's clock with the configured time servers.".into(),
            cron: "0 15 * * * *".into(),
            jitter_s: 300,
            timeout: asking + Duration::from_secs(20),
            needs: Needs::default(),
            light: true,
            at_start: true,
            unit: Unit::Nanoseconds,
            value: "offset".into(),
            better: Better::Neither,
            bytes: (config.servers.len() as u64) * u64::from(config.samples) * 96,
            cpu: Duration::from_millis(10),
            retry: Retry { attempts: 3, first: Duration::from_secs(20), longest: Duration::from_secs(60) },
            failures: FAILURES,
            schema: || schema_for!(ClockResult).to_value(),
        };
        Ok(Self { about, config })
    }
}

impl Task for ClockTask {
    fn about(&self) -> &About {
        &self.about
    }

    fn configured(&self) -> Result<(), String> {
        if self.config.servers.is_empty() {
            return Err("no time server is configured: set monitor.clock.servers".into());
        }
        Ok(())
    }

    fn run(&self, _context: Context) -> Running {
        let config = self.config.clone();
        Box::pin(async move {
            let servers = join_all(config.servers.iter().map(|server| ask::server(server, &config))).await;
            let asked: u64 = servers.iter().map(|server| if server.error.is_none() { 96 } else { 48 }).sum();
            let result = judge(&config, servers)?;
            let mut findings = Vec::new();
            if result.state == ClockState::Off {
                let ahead = if result.offset_ns < 0 { "ahead of" } else { "behind" };
                let off_ms = result.offset_ns.unsigned_abs() as f64 / 1e6;
                findings.push(OFF.with(format!("{off_ms:.1} ms {ahead} {} time servers", result.agreed)));
            }
            Ok(Report {
                value: result.offset_ns,
                result: super::json(&result),
                findings,
                bytes: asked * u64::from(config.samples),
                cpu: Duration::from_millis(10),
            })
        })
    }
}

/// What the answers come to.
fn judge(config: &ClockConfig, servers: Vec<ServerAnswer>) -> Result<ClockResult, Stop> {
    let quorum = if config.quorum == 0 { servers.len() / 2 + 1 } else { config.quorum as usize };
    let mut offsets: Vec<i64> = servers.iter().filter_map(|server| server.offset_ns).collect();
    if offsets.len() < quorum {
        let errors: Vec<String> = servers
            .iter()
            .filter_map(|server| Some(format!("{}: {}", server.server, server.error.as_ref()?)))
            .collect();
        return Err(NO_ANSWER.stop(format!("{} of {quorum} answered; {}", offsets.len(), errors.join("; "))));
    }
    let answered = offsets.len();
    let middle = median(&mut offsets);
    let tolerated = u64::from(config.agree_ms) * 1_000_000;
    offsets.retain(|offset| offset.abs_diff(middle) <= tolerated);
    if offsets.len() < quorum {
        let said: Vec<String> = servers
            .iter()
            .filter_map(|server| Some(format!("{} {:.1} ms", server.server, server.offset_ns? as f64 / 1e6)))
            .collect();
        return Err(DISAGREE.stop(format!("{} of {quorum} agree: {}", offsets.len(), said.join(", "))));
    }
    let offset_ns = median(&mut offsets);
    let off = offset_ns.unsigned_abs() > u64::from(config.off_ms) * 1_000_000;
    Ok(ClockResult {
        state: if off { ClockState::Off } else { ClockState::InSync },
        offset_ns,
        answered: answered as u32,
        agreed: offsets.len() as u32,
        quorum: quorum as u32,
        servers,
    })
}

/// The lower of the two in the middle, where there are two: one that somebody said.
fn median(offsets: &mut [i64]) -> i64 {
    offsets.sort_unstable();
    offsets.get(offsets.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
