//! What a self-test is: what it says of itself, what it is given, and the three ways in which it ends.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs, Seed, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A self-test. One instance lives as long as the monitor; the scheduler never runs it twice at a time.
pub trait Task: Send + Sync + 'static {
    /// What it is, when it runs by default, and every way in which it can fail.
    fn about(&self) -> &About;

    /// Why it cannot run with this configuration: `no target is configured`. It is not scheduled then and says so in its status.
    ///
    /// # Errors
    /// The reason, as a fragment for people.
    fn configured(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether it asks the node's own API, and so has nothing to do where the monitor knows none.
    fn needs_node(&self) -> bool {
        false
    }

    /// Runs it once. The future is dropped at the deadline: what it started (processes, threads) has to end with it, for which
    /// [`Context::cancel`] is cancelled too. Nothing in it may block the runtime: work that does goes to a thread of its own.
    fn run(&self, context: Context) -> Running;
}

/// A run under way.
pub type Running = Pin<Box<dyn Future<Output = Result<Report, Stop>> + Send + 'static>>;

/// What a task says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name: `cpu-benchmark`. Letters, digits and `-`.
    pub name: String,
    /// What it does, in a sentence. Those that zos has too keep zos's words.
    pub description: String,
    /// When it runs by default, six fields.
    pub cron: String,
    /// By how much a run may be late on purpose: a phase of the node and a random part together stay below it. Seconds.
    pub jitter_s: u32,
    /// From a run's start to its deadline.
    pub timeout: Duration,
    /// What it must have for itself while it runs.
    pub needs: Needs,
    /// Whether it is so light that a node under load can afford it: what lab nodes run.
    pub light: bool,
    /// Whether it runs when the monitor starts and it has no success yet. What runs once a month for a minute does not.
    pub at_start: bool,
    /// The unit of [`Report::value`].
    pub unit: Unit,
    /// What [`Report::value`] is, in two or three words: `time of one chain`.
    pub value: String,
    /// Which way is better.
    pub better: Better,
    /// Most bytes that one run moves over the network, for the daily budget.
    pub bytes: u64,
    /// About how much CPU time one run takes, for the daily budget.
    pub cpu: Duration,
    /// How often a failure that may pass by itself is tried again.
    pub retry: Retry,
    /// Every failure and finding that it can name itself. Those that any task can meet are in [`COMMON`].
    pub failures: &'static [Failure],
    /// JSON Schema of [`Report::result`].
    pub schema: fn() -> Value,
}

/// Resources that a task wants to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// No other task that measures the CPU.
    pub cpu: bool,
    /// No other task that fills the network.
    pub network: bool,
    /// No other task that fills the disk.
    pub disk: bool,
}

/// Which way a value is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Small values.
    Lower,
    /// Large values.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// How failures that may pass are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts altogether; 1 never tries again.
    pub attempts: u32,
    /// Pause before the second attempt; each later one is half as long again, up to `longest`.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

/// A way in which a test fails, or a fault that it finds. Closed per task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name, unique within the task: `server_busy`.
    pub code: &'static str,
    /// Why, in the words that all jobs share.
    pub class: FailureClass,
    /// Who has to mend it.
    pub culprit: Culprit,
    /// What to do about it: a sentence to the operator, with the command to type where there is one.
    pub advice: &'static str,
    /// Whether it may pass by itself, so that another attempt makes sense.
    pub may_pass: bool,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The main figure, in the unit of the task.
    pub value: i64,
    /// The typed result, by the task's schema.
    pub result: Value,
    /// What it found wrong with this node. Empty where all is well.
    pub findings: Vec<Finding>,
    /// Payload bytes moved over the network.
    pub bytes: u64,
    /// CPU time used, children included, as far as the task knows it.
    pub cpu: Duration,
}

/// Something that a test found, or why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the task's failures.
    pub failure: &'static Failure,
    /// The particulars, for people: which address, which file, what the system said.
    pub detail: String,
}

/// Why a run has no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed.
    Failed(Finding),
    /// It did not try, and that is no failure: the host is busy, another node leads, the budget is used up.
    Skipped(String),
}

/// What a run is given.
#[derive(Clone)]
pub struct Context {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The absolute deadline. The future is dropped then.
    pub deadline_ns: MonotonicNs,
    /// Cancelled at the deadline and when the monitor stops: for threads, which are not dropped.
    pub cancel: CancellationToken,
    /// Source of choices, another one for every run.
    pub seed: Seed,
    /// Which attempt at this run it is, from 1.
    pub attempt: u32,
    /// Directory for files of the task, on the file system of the node's data. It exists.
    pub scratch: PathBuf,
    /// Who this node is.
    pub node: Arc<NodeFacts>,
    /// Successes results.
    pub past: Arc<dyn Past>,
}

