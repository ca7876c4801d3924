//! One operation of a lookup engine with every hop, as it is stored.

/// Most operations that one call writes or reads.
pub const MAX_TRACES: usize = 1_000;

/// Most hops that one call writes or reads.
pub const MAX_BATCH_HOPS: usize = 200_000;

/// Most hops of one operation.
pub const MAX_HOPS: usize = 10_000;

/// One operation with its hops, as a table keeps it. Texts are the `as_str` names of the DHT crate's types; times are nanoseconds since `started_ns` of the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Peer id of the measuring node.
    pub observer: String,
    /// Wall clock at its start.
    pub started_wall_ms: u64,
    /// `dht.provide` or `dht.retrieve`.
    pub kind: String,
    /// `default`, `optprov` or `fullrt`.
    pub variant: String,
    /// Fleet of the measuring node.
    pub fleet: String,
    /// Region of the measuring node.
    pub region: String,
    /// What it was about: bytes of the multihash, at most 128.
    pub key: Vec<u8>,
    /// Until the call returned.
    pub duration_ns: u64,
    /// Until the last confirmed record was seen to be stored.
    pub stored_ns: Option<u64>,
    /// Peers that were seen to have stored the record.
    pub stored: u16,
    /// `local`, `remote`, `miss` or `failed`.
    pub hit: String,
    /// Empty when it succeeded. Cut at 1,024 bytes.
    pub error: String,
    /// Peers in the routing table.
    pub rt_size: u32,
    /// The observation that the operation is, in the same database: its series and number there. `None` where the database holds no
    /// observations of it.
    pub observation: Option<(i64, u64)>,
    /// Every RPC, at most [`MAX_HOPS`].
    pub hops: Vec<TraceHop>,
}

/// One RPC of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHop {
    /// Who was asked, base58.
    pub peer: String,
    /// `find_node`, `get_providers`, `add_provider` or `confirm`.
    pub rpc: String,
    /// Leading bits in common with the target.
    pub common_bits: u16,
    /// Number of the hop that told of the peer, below [`MAX_HOPS`].
    pub parent: Option<u32>,
    /// When the lookup decided to ask.
    pub queued_ns: u64,
    /// Transport connection.
    pub dial_ns: u64,
    /// Encryption, authentication, multiplexing.
    pub handshake_ns: u64,
    /// When the request began to be written.
    pub sent_ns: u64,
    /// When the answer was complete.
    pub ended_ns: u64,
    /// Peers that were new to the lookup.
    pub learnt: u16,
    /// Providers in the answer.
    pub providers: u16,
    /// Name of the failure class; `None` when it succeeded.
    pub failure: Option<String>,
    /// Whether the result would have been the same without it.
    pub wasted: bool,
    /// Whether the end had to wait for it.
    pub critical: bool,
    /// Least round-trip time to the peer.
    pub rtt_ns: Option<u64>,
}
