//! Nodes of other programs, started by a command template and ready when their API answers.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use peermark_node::client::{ClientOptions, NodeClient};
use tokio::process::Command;
use tokio::time::Instant;

use super::plan::NodePlan;
use super::process::{NodeProcess, Started};
use super::spawn::{Launcher, START_PATIENCE};
use super::{LaunchError, LiveNode};
use crate::scenario::Foreign;

/// Pause between two questions whether a foreign node answers.
const POLL: Duration = Duration::from_millis(100);

/// Starts a foreign node under a guard and waits until its API answers.
pub(super) async fn start(
    launcher: &Launcher,
    template: &Foreign,
    plan: &NodePlan,
) -> Result<(NodeProcess, LiveNode), LaunchError> {
    let port = |source| LaunchError::Port { node: plan.index, source };
    let api_port = plan.api_port.map_or_else(free_port, Ok).map_err(port)?;
    let listen_port = free_port().map_err(port)?;
    let bootstrap = launcher.bootstrap.first().cloned().unwrap_or_default();
    let fill = |part: &String| {
        part.replace("{api_port}", &api_port.to_string())
            .replace("{listen_port}", &listen_port.to_string())
            .replace("{data}", &plan.data.display().to_string())
            .replace("{bootstrap}", &bootstrap)
    };
    let filled: Vec<String> = template.command.iter().map(fill).collect();
    let mut command = match launcher.lease {
        Started::Leased => {
            let mut command = Command::new(&launcher.program);
            command.args(["lab", "guard", "--"]).args(&filled);
            command
        }
        // Nobody is to end it, so nobody guards it.
        Started::Detached => {
            let mut command = Command::new(&filled[0]);
            command.args(&filled[1..]);
            command
        }
    };
    command.current_dir(plan.data.parent().unwrap_or(&plan.data));
    let mut process = NodeProcess::start(plan.index, command, &plan.log, launcher.lease, false)?;
    launcher.limit(&mut process, plan.index)?;
    let url = format!("http://127.0.0.1:{api_port}");
    let until = Instant::now() + START_PATIENCE;
    let found = loop {
        if process.ended().is_some() {
            return Err(launcher.ended(&mut process, plan.index, &plan.log).await);
        }
        let options = ClientOptions { timeout: Duration::from_secs(2), ..launcher.client };
        match NodeClient::connect(&url, options).await {
            Ok(client) => break client,
            Err(_) if Instant::now() < until => tokio::time::sleep(POLL).await,
            Err(_) => {
                let seconds = START_PATIENCE.as_secs();
                return Err(LaunchError::Silent { node: plan.index, seconds, log: plan.log.clone() });
            }
        }
    };
    let api = format!("{url}{}", found.base_path());
    let info = found.debug_info().await.ok();
    let peer_id = found.peer_id().await.ok();
    let live = LiveNode {
        index: plan.index,
        kind: plan.kind.clone(),
        client: launcher.client(plan.index, &api)?,
        api,
        addresses: info.map(|info| info.addrs).unwrap_or_default(),
        peer_id,
        pid: only_child(process.pid()).unwrap_or(process.pid()),
        data: plan.data.clone(),
        log: plan.log.clone(),
    };
    Ok((process, live))
}

/// The program that a guard runs: its first child.
fn only_child(guard: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// A port that is free at this moment.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
