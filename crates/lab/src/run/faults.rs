//! Breaking nodes on a timeline, and looking whether it took.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::EventKind;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Show;
use super::network::RunningNetwork;
use crate::result::FaultResult;
use crate::scenario::{Fault, FaultAction};

/// How long a restarted node may take to answer.
const RESTART_PATIENCE: Duration = Duration::from_secs(20);

/// What was seen of the faults so far.
pub(super) type Injected = Arc<Mutex<Vec<FaultResult>>>;

/// Injects the faults of a scenario, each at its time since `begun`, and notes what was seen of each.
pub(super) async fn inject(
    mut faults: Vec<Fault>,
    network: Arc<Mutex<RunningNetwork>>,
    begun: Instant,
    show: Show,
    injected: Injected,
) {
    faults.sort_by_key(|fault| fault.at);
    for fault in faults {
        tokio::time::sleep_until(begun + fault.at.0).await;
        let at_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (verified, detail) = apply(&fault, &network, &show).await;
        let action = match fault.action {
            FaultAction::Kill => "kill",
            FaultAction::Restart => "restart",
        };
        injected.lock().await.push(FaultResult { action: action.into(), node: fault.node, at_ns, verified, detail });
    }
}

async fn apply(fault: &Fault, network: &Mutex<RunningNetwork>, show: &Show) -> (bool, String) {
    let mut network = network.lock().await;
    // What the node has counted so far would be lost with it.
    network.look().await;
    let state = |state: &str| EventKind::NodeState { node: fault.node, state: state.into(), detail: None };
    let status = match network.kill(fault.node).await {
        Ok(status) => status,
        Err(error) => return (false, format!("could not be killed: {error}")),
    };
    show(state("killed"));
    if network.answers(fault.node).await {
        return (false, format!("ended with {status}, yet its API still answers"));
    }
    if fault.action == FaultAction::Kill {
        return (true, format!("ended with {status}; its API refuses connections"));
    }
    let begun = Instant::now();
    match tokio::time::timeout(RESTART_PATIENCE, network.restart(fault.node)).await {
        Ok(Ok(())) => {
            show(state("restarted"));
            (true, format!("ended with {status}; answered again {} ms later", begun.elapsed().as_millis()))
        }
        Ok(Err(error)) => (false, format!("did not start again: {error}")),
        Err(_) => (false, format!("did not answer within {} s", RESTART_PATIENCE.as_secs())),
    }
}
