//! The tasks that a monitor knows.

pub mod clock;
pub mod command;
pub mod cpu_benchmark;
pub mod cpu_suite;
pub mod disk;
pub mod healthcheck;
pub mod host;
pub mod iperf;
pub mod latency;
pub mod machine;
pub mod node_self_test;
pub mod process;
pub mod public_ip_validation;
pub mod reachability;
mod thread;
mod usage;

#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::config::{ConfigError, MonitorConfig};
use crate::task::Task;

/// Every task, configured or not, in the order in which they are listed to people.
///
/// # Errors
/// [`ConfigError`] names the setting that cannot be used.
pub fn all(config: &MonitorConfig) -> Result<Vec<Arc<dyn Task>>, ConfigError> {
    let mut tasks: Vec<Arc<dyn Task>> = vec![
        Arc::new(cpu_benchmark::CpuBenchmark::new(config.cpu_benchmark)),
        Arc::new(cpu_suite::CpuSuite::new(config.cpu_suite)?),
        Arc::new(healthcheck::Healthcheck::new(config.healthcheck.clone())?),
        Arc::new(disk::Disk::new(config.disk.clone())?),
        Arc::new(clock::ClockTask::new(config.clock.clone())?),
        Arc::new(host::Host::new(config.host.clone())?),
        Arc::new(process::ProcessTask::new(config.process.clone())?),
        Arc::new(iperf::Iperf::new(config.iperf.clone())?),
        Arc::new(public_ip_validation::PublicIp::new(config.public_ip_validation.clone())?),
        Arc::new(reachability::Reachability::new(config.reachability.clone())?),
        Arc::new(latency::Latency::new(config.latency.clone())?),
        Arc::new(node_self_test::NodeSelfTest::new(config.node_self_test.clone())?),
    ];
    for own in &config.command {
        let task = command::Command::new(own.clone())?;
        if tasks.iter().any(|other| other.about().name == task.about().name) {
            let reason = "another task has this name".to_owned();
            return Err(ConfigError { key: format!("command.{}.name", own.name), reason });
        }
        tasks.push(Arc::new(task));
    }
    Ok(tasks)
}

/// Refuses a sampling period that cannot be meant.
fn check_period(key: &str, period_ms: u32) -> Result<(), ConfigError> {
    if (100..=60_000).contains(&period_ms) {
        return Ok(());
    }
    Err(ConfigError { key: key.into(), reason: "has to be 100 to 60000".into() })
}

/// A typed result as JSON. Types of results have no maps with keys that are no text, which is all that could fail.
fn json(result: &impl Serialize) -> Value {
    serde_json::to_value(result).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_failure_has_advice_and_a_name_of_its_own() {
        let tasks = all(&MonitorConfig::default()).unwrap();
        let names: BTreeSet<&str> = tasks.iter().map(|task| task.about().name.as_str()).collect();
        assert_eq!(names.len(), tasks.len());
        for task in tasks {
            let failures: Vec<_> = task.about().failures.iter().chain(crate::task::COMMON).collect();
            let codes: BTreeSet<&str> = failures.iter().map(|failure| failure.code).collect();
            assert_eq!(codes.len(), failures.len(), "{}", task.about().name);
            assert!(
                failures.iter().all(|failure| failure.advice.split_whitespace().count() >= 8),
                "{}",
                task.about().name
            );
        }
    }

    #[test]
    fn an_own_command_cannot_take_the_name_of_another_task() {
        let config: MonitorConfig = toml::from_str("[[command]]\nname = \"disk\"\nrun = [\"true\"]").unwrap();
        assert!(all(&config).is_err());
        let config: MonitorConfig = toml::from_str("[[command]]\nname = \"mine\"\nrun = [\"true\"]").unwrap();
        assert_eq!(all(&config).unwrap().last().unwrap().about().name, "mine");
    }
}
