//! One echo request and its reply (RFC 792, RFC 4443 §4.1).
//!
//! By a datagram socket where the system lets everybody ping (`net.ipv4.ping_group_range`), else by a raw one, which takes
//! `CAP_NET_RAW`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use peermark_core::Clock;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use thiserror::Error;
use tokio::net::UdpSocket;

/// Marks a request, so that its reply is told from those to others: random.
pub type Mark = [u8; 16];

const HEADER_BYTES: usize = 8;

/// Why there is no round trip.
#[derive(Debug, Error)]
pub enum PingError {
    /// The system lets this user open neither kind of socket.
    #[error("not permitted to ping: needs CAP_NET_RAW or a group in net.ipv4.ping_group_range")]
    NotPermitted,
    /// No reply came.
    #[error("no reply within {after:?}")]
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The system could not send or receive.
    #[error("ping")]
    Io(#[from] io::Error),
}

/// Sends one echo request to `ip` and returns the round trip, ns.
///
/// # Errors
/// [`PingError`].
pub async fn ping(clock: &dyn Clock, ip: IpAddr, mark: &Mark, timeout: Duration) -> Result<u64, PingError> {
    let (socket, raw) = open(ip)?;
    connect(&socket, &SocketAddr::new(ip, 0)).map_err(io::Error::from)?;
    // A datagram socket like any other, whatever its protocol: what is sent and received on it are whole packets.
    let socket = UdpSocket::from_std(socket.into())?;
    let request = request(ip, mark);
    let started_ns = clock.now_ns();
    let exchange = async {
        socket.send(&request).await?;
        let mut buffer = [0; 1500];
        loop {
            let received = socket.recv(&mut buffer).await?;
            if is_reply(ip, raw, &buffer[..received], mark) {
                return Ok(clock.now_ns().saturating_sub(started_ns));
            }
        }
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(PingError::TimedOut { after: timeout }))
}

fn open(ip: IpAddr) -> Result<(OwnedFd, bool), PingError> {
    let (family, protocol) = match ip {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    for (kind, raw) in [(SocketType::DGRAM, false), (SocketType::RAW, true)] {
        match socket_with(family, kind, flags, Some(protocol)) {
            Ok(socket) => return Ok((socket, raw)),
            Err(Errno::ACCESS | Errno::PERM) => {}
            Err(error) => return Err(PingError::Io(error.into())),
        }
    }
    Err(PingError::NotPermitted)
}

fn request(ip: IpAddr, mark: &Mark) -> Vec<u8> {
    const ECHO_REQUEST_V4: u8 = 8;
    const ECHO_REQUEST_V6: u8 = 128;
    let mut packet = vec![0; HEADER_BYTES];
    packet[0] = if ip.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
    // Identifier and sequence: where the kernel takes care of the identifier, it replaces ours.
    packet[4..8].copy_from_slice(&mark[..4]);
    packet.extend_from_slice(mark);
    if ip.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn is_reply(ip: IpAddr, raw: bool, packet: &[u8], mark: &Mark) -> bool {
    const ECHO_REPLY_V4: u8 = 0;
    const ECHO_REPLY_V6: u8 = 129;
    // Raw IPv4 sockets hand over the IP header too; its length is in the low half of the first byte, in words.
    let header = if raw && ip.is_ipv4() { packet.first().map_or(0, |first| usize::from(first & 15) * 4) } else { 0 };
    let expected = if ip.is_ipv4() { ECHO_REPLY_V4 } else { ECHO_REPLY_V6 };
    packet.get(header..).is_some_and(|icmp| icmp.first() == Some(&expected) && icmp.get(HEADER_BYTES..) == Some(mark))
}

/// RFC 1071. The length is even.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_this_request_counts() {
        let ip: IpAddr = "127.0.0.1".parse().unwrap();
        let mark = [7; 16];
        let request = request(ip, &mark);
        assert_eq!(checksum(&request), 0, "a packet with its checksum sums up to nothing");
        assert!(!is_reply(ip, false, &request, &mark), "the request itself, which raw sockets on loopback see");
        let mut reply = request.clone();
        reply[0] = 0;
        assert!(is_reply(ip, false, &reply, &mark) && !is_reply(ip, false, &reply, &[8; 16]));
        let mut raw = vec![0x45; 20];
        raw.extend(&reply);
        assert!(
            is_reply(ip, true, &raw, &mark)
                && !is_reply(ip, true, &raw[..21], &mark)
                && !is_reply(ip, true, &[], &mark)
        );
    }
}
