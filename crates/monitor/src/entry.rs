//! A task as this monitor has it: what it says of itself, what the configuration made of that, what was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_probe::agenda::{Classes, Plan, Retry};
use peermark_probe::cron::CronSchedule;

use crate::attempt::Status;
use crate::config::{ConfigError, MonitorConfig, Profile};
use crate::task::{About, COMMON, Failure, Task};

/// Least time from one request for a task to the next.
const REQUEST_GAP: Duration = Duration::from_secs(60);

/// A task and its settings.
pub(crate) struct Entry {
    pub(crate) task: Arc<dyn Task>,
    /// What the task says, with the overrides of the configuration.
    pub(crate) about: About,
    pub(crate) cron: CronSchedule,
    /// Why it does not run; `None` where it is scheduled.
    pub(crate) idle: Option<String>,
    attempts: [AtomicU64; 3],
}

const STATUSES: [Status; 3] = [Status::Ok, Status::Failed, Status::Skipped];

impl Entry {
    /// A task under the configuration, where a storage node is known or not.
    ///
    /// # Errors
    /// [`ConfigError`] for an override that cannot be used.
    pub(crate) fn new(task: Arc<dyn Task>, config: &MonitorConfig, has_node: bool) -> Result<Self, ConfigError> {
        let mut about = task.about().clone();
        let overrides = config.task.get(&about.name).cloned().unwrap_or_default();
        if let Some(cron) = overrides.cron {
            about.cron = cron;
        }
        if let Some(jitter_s) = overrides.jitter_s {
            about.jitter_s = jitter_s;
        }
        if let Some(timeout_s) = overrides.timeout_s {
            if timeout_s == 0 {
                return Err(ConfigError {
                    key: format!("task.{}.timeout_s", about.name),
                    reason: "0 s end before they begin".into(),
                });
            }
            about.timeout = Duration::from_secs(u64::from(timeout_s));
        }
        let cron = CronSchedule::parse(&about.cron, &config.zone)
            .map_err(|error| ConfigError { key: format!("task.{}.cron", about.name), reason: error.to_string() })?;
        check_jitter(&about, &cron)?;
        let idle = match (overrides.enabled, config.profile) {
            (Some(false), _) => Some("switched off by enabled = false".to_owned()),
            (None, Profile::Light) if !about.light => Some("not one of the light tests".to_owned()),
            (_, Profile::Off) => Some("all tests are switched off".to_owned()),
            _ if task.needs_node() && !has_node => Some("no storage node is known: set monitor.node_api".to_owned()),
            _ => task.configured().err(),
        };
        Ok(Self { task, about, cron, idle, attempts: Default::default() })
    }

    /// Its plan for the agenda.
    pub(crate) fn plan(&self, last_success_ms: Option<u64>, now_ms: u64) -> Plan {
        // Nothing is missed by what has to wait for its moment: as if it had one now.
        let last_success_ms = if self.about.at_start { last_success_ms } else { last_success_ms.or(Some(now_ms)) };
        let class = |wanted, class| if wanted { class } else { Classes::NONE };
        let needs = self.about.needs;
        Plan {
            name: self.about.name.clone(),
            cron: self.cron.clone(),
            jitter: Duration::from_secs(u64::from(self.about.jitter_s)),
            needs: class(needs.cpu, Classes::CPU)
                | class(needs.network, Classes::NETWORK)
                | class(needs.disk, Classes::DISK),
            timeout: self.about.timeout,
            retry: Retry {
                attempts: self.about.retry.attempts,
                first: self.about.retry.first,
                longest: self.about.retry.longest,
            },
            request_gap: REQUEST_GAP,
            last_success_ms,
        }
    }

    /// What to do about a failure or finding of this task.
    pub(crate) fn advice(&self, code: &str) -> String {
        let known = self.failures().find(|failure| failure.code == code);
        known.map_or_else(
            || "named by an earlier version: run the test again".to_owned(),
            |known| known.advice.to_owned(),
        )
    }

    /// Every failure that it can meet.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.about.failures.iter().chain(COMMON)
    }

    /// Counts an attempt.
    pub(crate) fn count(&self, status: Status) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(0);
        self.attempts[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Attempts by how they ended.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Status, u64)> {
        STATUSES.into_iter().zip(self.attempts.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Refuses a delay as long as the way from one moment to the next: moments would be lost in it.
fn check_jitter(about: &About, cron: &CronSchedule) -> Result<(), ConfigError> {
    let jitter_ms = u64::from(about.jitter_s) * 1000;
    // Any day will do; the first one of 2026 is as good as another.
    match cron.period_ms(1_767_225_600_000) {
        Some(period_ms) if jitter_ms > 0 && jitter_ms >= period_ms => Err(ConfigError {
            key: format!("task.{}.jitter_s", about.name),
            reason: format!(
                "{} s are no less than the {} s from one moment to the next",
                about.jitter_s,
                period_ms / 1000
            ),
        }),
        _ => Ok(()),
    }
}
