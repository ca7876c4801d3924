//! Tests of the operator's own: a program that writes JSON to standard output.
//!
//! ```toml
//! [[monitor.command]]
//! name = "raid"
//! run = ["/usr/local/bin/raid-state", "--json"]
//! cron = "0 20 * * * *"
//! value = "/degraded"       # JSON pointer to the figure
//! unit = "count"
//! better = "lower"
//! ```
//!
//! No shell reads the words; the program gets no standard input and no environment but the search path.

use std::time::Duration;

use peermark_core::{Culprit, FailureClass, Unit, in_words};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::child::{ChildError, Ended, Program};
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Stop, Task};

/// Largest document that is kept, bytes.
const MAX_RESULT_BYTES: usize = 48 << 10;

/// Time between the program's deadline and that of the run, in which its failure is told.
const MARGIN: Duration = Duration::from_secs(2);

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Name of the task: lower-case letters, digits and `-`.
    pub name: String,
    /// What it does, for people; its words where empty.
    #[serde(default)]
    pub description: String,
    /// The program and its arguments.
    pub run: Vec<String>,
    /// When it runs, six fields.
    #[serde(default = "hourly")]
    pub cron: String,
    /// Seconds by which it may be late on purpose.
    #[serde(default = "minute")]
    pub jitter_s: u32,
    /// Seconds that it has.
    #[serde(default = "minute")]
    pub timeout_s: u32,
    /// JSON pointer (RFC 6901) to the figure in what it writes: an integer, or a number that is rounded, or a truth value.
    #[serde(default)]
    pub value: String,
    /// Unit of the figure.
    #[serde(default = "count")]
    pub unit: Unit,
    /// Which way the figure is better.
    #[serde(default = "neither")]
    pub better: Better,
    /// Whether no other task that measures the CPU may run beside it.
    #[serde(default)]
    pub needs_cpu: bool,
    /// Whether no other task that fills the network may run beside it.
    #[serde(default)]
    pub needs_network: bool,
    /// Whether no other task that fills the disk may run beside it.
    #[serde(default)]
    pub needs_disk: bool,
}

/// The task.
#[derive(Debug)]
pub struct Command {
    about: About,
    config: CommandConfig,
}

const PROGRAM_MISSING: Failure = Failure {
    code: "program_missing",
    class: FailureClass::ProgramMissing,
    culprit: Culprit::Observer,
    advice: "the first word of run is no program in the search path: install it, or write its full path in the section monitor.command",
    may_pass: false,
};
const NOT_PERMITTED: Failure = Failure {
    code: "not_permitted",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the monitor's user may not run the program: chmod +x it, and see who owns its directories (namei -l PATH)",
    may_pass: false,
};
const NOT_STARTED: Failure = Failure {
    code: "not_started",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the system could not start the program: a script needs a first line such as #!/bin/sh, and the machine needs memory and \
             process slots (free -m, ulimit -u)",
    may_pass: true,
};
const EXIT_CODE: Failure = Failure {
    code: "exit_code",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "the program says by its exit code that it failed: run it by hand as the monitor's user and read what it complains about",
    may_pass: true,
};
const NOT_JSON: Failure = Failure {
    code: "not_json",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "the program has to write one JSON document to standard output and everything else to standard error: try PROGRAM | jq .",
    may_pass: false,
};
const NO_VALUE: Failure = Failure {
    code: "no_value",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "the document has no number where value points: set value to a JSON pointer such as /degraded, or \"\" for a document that \
             is a number itself",
    may_pass: false,
};
const TOO_MUCH: Failure = Failure {
    code: "too_much_output",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "the program wrote more than is kept (1 MiB of output, 48 KiB of JSON): let it write a summary",
    may_pass: false,
};
const HUNG: Failure = Failure {
    code: "hung",
    class: FailureClass::Timeout,
    culprit: Culprit::Observer,
    advice: "the program did not end in time and was killed: run it by hand, or give it more time with timeout_s in its section, or with \
             monitor.task.NAME.timeout_s where that is set",
    may_pass: true,
};

static FAILURES: &[Failure] =
    &[PROGRAM_MISSING, NOT_PERMITTED, NOT_STARTED, EXIT_CODE, NOT_JSON, NO_VALUE, TOO_MUCH, HUNG];