/// Who is tested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its peer id, also the name of the observer and subject of its series.
    pub id: String,
    /// Base URL of its storage API, where it has one.
    pub api: Option<String>,
    /// The token that the API asks for.
    pub token: Option<Secret>,
    /// libp2p addresses that it listens on, without its peer id.
    pub addresses: Vec<String>,
    /// Process id of the storage node, where it is known.
    pub pid: Option<u32>,
    /// Directory of its data.
    pub data: PathBuf,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Earlier results of a task, for tasks that look at a trend.
pub trait Past: Send + Sync + 'static {
    /// Wall times (Unix ms) and results of the last successes of `task`, oldest first, at most `most`.
    fn successes(&self, task: &str, most: usize) -> Successes<'_>;
}

/// Wall times (Unix ms) and results, oldest first.
pub type Successes<'a> = Pin<Box<dyn Future<Output = Vec<(u64, Value)>> + Send + 'a>>;

impl Failure {
    /// A failure.
    pub const fn new(
        code: &'static str,
        class: FailureClass,
        culprit: Culprit,
        may_pass: bool,
        advice: &'static str,
    ) -> Self {
        Self { code, class, culprit, advice, may_pass }
    }

    /// This failure with its particulars.
    pub fn with(&'static self, detail: impl Into<String>) -> Finding {
        Finding { failure: self, detail: detail.into() }
    }

    /// A run that ended by it.
    pub fn stop(&'static self, detail: impl Into<String>) -> Stop {
        Stop::Failed(self.with(detail))
    }
}

impl Retry {
    /// Not tried again.
    pub const NONE: Self = Self { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO };
}

/// What any task can meet, whatever it does.
pub static COMMON: &[Failure] = &[TIMEOUT, PANICKED, STOPPED, RESULT_TOO_LARGE, NO_THREAD, HANGS, NOT_STORABLE];

/// The deadline came first.
pub const TIMEOUT: Failure = Failure {
    code: "timeout",
    class: FailureClass::Timeout,
    culprit: Culprit::Observer,
    advice: "the test did not end by its deadline: see whether the machine is overloaded (peermark doctor), or give it more time \
             with monitor.task.NAME.timeout_s",
    may_pass: true,
};

/// The task's code broke.
pub const PANICKED: Failure = Failure {
    code: "panicked",
    class: FailureClass::Panicked,
    culprit: Culprit::Observer,
    advice: "a fault of peermark, not of your node: please report it with the log around this time",
    may_pass: false,
};

/// The monitor was stopped while it ran.
pub const STOPPED: Failure = Failure {
    code: "stopped",
    class: FailureClass::Abandoned,
    culprit: Culprit::Observer,
    advice: "the monitor was stopped while the test ran: nothing to do",
    may_pass: true,
};

/// The result is longer than what is kept.
pub const RESULT_TOO_LARGE: Failure = Failure {
    code: "result_too_large",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "the test's result is longer than 48 KiB: let its command print less, or test fewer targets",
    may_pass: false,
};

/// Work of an earlier run is stuck in the kernel.
pub const HANGS: Failure = Failure {
    code: "hangs",
    class: FailureClass::Timeout,
    culprit: Culprit::Observer,
    advice: "an earlier run of this test still waits for the kernel, most often for a disk that does not answer: see what hangs (ps -eLo \
             pid,stat,wchan:30,comm | grep ' D') and why (dmesg | tail), then mend or unmount it",
    may_pass: true,
};

/// The system gave no thread for work that blocks.
pub const NO_THREAD: Failure = Failure {
    code: "no_thread",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the system let the monitor start no further thread: raise the limit (ulimit -u, or TasksMax= in the systemd unit), or \
             end what holds the threads (ps -eLf | wc -l counts them)",
    may_pass: true,
};

/// The history refused the attempt; this one is kept in its place.
pub const NOT_STORABLE: Failure = Failure {
    code: "not_storable",
    class: FailureClass::BadOutput,
    culprit: Culprit::Observer,
    advice: "what the test came to has no place in a record, which is a fault of peermark or of the test's command: see what it prints, \
             and please report it with the log around this time",
    may_pass: false,
};
