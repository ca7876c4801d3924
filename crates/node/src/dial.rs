//! One dial at one address, for whoever wants to know whether a peer can be reached there: no exchange, no DHT, nothing kept.
//!
//! The connection is opened as every libp2p connection is (TCP with Noise and Yamux, or QUIC), so that the peer proves its id by
//! its key, and closed as soon as it did. Names are not resolved: only addresses that begin with an IP are dialled, so that who
//! asks for a dial cannot send it elsewhere by a name server of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{self, SwarmEvent, dummy};
use libp2p::{Multiaddr, PeerId, SwarmBuilder, noise, tcp, yamux};
use peermark_core::Clock;

/// A peer that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// From the first packet to the proof of the peer's id and an open multiplexer, ns.
    pub handshake_ns: u64,
}

/// Why a peer was not reached at an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// It is not `/ip4|ip6/<ip>/tcp/<port>` or `/ip4|ip6/<ip>/udp/<port>/quic-v1`, perhaps with `/p2p/<peer>` of the peer meant.
    #[error("{address} cannot be dialled: only /ip4|ip6/IP/tcp/PORT and /ip4|ip6/IP/udp/PORT/quic-v1 are")]
    Unsupported {
        /// The address.
        address: Multiaddr,
    },
    /// Somebody else answers there.
    #[error("peer {found} answers there")]
    WrongPeer {
        /// Who.
        found: PeerId,
    },
    /// Nothing or nobody answered in time.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// This machine has no way to such addresses: it has no IPv6, or no route.
    #[error("this machine has no way there: {reason}")]
    NoRoute {
        /// What the system said.
        reason: String,
    },
    /// The transport failed.
    #[error("{reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC version 1.
    Quic,
}

impl Transport {
    /// The name under which it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}

/// What an address leads to; `None` where [`dial`] does not support it. A `/p2p/` at its end is skipped.
pub fn destination(address: &Multiaddr) -> Option<(IpAddr, u16, Transport)> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let (port, transport) = match parts.next()? {
        Protocol::Tcp(port) => (port, Transport::Tcp),
        Protocol::Udp(port) => (matches!(parts.next()?, Protocol::QuicV1).then_some(port)?, Transport::Quic),
        _ => return None,
    };
    let rest_is_peer = match parts.next() {
        None => true,
        Some(Protocol::P2p(_)) => parts.next().is_none(),
        Some(_) => false,
    };
    (port != 0 && rest_is_peer).then_some((ip, port, transport))
}

/// Dials `peer` at `address` with a key made for this dial, and hangs up.
///
/// # Errors
/// [`DialError`] says why the peer was not reached there.
pub async fn dial(
    clock: &dyn Clock,
    peer: PeerId,
    address: &Multiaddr,
    timeout: Duration,
) -> Result<Reached, DialError> {
    let unsupported = || DialError::Unsupported { address: address.clone() };
    let (ip, port, _) = destination(address).ok_or_else(unsupported)?;
    let bare: Multiaddr = address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
    if address.iter().any(|part| matches!(part, Protocol::P2p(named) if named != peer)) {
        return Err(unsupported());
    }
    way_to(SocketAddr::new(ip, port)).map_err(|error| DialError::NoRoute { reason: error.to_string() })?;
    let failed = |error: &dyn std::fmt::Display| DialError::Failed { reason: error.to_string() };
    let mut swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| failed(&error))?
        .with_quic()
        .with_behaviour(|_| dummy::Behaviour)
        .map_err(|error| failed(&error))?
        .build();
    let started_ns = clock.now_ns();
    let options = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![bare]).build();
    swarm.dial(options).map_err(|error| explain(&error))?;
    let outcome = tokio::time::timeout(timeout, async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => {
                    return Ok(Reached { handshake_ns: clock.now_ns().saturating_sub(started_ns) });
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(explain(&error)),
                _ => {}
            }
        }
    });
    outcome.await.unwrap_or(Err(DialError::TimedOut { after: timeout }))
}

fn explain(error: &swarm::DialError) -> DialError {
    match error {
        swarm::DialError::WrongPeerId { obtained, .. } => DialError::WrongPeer { found: *obtained },
        swarm::DialError::Transport(tried) => {
            let reasons: Vec<String> = tried.iter().map(|(_, error)| innermost(error)).collect();
            let reason = reasons.join("; ");
            let no_route = !tried.is_empty() && tried.iter().all(|(_, error)| has_no_route(error));
            if no_route { DialError::NoRoute { reason } } else { DialError::Failed { reason } }
        }
        other => DialError::Failed { reason: other.to_string() },
    }
}

/// Asks the system for a way to `address`, without a packet: the transports do not all tell that there is none.
fn way_to(address: SocketAddr) -> io::Result<()> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let asked = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| socket.connect(address));
    match asked {
        // A host that cannot be reached is found out here by this machine's own table of routes, without asking anybody.
        Err(error) if is_no_route(&error) || error.kind() == io::ErrorKind::HostUnreachable => Err(error),
        // Whatever else is amiss, the dial says it better.
        _ => Ok(()),
    }
}

/// `HostUnreachable` is not among them: on the way it is what many firewalls say for the host.
fn is_no_route(error: &io::Error) -> bool {
    /// `EAFNOSUPPORT`: a kernel without IPv6.
    const NO_SUCH_FAMILY: i32 = 97;
    matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable)
        || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Looks through what the transports wrap around the system's word. A wrapping `io::Error` leaves out the next one as its source.
fn has_no_route(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(is_no_route) {
            return true;
        }
        next = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// The transport wraps what the system said several times: the innermost error says why.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_with_an_ip_is_dialled() {
        let read = |text: &str| destination(&text.parse().unwrap());
        assert_eq!(read("/ip4/10.0.0.1/tcp/4001"), Some(([10, 0, 0, 1].into(), 4001, Transport::Tcp)));
        let quic = read("/ip6/::1/udp/9/quic-v1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA");
        assert_eq!(quic, Some(("::1".parse().unwrap(), 9, Transport::Quic)));
        for text in ["/dns4/localhost/tcp/1", "/ip4/10.0.0.1/udp/1", "/ip4/10.0.0.1/tcp/0", "/ip4/10.0.0.1/tcp/1/ws"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_machine_without_a_way_is_told_from_a_peer_that_is_away() {
        let wrapped = |kind| {
            let error: Box<dyn std::error::Error + Send + Sync> = io::Error::other(io::Error::from(kind)).into();
            has_no_route(&*error)
        };
        assert!(wrapped(io::ErrorKind::NetworkUnreachable) && wrapped(io::ErrorKind::AddrNotAvailable));
        assert!(!wrapped(io::ErrorKind::ConnectionRefused) && !wrapped(io::ErrorKind::HostUnreachable));
        way_to("127.0.0.1:9".parse().unwrap()).unwrap();
    }
}
