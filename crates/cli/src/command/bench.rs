//! `peermark bench`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use peermark_bench::{BenchError, Figure, Hold, PeerKind};
use peermark_probe::calibrate::calibrate;
use peermark_probe::clock::MonotonicClock;
use serde_json::json;

use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct BenchCommand {
    /// Benchmarks to run; all of them when none is named
    #[arg(value_name = "NAME")]
    names: Vec<BenchName>,
    /// Table, or one JSON document per figure
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Directory for what benchmarks write; one in the system's temporary directory when absent
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[arg(long, hide = true)]
    peer: Option<PeerArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BenchName {
    /// Blocks between two processes, beside plain TCP and one libp2p stream
    Exchange,
    /// Blocks per second of fifty nodes, counted at the receivers
    Swarm,
    /// Memory, CPU and scrape size of fifty nodes that have nothing to do
    Idle,
    /// The load generator itself
    Load,
    /// A file of 1 GiB up and down, with memory watched
    Large,
    /// How often the 95 % intervals hold the true percentile
    Intervals,
    /// Publish and lookup in a DHT of fifty servers, beside libp2p's own query
    Dht,
    /// A million reports of attesters to verdicts on one core
    Judge,
    /// What self-tests cost a node, and how fast their results are told (needs redis-server)
    Monitor,
    /// Entries that the ledger's log acknowledges, beside SQLite with the same promise
    Ledger,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PeerArg {
    Tcp,
    Stream,
    Bitswap,
    Monitors,
}

const ALL: [BenchName; 10] = [
    BenchName::Load,
    BenchName::Exchange,
    BenchName::Swarm,
    BenchName::Idle,
    BenchName::Large,
    BenchName::Intervals,
    BenchName::Dht,
    BenchName::Judge,
    BenchName::Monitor,
    BenchName::Ledger,
];

/// Runs `peermark bench ...`.
///
/// # Errors
/// [`ExpectedError::Bench`] when a benchmark gives no figure.
pub(crate) fn run(command: BenchCommand) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let scratch =
        command.scratch.unwrap_or_else(|| std::env::temp_dir().join(format!("peermark-bench-{}", std::process::id())));
    std::fs::create_dir_all(&scratch).map_err(|source| ExpectedError::Read { path: scratch.clone(), source })?;
    if let Some(peer) = command.peer {
        let kind = match peer {
            PeerArg::Tcp => PeerKind::Tcp,
            PeerArg::Stream => PeerKind::Stream,
            PeerArg::Bitswap => PeerKind::Bitswap,
            PeerArg::Monitors => PeerKind::Monitors,
        };
        runtime.block_on(serve_until_stdin_closes(kind, &scratch)).map_err(ExpectedError::Bench)?;
        runtime.shutdown_background();
        return Ok(ExitCode::SUCCESS);
    }
    let names = if command.names.is_empty() { ALL.to_vec() } else { command.names };
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let held = run_all(&runtime, &names, &program, &scratch, command.format);
    // Nothing in it is of use once the figures are printed.
    drop(std::fs::remove_dir_all(&scratch));
    Ok(if held? { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}

/// A peer ends with the benchmark that started it.
async fn serve_until_stdin_closes(kind: PeerKind, scratch: &Path) -> Result<(), BenchError> {
    tokio::select! {
        served = peermark_bench::serve(kind, scratch) => served,
        () = output::stdin_closed() => Ok(()),
    }
}

fn run_all(
    runtime: &tokio::runtime::Runtime,
    names: &[BenchName],
    program: &Path,
    scratch: &Path,
    format: Format,
) -> Result<bool, ExpectedError> {
    let clock = MonotonicClock::new();
    let mut held = true;
    for name in names {
        let before = calibrate(scratch, &clock).ok();
        let figures = match name {
            BenchName::Exchange => runtime.block_on(peermark_bench::exchange(program, scratch)),
            BenchName::Swarm => runtime.block_on(peermark_bench::swarm(program, scratch)),
            BenchName::Idle => runtime.block_on(peermark_bench::idle(program, scratch)),
            BenchName::Large => runtime.block_on(peermark_bench::large(program, scratch)),
            BenchName::Monitor => runtime.block_on(peermark_bench::monitor(program, scratch)),
            BenchName::Dht => runtime.block_on(peermark_bench::dht(scratch)),
            BenchName::Ledger => peermark_bench::ledger(scratch),
            BenchName::Intervals => Ok(peermark_bench::intervals()),
            BenchName::Judge => peermark_bench::judge(),
            BenchName::Load => peermark_bench::load(),
        };
        for figure in figures.map_err(ExpectedError::Bench)? {
            held &= figure.ok.unwrap_or(true);
            let line = match format {
                Format::Json => {
                    let mut document = serde_json::to_value(&figure).unwrap_or_default();
                    document["calibration"] = json!(before);
                    document.to_string()
                }
                Format::Text => text(&figure),
            };
            output::data(&line).map_err(ExpectedError::Output)?;
        }
        if format == Format::Text
            && let Some(calibration) = before
        {
            let line = format!(
                "  calibration: fdatasync {:.2} ms, SHA-256 {:.2} GB/s, plain TCP {:.2} GB/s",
                calibration.fdatasync.p50_ns as f64 / 1e6,
                calibration.hash.bytes_per_second as f64 / 1e9,
                calibration.plain_tcp.bytes_per_second as f64 / 1e9
            );
            output::data(&line).map_err(ExpectedError::Output)?;
        }
    }
    Ok(held)
}

fn text(figure: &Figure) -> String {
    let bar = |sign: &str, limit: f64| format!("hold {sign} {}", significant(limit));
    let hold = match figure.hold {
        Hold::AtLeast(limit) => bar(">=", limit),
        Hold::AtMost(limit) => bar("<=", limit),
        Hold::None => String::new(),
    };
    let mark = match figure.ok {
        Some(true) => "ok  ",
        Some(false) => "MISS",
        None => "    ",
    };
    let (low, high) = figure.spread;
    let value = format!("{} {} [{}, {}]", significant(figure.value), figure.unit, significant(low), significant(high));
    let ratio = match (figure.ratio, figure.reference_value) {
        (Some(ratio), Some(reference)) => format!("ratio {ratio:.3} to {} {}", significant(reference), figure.unit),
        _ => String::new(),
    };
    let notes: Vec<&str> = std::iter::once(figure.reference.as_str())
        .chain(figure.notes.iter().map(String::as_str))
        .filter(|note| !note.is_empty())
        .collect();
    format!(
        "{mark} {:<30} {value:<42} {ratio:<32} {hold}\n       {} ({} rounds)",
        figure.name,
        notes.join("; "),
        figure.rounds
    )
}

fn significant(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.5}"),
    }
}
