//! A fleet of monitors, asked by a process of its own whose CPU time is counted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libp2p::identity::Keypair;
use peermark_core::{Clock, Seed};
use peermark_monitor::config::{MonitorConfig, Profile};
use peermark_monitor::task::NodeFacts;
use peermark_monitor::{Listen, Monitor, MonitorOptions};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use serde_json::json;
use tokio::time::sleep;

use super::process::Talker;
use crate::BenchError;
use crate::figure::{Figure, Hold};
use crate::peer::announce;

/// Monitors of the fleet.
const MONITORS: usize = 40;

/// From one question to a monitor to the next; `nodes.toml` has 30 s where it says nothing.
const EVERY_S: u64 = 20;

/// The first round takes histories too; what is counted begins after it.
const FIRST_ROUND: Duration = Duration::from_secs(EVERY_S + 2);
const COUNTED: Duration = Duration::from_secs(EVERY_S);

const WHAT: &str = "a fleet of monitors";

/// Forty real monitors with light tests in this process; their addresses are told as one line. Until the process is stopped.
///
/// # Errors
/// [`BenchError`] when one does not start.
pub(crate) async fn serve(data: &Path) -> Result<(), BenchError> {
    let (mut monitors, mut urls) = (Vec::new(), Vec::new());
    for number in 0..MONITORS {
        let data = data.join(format!("monitor-{number}"));
        std::fs::create_dir_all(&data).map_err(BenchError::io(WHAT))?;
        let key = Keypair::generate_ed25519();
        let options = MonitorOptions {
            config: MonitorConfig { profile: Profile::Light, ..MonitorConfig::default() },
            node: NodeFacts { id: key.public().to_peer_id().to_string(), data, ..NodeFacts::default() },
            key,
            environment: environment(env!("CARGO_PKG_VERSION"), "unknown"),
            clock: Arc::new(MonotonicClock::new()),
            seed: Seed(number as u64),
            listen: Some(Listen {
                address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
                token: None,
                tls: None,
                allow_anonymous: false,
            }),
        };
        let monitor = Monitor::start(options).await.map_err(|error| BenchError::subject(WHAT, error))?;
        urls.extend(monitor.url());
        monitors.push(monitor);
    }
    announce(&json!({ "api": urls.join(" ") }).to_string())?;
    std::future::pending().await
}

/// `monitor.fleet_cpu_ratio`.
pub(super) async fn fleet(program: &Path, scratch: &Path, clock: &MonotonicClock) -> Result<Figure, BenchError> {
    let directory = scratch.join("fleet");
    let peers = Talker::start(program, &["bench", "--peer", "monitors", "--scratch", "monitors"], &directory).await?;
    let node = |(number, url)| format!("[[node]]\nname = \"node-{number}\"\nurl = \"{url}\"\n");
    let nodes: String = peers.said.split(' ').enumerate().map(node).collect();
    std::fs::write(directory.join("nodes.toml"), format!("every_s = {EVERY_S}\n{nodes}"))
        .map_err(BenchError::io(WHAT))?;
    let watcher = Talker::quiet(program, &["monitor", "fleet", "--targets", "nodes.toml"], &directory)?;
    let sampler = watcher.sampler()?;
    sleep(FIRST_ROUND).await;
    let used =
        || sampler.look().map(|usage| usage.cpu_seconds).ok_or_else(|| BenchError::subject(WHAT, "it has ended"));
    let (before, began_ns) = (used()?, clock.now_ns());
    sleep(COUNTED).await;
    let share = (used()? - before) / ((clock.now_ns() - began_ns) as f64 / 1e9);
    let mut figure = Figure::of_values("monitor.fleet_cpu_ratio", "cores", &[share], Hold::AtMost(0.01));
    figure
        .notes
        .push(format!("{MONITORS} monitors, each asked every {EVERY_S} s, counted over one round after the first"));
    Ok(figure)
}
