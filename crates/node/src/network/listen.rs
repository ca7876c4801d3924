//! Listening, the same for every libp2p host of the product.

use std::io;
use std::net::{IpAddr, TcpListener};

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm};

/// An address that cannot be listened on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct ListenFailed {
    /// Which.
    pub address: String,
    /// What the transport said.
    pub reason: String,
}

/// Binds all addresses, waits until each is bound, and announces them. Returns them with the ports that were taken.
///
/// # Errors
/// [`ListenFailed`] for the first that fails.
pub async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    wanted: &[Multiaddr],
) -> Result<Vec<Multiaddr>, ListenFailed> {
    let mut bound = Vec::with_capacity(wanted.len());
    for address in wanted {
        let failed = |reason: String| ListenFailed { address: address.to_string(), reason };
        check_free(address).map_err(|error| failed(error.to_string()))?;
        let listener = swarm.listen_on(address.clone()).map_err(|error| failed(error.to_string()))?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                    swarm.add_external_address(address.clone());
                    bound.push(address);
                    break;
                }
                SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                    return Err(failed(reason.err().map_or("closed".into(), |error| error.to_string())));
                }
                SwarmEvent::ListenerError { listener_id, error } if listener_id == listener => {
                    return Err(failed(error.to_string()));
                }
                _ => {}
            }
        }
    }
    Ok(bound)
}

/// The transport shares a TCP port with whoever is ready to share it: two nodes on one port would split their peers' connections.
fn check_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}
