//! `peermark bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use peermark_bench::PeerKind;

use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct BenchCommand {
    /// Benchmarks to run; all of them when none is named
    #[arg(value_name = "NAME")]
    names: Vec<BenchName>,
    /// Directory for what benchmarks write
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[arg(long, hide = true)]
    peer: Option<PeerArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BenchName {
    /// Blocks between two processes, beside plain TCP and one libp2p stream
    Exchange,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PeerArg {
    Tcp,
    Stream,
    Bitswap,
}

pub(crate) fn run(command: BenchCommand) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(ExpectedError::System)?;
    let scratch = command.scratch.unwrap_or_else(|| std::env::temp_dir().join(format!("peermark-bench-{}", std::process::id())));
    if let Some(peer) = command.peer {
        let kind = match peer {
            PeerArg::Tcp => PeerKind::Tcp,
            PeerArg::Stream => PeerKind::Stream,
            PeerArg::Bitswap => PeerKind::Bitswap,
        };
        runtime.block_on(peermark_bench::serve(kind, &scratch)).map_err(ExpectedError::Bench)?;
        return Ok(ExitCode::SUCCESS);
    }
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let figures = runtime.block_on(peermark_bench::exchange(&program, &scratch)).map_err(ExpectedError::Bench)?;
    for figure in &figures {
        output::data(&serde_json::to_string(figure).unwrap_or_default()).map_err(ExpectedError::System)?;
    }
    Ok(ExitCode::SUCCESS)
}
