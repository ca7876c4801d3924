//! `peermark dht probe`: one operation, looked at closely.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use cid::Cid;
use clap::{Args, Subcommand};
use peermark_core::{Clock, Seed};
use peermark_dht::engine::preflight::{Depth, Verdict};
use peermark_dht::key::RecordKey;
use peermark_dht::measure::Measure;
use peermark_dht::operation::{Operation, Variant, trace};
use peermark_dht::waterfall::waterfall;
use peermark_lab::scenario::HumanDuration;
use peermark_probe::clock::MonotonicClock;
use rand::Rng;
use serde_json::json;

use super::engine::{Engine, EngineArgs, build_measure};
use crate::command::up::{Format, draw_seed};
use crate::error::{Exit, ExpectedError};
use crate::output;

/// Content that is published when none is named, as parsec does.
const RANDOM_BYTES: usize = 1024;

/// Most bytes of a file whose CID is computed.
const MAX_FILE_BYTES: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    #[command(subcommand)]
    what: What,
    /// Picture for people, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    format: Format,
    /// Longest time for the operation
    #[arg(long, value_name = "DURATION", default_value = "3m", global = true)]
    timeout: HumanDuration,
    /// Seed of random content; drawn and printed when absent
    #[arg(long, value_name = "NUMBER", global = true)]
    seed: Option<u64>,
}

/// One operation of a node that joins for it. Exit code 100 says that it failed or found nothing.
#[derive(Debug, Subcommand)]
enum What {
    /// Look up the first provider of a CID
    Retrieve {
        /// Which
        #[arg(value_name = "CID")]
        cid: Cid,
        #[command(flatten)]
        engine: Box<EngineArgs>,
    },
    /// Publish a provider record for the bytes of a file, or for random bytes
    Provide {
        /// The file, taken as one block
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        engine: Box<EngineArgs>,
    },
    /// What could make figures of this network wrong: publishes and looks up one record of its own
    Check {
        #[command(flatten)]
        engine: Box<EngineArgs>,
    },
}

/// Runs `peermark dht probe ...`.
///
/// # Errors
/// [`ExpectedError`] when nobody can be asked or the output cannot be written.
pub(crate) fn run(args: ProbeArgs) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    runtime.block_on(probe(args))
}

async fn probe(args: ProbeArgs) -> Result<ExitCode, ExpectedError> {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let (What::Retrieve { engine, .. } | What::Provide { engine, .. } | What::Check { engine }) = &args.what;
    let mut settings = engine.resolve()?;
    // A node for one operation needs no known port, and must not disturb a server on it.
    settings.peer_port = 0;
    let subject = subject(&args)?;
    output::talk(&settings.words());
    let engine = build_measure(&settings, &clock).await?;
    engine.engine.join(&settings.bootstrap).await?;
    if settings.variant == Variant::FullRt {
        output::talk("crawling the network");
        engine.engine.crawl().await;
    }
    let deadline_ns = clock.now_ns() + u64::try_from(args.timeout.0.as_nanos()).unwrap_or(u64::MAX / 2);
    match subject {
        Subject::Check(seed) => check(&engine, seed, args.format).await,
        Subject::Provide(key, cid) => {
            preflight(&engine).await;
            let operation = engine.engine.provide(key, deadline_ns).await;
            show(&operation, &cid, args.format)
        }
        Subject::Retrieve(key, cid) => {
            preflight(&engine).await;
            let operation = engine.engine.retrieve(key, deadline_ns).await;
            show(&operation, &cid, args.format)
        }
    }
}

enum Subject {
    Check(Seed),
    Provide(RecordKey, Cid),
    Retrieve(RecordKey, Cid),
}

fn subject(args: &ProbeArgs) -> Result<Subject, ExpectedError> {
    let seed = || {
        let seed = args.seed.unwrap_or_else(draw_seed);
        output::talk(&format!("seed {seed}"));
        Seed(seed)
    };
    Ok(match &args.what {
        What::Check { .. } => Subject::Check(seed()),
        What::Retrieve { cid, .. } => Subject::Retrieve(RecordKey::of_cid(cid), *cid),
        What::Provide { file: Some(path), .. } => {
            let failed = |source| ExpectedError::Read { path: path.clone(), source };
            let length = std::fs::metadata(path).map_err(failed)?.len();
            if length > MAX_FILE_BYTES {
                let text =
                    format!("{}: {length} bytes, at most {MAX_FILE_BYTES} are taken as one block", path.display());
                return Err(ExpectedError::Configuration(text));
            }
            let (key, cid) = RecordKey::of_content(&std::fs::read(path).map_err(failed)?);
            Subject::Provide(key, cid)
        }
        What::Provide { file: None, .. } => {
            let mut content = [0; RANDOM_BYTES];
            seed().stream("probe").fill_bytes(&mut content);
            let (key, cid) = RecordKey::of_content(&content);
            Subject::Provide(key, cid)
        }
    })
}

/// Says what could make the figures wrong, as far as it can be told without asking anybody.
async fn preflight(engine: &Engine) {
    for check in engine.engine.preflight(Depth::Look).await {
        if check.verdict == Verdict::Fails {
            output::talk(&format!("{}: {}", check.name, check.detail));
        }
    }
}

async fn check(engine: &Engine, seed: Seed, format: Format) -> Result<ExitCode, ExpectedError> {
    let checks = engine.engine.preflight(Depth::Publish(seed)).await;
    let failed = checks.iter().any(|check| check.verdict == Verdict::Fails);
    match format {
        Format::Text => {
            for check in &checks {
                let line = format!("{:<6} {:<26} {}", check.verdict.as_str(), check.name, check.detail);
                output::data(&line).map_err(ExpectedError::Output)?;
            }
        }
        Format::Json => {
            let list: Vec<_> = checks
                .iter()
                .map(|check| json!({"name": check.name, "verdict": check.verdict.as_str(), "detail": check.detail}))
                .collect();
            let document = json!({"schema": "peermark.dht-check/1", "checks": list});
            output::data(&document.to_string()).map_err(ExpectedError::Output)?;
        }
    }
    Ok(if failed { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}

fn show(operation: &Operation, cid: &Cid, format: Format) -> Result<ExitCode, ExpectedError> {
    let text = match format {
        Format::Json => {
            let mut document = json!({"schema": "peermark.dht-operation/1", "cid": cid.to_string()});
            document["operation"] = trace(operation);
            document.to_string()
        }
        Format::Text => {
            let (width, _) = output::stdout_shape();
            format!("{cid}\n{}", waterfall(operation, width.min(160)).trim_end())
        }
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(if operation.outcome.is_ok() { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}
