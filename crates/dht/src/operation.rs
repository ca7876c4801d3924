//! What one provide or retrieve was, with every RPC that it took.

mod json;

use libp2p::PeerId;
use peermark_core::{MonotonicNs, Outcome};

use crate::key::RecordKey;

pub use json::trace;

/// Which of parsec's implementations is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Classic: finds the closest peers, then waits for every ADD_PROVIDER.
    #[default]
    Default,
    /// Optimistic provide: estimates the size of the network, stores while it looks, and returns early.
    OptProv,
    /// Full routing table: crawls the network and answers in one hop.
    FullRt,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Publish a provider record.
    Provide,
    /// Look up the first provider of a record.
    Retrieve,
}

/// Where the answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hit {
    /// From the measuring node's own store: nothing was asked of the network.
    Local,
    /// From a peer.
    Remote,
    /// Every peer that mattered was asked and none knew a provider.
    Miss,
    /// The operation failed before that could be said. Of a provide: no record was stored.
    Failed,
}

/// One kind of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rpc {
    /// FIND_NODE.
    FindNode,
    /// GET_PROVIDERS.
    GetProviders,
    /// ADD_PROVIDER, which the protocol does not answer.
    AddProvider,
    /// GET_PROVIDERS to a peer that was sent a record, to see that it has stored it.
    Confirm,
}

/// One RPC of an operation. Times are on the measuring node's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who was asked.
    pub peer: PeerId,
    /// What for.
    pub rpc: Rpc,
    /// Leading bits that the peer's point has in common with the target's.
    pub common_bits: u16,
    /// Number of the hop that told of this peer; `None` where it was known before.
    pub parent: Option<u32>,
    /// When the lookup decided to ask.
    pub queued_ns: MonotonicNs,
    /// How long the transport's connection took; 0 where there was one already, or where the transport does both in one (QUIC).
    pub dial_ns: u64,
    /// How long encryption, authentication and multiplexing took; 0 where there was a connection already.
    pub handshake_ns: u64,
    /// When the request began to be written; the time of the failure where it came to nothing before.
    pub sent_ns: MonotonicNs,
    /// When the answer was complete (of ADD_PROVIDER: when the request was written), or the time of the failure.
    pub ended_ns: MonotonicNs,
    /// Peers that the answer told of and that the lookup did not know yet.
    pub learnt: u16,
    /// Providers in the answer.
    pub providers: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the operation's result would have been the same without it.
    pub wasted: bool,
    /// Whether the operation's end had to wait for it.
    pub critical: bool,
    /// Least round-trip time to the peer that was seen, on the same connection; `None` where none was measured.
    pub rtt_ns: Option<u64>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was asked for.
    pub kind: OperationKind,
    /// How.
    pub variant: Variant,
    /// What it was about.
    pub key: RecordKey,
    /// When it began.
    pub started_ns: MonotonicNs,
    /// When the call returned in the sense of the variant: parsec's scalar ends here.
    pub returned_ns: MonotonicNs,
    /// Of a provide: when the last of the records that were confirmed was seen to be stored; `None` where none was.
    pub stored_ns: Option<MonotonicNs>,
    /// Of a provide: peers that were seen to have stored the record.
    pub stored: u16,
    /// Of a retrieve: who provides the content, first come first.
    pub providers: Vec<PeerId>,
    /// Where the answer came from.
    pub hit: Hit,
    /// How it ended; a miss is [`peermark_core::FailureClass::NotFound`].
    pub outcome: Outcome,
    /// The conventional words of the failure, as parsec's servers say them; empty when it succeeded.
    pub error: String,
    /// Peers in the routing table when it ended.
    pub table_len: u32,
    /// Every RPC, in the order in which they were decided.
    pub hops: Vec<Hop>,
}

impl Operation {
    /// From begin to return: what parsec stores.
    pub fn duration_ns(&self) -> u64 {
        self.returned_ns.saturating_sub(self.started_ns)
    }
}

impl Operation {
    /// How many times as long as the round trips of its critical hops it took: 1 would be a lookup that waits for nothing but
    /// light. `None` without critical hops, or where a round trip was not measured. ADD_PROVIDER waits for none: it is written and
    /// done.
    pub fn rtt_multiple(&self) -> Option<f64> {
        let critical = self.hops.iter().filter(|hop| hop.critical && hop.rpc != Rpc::AddProvider);
        let floor_ns = critical.map(|hop| hop.rtt_ns).sum::<Option<u64>>().filter(|floor_ns| *floor_ns > 0)?;
        Some(self.duration_ns() as f64 / floor_ns as f64)
    }
}

impl Variant {
    /// The name of the fleet that parsec's deployments give it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::OptProv => "optprov",
            Self::FullRt => "fullrt",
        }
    }
}

impl OperationKind {
    /// Kind of the series.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provide => "dht.provide",
            Self::Retrieve => "dht.retrieve",
        }
    }
}

impl Hit {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Miss => "miss",
            Self::Failed => "failed",
        }
    }
}

impl Rpc {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FindNode => "find_node",
            Self::GetProviders => "get_providers",
            Self::AddProvider => "add_provider",
            Self::Confirm => "confirm",
        }
    }
}
