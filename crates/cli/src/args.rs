//! The argument tree.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::command::attest::AttestCommand;
use crate::command::bench::BenchCommand;
use crate::command::capacity::CapacityCommand;
use crate::command::config::ConfigCommand;
use crate::command::dht::DhtCommand;
use crate::command::doctor::DoctorCommand;
use crate::command::explain::ExplainCommand;
use crate::command::lab::LabCommand;
use crate::command::ledger::LedgerCommand;
use crate::command::load::LoadCommand;
use crate::command::monitor::MonitorCommand;
use crate::command::node::NodeCommand;
use crate::command::qualify::QualifyCommand;
use crate::command::rank::RankCommand;
use crate::command::sla::SlaCommand;
use crate::command::up::UpCommand;

/// Measures peer-to-peer storage networks with numbers that can be trusted and re-derived.
#[derive(Debug, Parser)]
#[command(name = "peermark", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// TOML file with the configuration; `./peermark.toml` is read when it is there
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global")]
    pub(crate) config: Option<PathBuf>,
    /// Say more on stderr; twice and thrice for more still
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global")]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a storage node
    Node(NodeCommand),
    /// Start a local network, load it, measure it, report it (the main job)
    Up(Box<UpCommand>),
    /// Load nodes that run already, through their REST API
    Load(LoadCommand),
    /// Publish and lookup latency in DHTs: server
    Dht(DhtCommand),
    /// Scheduled self-tests of nodes: ask a monitor, give it orders, watch a fleet of them
    Monitor(MonitorCommand),
    /// Evaluation of hosters by many attesters: what liars can and cannot do to it
    Attest(AttestCommand),
    /// Plans, contracts and challenges on a provable log: init, serve, submit, show, verify, export
    Ledger(LedgerCommand),
    /// Who is better than whom, as far as measurements can tell; prices beside it
    Rank(RankCommand),
    /// Who may be given a job, what it takes to prove it, what another policy would have decided
    Qualify(QualifyCommand),
    /// Why a hoster stands where it stands, how far each threshold is, what would change it
    Explain(ExplainCommand),
    /// Is what was promised kept: verdicts, windows, causes, error budgets
    Sla(SlaCommand),
    /// Does one more job fit: predicted use, slowdown, other hardware, what is needed, price
    Capacity(CapacityCommand),
    /// What is wrong with this machine or node, and what to do; whether the instrument itself can be trusted
    Doctor(DoctorCommand),
    /// Around runs: plan, list, logs, compare, clean
    Lab(LabCommand),
    /// The product's own figures, each beside its reference
    Bench(BenchCommand),
    /// The configuration: every value with its origin
    Config(ConfigCommand),
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 2 usage, 64 configuration, 65 bad scenario or data, 69 dependency unavailable, \
70 bug, 100 finished but a threshold failed, 101 aborted, 110 output could not be written";
