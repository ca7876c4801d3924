//! Promises of payment: `/peermark/pay/1`.
//!
//! Bitswap's bytes stay standard; price and promise travel beside it. A marketplace node announces a price per byte with a
//! random session number as soon as a peer connects. A paying peer answers with a signed promise of a cumulative amount, and
//! renews it before it is used up. The node serves a block only when a promise that it verified covers it. A peer that does not
//! speak this protocol, or does not promise, gets dont-have. What promises are worth in the end is settled elsewhere; here they
//! live as long as the connection.
//!
//! A promise is the protobuf message `Terms` with an ed25519 signature by the payer's node key over `"peermark/pay/1\0" ‖ terms`.
//! It names payer, payee, session and sequence, so that it is worth nothing to anybody else and nothing a second time.

mod link;
pub(crate) mod promise;

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::identity::Keypair;
use libp2p::{PeerId, StreamProtocol};
use parking_lot::RwLock;

use crate::bitswap::{Admission, Payments};
use crate::config::{Mode, NodeConfig};
use crate::wire;
use link::PayLink;

/// The protocol's name on the wire.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/peermark/pay/1");

/// What this node asks and what it is ready to give.
pub(crate) struct Terms {
    pub(crate) key: Keypair,
    /// Price per byte of a marketplace node.
    pub(crate) price_per_byte: Option<u64>,
    /// Most that is promised to one peer; 0 for a node that does not pay.
    pub(crate) pay_limit: u64,
}

/// The promises given and received, per connected peer.
pub(crate) struct Wallet {
    terms: Arc<Terms>,
    links: RwLock<HashMap<PeerId, Arc<PayLink>>>,
}

impl Wallet {
    pub(crate) fn new(config: &NodeConfig, key: Keypair) -> Self {
        let price_per_byte = (config.mode == Mode::Marketplace).then_some(config.price_per_byte);
        let pay_limit = if config.pay { config.pay_limit } else { 0 };
        Self { terms: Arc::new(Terms { key, price_per_byte, pay_limit }), links: RwLock::default() }
    }

    fn link(&self, peer: &PeerId) -> Option<Arc<PayLink>> {
        self.links.read().get(peer).cloned()
    }
}

impl Payments for Wallet {
    fn admit(&self, peer: PeerId, bytes: u64) -> BoxFuture<'_, Admission> {
        let Some(price) = self.terms.price_per_byte else { return std::future::ready(Admission::Free).boxed() };
        let Some(link) = self.link(&peer) else { return std::future::ready(Admission::Refused).boxed() };
        async move {
            let covered = link.charge(price.saturating_mul(bytes)).await;
            if covered { Admission::Paid } else { Admission::Refused }
        }
        .boxed()
    }

    fn received(&self, peer: PeerId, bytes: u64) {
        if let Some(link) = self.link(&peer) {
            link.received(bytes);
        }
    }
}

impl wire::Protocol for Wallet {
    type Link = PayLink;

    fn name(&self) -> StreamProtocol {
        PROTOCOL
    }

    fn connected(&self, peer: PeerId) -> Arc<PayLink> {
        let mut links = self.links.write();
        links.entry(peer).or_insert_with(|| Arc::new(PayLink::new(peer, self.terms.clone()))).clone()
    }

    fn disconnected(&self, peer: PeerId) {
        self.links.write().remove(&peer);
    }
}

#[cfg(test)]
mod tests;
