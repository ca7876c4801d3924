//! One dial at one address of a running node.

use std::net::TcpListener;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use peermark_core::Clock;
use peermark_node::dial::{DialError, dial};
use tokio::time::Instant;

use crate::fleet::Net;

const PATIENCE: Duration = Duration::from_secs(10);

struct Real(Instant);

impl Clock for Real {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }

    fn wall_ms(&self) -> u64 {
        unreachable!("a dial has no wall time")
    }
}

#[tokio::test]
async fn a_node_is_reached_over_tcp_and_quic_and_proves_who_it_is() {
    let node = Net::new().start().await;
    let clock = Real(Instant::now());
    let addresses = node.node.addresses();
    assert_eq!(addresses.len(), 2, "TCP and QUIC: {addresses:?}");
    for address in addresses {
        let before = clock.now_ns();
        let reached = dial(&clock, node.id(), &address, PATIENCE).await.unwrap();
        assert!(reached.handshake_ns > 0 && reached.handshake_ns < clock.now_ns() - before, "{reached:?}");
        let named = address.clone().with(Protocol::P2p(node.id()));
        dial(&clock, node.id(), &named, PATIENCE).await.unwrap();
        let other = PeerId::random();
        let wrong = dial(&clock, other, &address, PATIENCE).await;
        assert_eq!(wrong, Err(DialError::WrongPeer { found: node.id() }), "{address}");
        assert!(matches!(dial(&clock, other, &named, PATIENCE).await, Err(DialError::Unsupported { .. })));
    }
}

#[tokio::test]
async fn who_is_absent_or_silent_is_not_reached_in_bounded_time() {
    let clock = Real(Instant::now());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let patience = Duration::from_millis(300);
    // Bound but never accepted: the system completes the connection and nobody speaks on it.
    let silent = dial(&clock, PeerId::random(), &address, patience).await;
    assert_eq!(silent, Err(DialError::TimedOut { after: patience }));
    drop(listener);
    let Err(DialError::Failed { reason }) = dial(&clock, PeerId::random(), &address, PATIENCE).await else {
        panic!("nobody listens there")
    };
    assert!(reason.contains("refused"), "{reason}");
    let named: Multiaddr = "/dns4/localhost/tcp/1".parse().unwrap();
    assert!(matches!(dial(&clock, PeerId::random(), &named, PATIENCE).await, Err(DialError::Unsupported { .. })));
}