impl Command {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for a name that is none, an empty `run`, a `timeout_s` of 0, and a `value` that is no JSON pointer.
    pub fn new(config: CommandConfig) -> Result<Self, ConfigError> {
        let wrong = |field: &str, reason: &str| ConfigError {
            key: format!("command.{}.{field}", config.name.chars().take(60).collect::<String>()),
            reason: reason.into(),
        };
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if config.name.is_empty() || config.name.len() > 60 || !config.name.chars().all(letter) {
            return Err(wrong("name", "has to be 1 to 60 lower-case letters, digits and -"));
        }
        if config.run.first().is_none_or(String::is_empty) {
            return Err(wrong("run", "has to name a program"));
        }
        if config.timeout_s == 0 {
            return Err(wrong("timeout_s", "has to be at least 1"));
        }
        if !config.value.is_empty() && !config.value.starts_with('/') {
            return Err(wrong("value", "has to be a JSON pointer: empty, or /member/0/member"));
        }
        let described = if config.description.is_empty() { config.run.join(" ") } else { config.description.clone() };
        let about = About {
            name: config.name.clone(),
            description: described,
            cron: config.cron.clone(),
            jitter_s: config.jitter_s,
            timeout: Duration::from_secs(u64::from(config.timeout_s)) + MARGIN,
            needs: Needs { cpu: config.needs_cpu, network: config.needs_network, disk: config.needs_disk },
            // Whoever declares it wants it.
            light: true,
            at_start: true,
            unit: config.unit,
            value: if config.value.is_empty() { "output".into() } else { config.value.clone() },
            better: config.better,
            bytes: 0,
            cpu: Duration::from_secs(1),
            retry: Retry { attempts: 2, first: Duration::from_secs(10), longest: Duration::from_secs(60) },
            failures: FAILURES,
            schema: || json!({ "description": "the JSON document that the program wrote" }),
        };
        Ok(Self { about, config })
    }
}

impl Task for Command {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let config = self.config.clone();
        Box::pin(async move {
            let (name, args) = config.run.split_first().ok_or_else(|| PROGRAM_MISSING.stop("run is empty"))?;
            // What `monitor.task.NAME.timeout_s` allows, which may be other than the section's own.
            let left = Duration::from_nanos(context.deadline_ns.saturating_sub(context.clock.now_ns()));
            let within = left.saturating_sub(MARGIN).max(left / 2);
            let ended = Program::new(name).args(args).run(within).await.map_err(|error| stopped(&error))?;
            read(&config, &ended)
        })
    }
}

fn stopped(error: &ChildError) -> Stop {
    let failure = match error {
        ChildError::Missing { .. } => &PROGRAM_MISSING,
        ChildError::NotPermitted { .. } => &NOT_PERMITTED,
        ChildError::Start { .. } | ChildError::Wait { .. } => &NOT_STARTED,
        ChildError::TooMuchOutput { .. } => &TOO_MUCH,
        ChildError::Timeout { .. } => &HUNG,
    };
    failure.stop(in_words(error))
}

fn read(config: &CommandConfig, ended: &Ended) -> Result<Report, Stop> {
    if !ended.status.success() {
        return Err(EXIT_CODE.stop(format!("{}: {}", ended.status, ended.complaint())));
    }
    let result: Value = serde_json::from_slice(&ended.stdout).map_err(|error| {
        let start: String =
            String::from_utf8_lossy(&ended.stdout).chars().filter(|c| !c.is_control()).take(80).collect();
        NOT_JSON.stop(format!("{error}, in {start:?}"))
    })?;
    let length = result.to_string().len();
    if length > MAX_RESULT_BYTES {
        return Err(TOO_MUCH.stop(format!("the document has {length} bytes")));
    }
    let value = result.pointer(&config.value).and_then(figure);
    let value = value.ok_or_else(|| NO_VALUE.stop(format!("nothing countable at {:?}", config.value)))?;
    Ok(Report { value, result, findings: Vec::new(), bytes: 0, cpu: ended.cpu.unwrap_or_default() })
}

fn figure(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Number(number) => {
            let rounded =
                || number.as_f64().map(f64::round).filter(|value| value.abs() < 9.2e18).map(|value| value as i64);
            number.as_i64().or_else(rounded)
        }
        _ => None,
    }
}

fn hourly() -> String {
    "0 0 * * * *".into()
}

fn minute() -> u32 {
    60
}

fn count() -> Unit {
    Unit::Count
}

fn neither() -> Better {
    Better::Neither
}

#[cfg(test)]
mod tests;
