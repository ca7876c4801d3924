//! The transport: TCP with Noise and Yamux, and QUIC, with two things added.
//!
//! It notes when a TCP connection stood and when it was upgraded, because the swarm tells only that a dial succeeded; and it
//! refuses to dial outside the scope of the network, whoever asks: a lab never leaves its own machine, whatever addresses its peers
//! hand around.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::connection::ConnectedPoint;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, OrTransport, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport, dns, noise, quic, tcp, yamux};
use parking_lot::Mutex;
use peermark_core::{Clock, MonotonicNs};

use super::HostError;

/// Dials whose moments are kept at once. Beyond it a dial has no split into connection and handshake, but works.
const MAX_DIALS: usize = 4096;

/// Longest time from a dial, or from an incoming connection, to an upgraded connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a host may connect to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Loopback addresses only: labs and tests.
    #[default]
    Loopback,
    /// Anywhere.
    Anywhere,
}

impl Scope {
    /// Whether an address may be dialled. On loopback its shape has to be plain: transports read an address from its end, so what
    /// stands in front of a second host would hide it.
    pub fn allows(self, address: &Multiaddr) -> bool {
        if self == Self::Anywhere {
            return true;
        }
        let mut parts = address.iter().filter(|part| !matches!(part, Protocol::P2p(_)));
        let ip: IpAddr = match parts.next() {
            Some(Protocol::Ip4(ip)) => ip.into(),
            Some(Protocol::Ip6(ip)) => ip.into(),
            _ => return false,
        };
        let known = match parts.next() {
            Some(Protocol::Tcp(_)) => true,
            Some(Protocol::Udp(_)) => parts.next() == Some(Protocol::QuicV1),
            _ => false,
        };
        known && parts.next().is_none() && ip.is_loopback()
    }
}

/// The moments of one dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moments {
    /// The TCP connection stood.
    pub(super) connected_ns: MonotonicNs,
    /// Encryption, authentication and multiplexing were agreed.
    pub(super) upgraded_ns: MonotonicNs,
}

/// Moments of the dials that are under way, or that nobody asked about yet.
#[derive(Default)]
pub(super) struct DialTimes {
    connected: Mutex<HashMap<Multiaddr, MonotonicNs>>,
    upgraded: Mutex<HashMap<PeerId, Moments>>,
}

impl DialTimes {
    fn connected(&self, endpoint: &ConnectedPoint, now_ns: MonotonicNs) {
        let ConnectedPoint::Dialer { address, .. } = endpoint else { return };
        let mut connected = self.connected.lock();
        if connected.len() >= MAX_DIALS {
            connected.clear();
        }
        connected.insert(without_peer(address), now_ns);
    }

    fn upgraded(&self, peer: PeerId, endpoint: &ConnectedPoint, upgraded_ns: MonotonicNs) {
        let ConnectedPoint::Dialer { address, .. } = endpoint else { return };
        let Some(connected_ns) = self.connected.lock().remove(&without_peer(address)) else { return };
        let mut upgraded = self.upgraded.lock();
        if upgraded.len() >= MAX_DIALS {
            upgraded.clear();
        }
        upgraded.insert(peer, Moments { connected_ns, upgraded_ns });
    }

    /// The moments of the last dial to a peer; asked once per connection.
    pub(super) fn take(&self, peer: &PeerId) -> Option<Moments> {
        self.upgraded.lock().remove(peer)
    }
}

/// An address without the peer id at its end.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

/// The transport of a host.
pub(super) fn build(
    key: &Keypair,
    scope: Scope,
    times: &Arc<DialTimes>,
    clock: &Arc<dyn Clock>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, HostError> {
    let unusable = |error: io::Error| HostError::Transport { source: error };
    let (at_connect, at_upgrade) = (Arc::clone(times), Arc::clone(times));
    let (connect_clock, upgrade_clock) = (Arc::clone(clock), Arc::clone(clock));
    let noise = noise::Config::new(key).map_err(|error| unusable(io::Error::other(error)))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |stream, endpoint| {
            at_connect.connected(&endpoint, connect_clock.now_ns());
            stream
        })
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .map(move |(peer, muxer), endpoint| {
            at_upgrade.upgraded(peer, &endpoint, upgrade_clock.now_ns());
            (peer, StreamMuxerBox::new(muxer))
        });
    let quic =
        quic::tokio::Transport::new(quic::Config::new(key)).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = OrTransport::new(quic, tcp).map(|either, _| either.into_inner());
    let scoped = Scoped { inner: TransportTimeout::new(both, CONNECT_TIMEOUT), scope };
    let named = dns::tokio::Transport::system(scoped).map_err(unusable)?;
    // Outside of the names too: a lab asks no name server.
    Ok(Scoped { inner: named, scope }.boxed())
}

/// A transport that dials within a scope only.
struct Scoped<T> {
    inner: T,
    scope: Scope,
}

impl<T: Transport + Unpin> Transport for Scoped<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        if !self.scope.allows(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_dials_loopback_only() {
        for (address, loopback) in [
            ("/ip4/127.0.0.1/tcp/1", true),
            ("/ip6/::1/udp/1/quic-v1", true),
            ("/ip4/10.0.0.1/tcp/1", false),
            ("/ip4/8.8.8.8/udp/1/quic-v1", false),
            ("/dns4/localhost/tcp/1", false),
            ("/ip4/127.0.0.1/ip4/8.8.8.8/tcp/443", false),
            ("/ip4/127.0.0.1/dns4/example.com/tcp/1", false),
            ("/ip4/127.0.0.1/tcp/1/ip4/8.8.8.8/tcp/443", false),
            ("/ip4/127.0.0.1", false),
        ] {
            let address: Multiaddr = address.parse().unwrap();
            assert_eq!(Scope::Loopback.allows(&address), loopback, "{address}");
            assert!(Scope::Anywhere.allows(&address));
        }
    }
}
