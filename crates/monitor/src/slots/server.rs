//! The `iperf3` servers of a slot, one after the other on one port.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{SlotError, SlotsConfig};
use crate::child::{Child, Program};

/// How long a server may take until it says that it listens.
const START: Duration = Duration::from_secs(3);

/// Longest life of one server; the slot's deadline is shorter.
const RUN: Duration = Duration::from_secs(3_600);

/// How often a port of the system's choice is tried: somebody may take it between our look and the server's.
const PORTS_TRIED: usize = 5;

/// What `iperf3` says when it listens.
const LISTENING: &str = "Server listening";

/// A server of one run on `port`.
pub(super) fn program(config: &SlotsConfig, port: u16) -> Program {
    // Flushed after every line: else the word that it listens comes when it has ended.
    let bind = config.bind.to_string();
    Program::new(&config.program).args(["-s", "-1", "--forceflush", "-B", &bind, "-p", &port.to_string()])
}

/// Starts the first server on a free port.
pub(super) async fn start(config: &SlotsConfig) -> Result<(u16, Child), SlotError> {
    let [first, last] = config.ports;
    let candidates: Vec<u16> =
        if (first, last) == (0, 0) { vec![0; PORTS_TRIED] } else { (first..=last.max(first)).take(256).collect() };
    let mut failed = None;
    for wanted in candidates {
        let Some(port) = free(config, wanted) else { continue };
        let mut server = program(config, port).start().map_err(SlotError::Program)?;
        match server.says(LISTENING, START).await {
            Ok(()) => return Ok((port, server)),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.map_or(SlotError::NoPort, SlotError::Program))
}

/// Waits for the run, and serves those that follow.
pub(super) async fn serve(program: Program, first: Child, runs: u32) {
    let mut server = first;
    for left in (0..runs).rev() {
        if let Err(error) = server.finish(RUN).await {
            tracing::debug!(%error, "iperf3 server of a slot");
        }
        if left == 0 {
            return;
        }
        server = match program.start() {
            Ok(server) => server,
            Err(error) => return tracing::warn!(%error, "slot ends early"),
        };
    }
}

fn free(config: &SlotsConfig, wanted: u16) -> Option<u16> {
    let listener = TcpListener::bind(SocketAddr::new(config.bind, wanted)).ok()?;
    listener.local_addr().ok().map(|address| address.port())
}
