//! The rows of parsec's tables, and which of them are read.

use std::net::Ipv4Addr;

/// Highest port that parsec's schema can hold (`SMALLINT`).
pub const MAX_PORT: u16 = 32_767;

/// Oldest heartbeat of a server that still counts as alive, in milliseconds: parsec's two minutes.
pub const HEARTBEAT_WINDOW_MS: u64 = 120_000;

/// A row of `schedulers_ecs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchedulerId(pub i32);

/// A row of `nodes_ecs`: one start of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

/// A server that has started.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNode {
    /// CPUs.
    pub cpu: i32,
    /// Megabytes of memory.
    pub memory: i32,
    /// Peer id in base58.
    pub peer_id: String,
    /// Region; may be empty.
    pub region: String,
    /// Its command line, without secrets.
    pub cmd: String,
    /// Fleet.
    pub fleet: String,
    /// What it is made of, any JSON.
    pub dependencies: serde_json::Value,
    /// Where schedulers reach its HTTP interface.
    pub ip_address: Ipv4Addr,
    /// Port of the HTTP interface, at most [`MAX_PORT`].
    pub server_port: u16,
    /// Port of the libp2p host, at most [`MAX_PORT`].
    pub peer_port: u16,
}

/// A server that takes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveNode {
    /// Its row.
    pub id: NodeId,
    /// Peer id in base58.
    pub peer_id: String,
    /// Region.
    pub region: String,
    /// Fleet.
    pub fleet: String,
    /// Where its HTTP interface is reached.
    pub ip_address: Ipv4Addr,
    /// Port of its HTTP interface.
    pub server_port: u16,
}

/// A server that started or was heard of lately, whether or not it takes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenNode {
    /// Its row.
    pub node: LiveNode,
    /// Its newest heartbeat, by its own clock; `None` before the first.
    pub last_heartbeat_ms: Option<u64>,
    /// Since when it counts as offline.
    pub offline_since_ms: Option<u64>,
}

/// A row of `provides_ecs` or `retrievals_ecs`.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementRow {
    /// Who answered.
    pub node: NodeId,
    /// Size of its routing table.
    pub rt_size: i32,
    /// How long it took, in nanoseconds; stored as seconds.
    pub duration_ns: u64,
    /// The CID that the server returned.
    pub cid: String,
    /// Why it failed; `None` when it succeeded. An empty text is stored as `None`.
    pub error: Option<String>,
    /// The step; kept for provides only.
    pub step: String,
    /// When the scheduler had the answer, wall clock.
    pub created_ms: u64,
}

/// What one round of a scheduler brought. Written as a whole or not at all, and once however often it is tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundRows {
    /// Unique for each round of a scheduler: whoever writes the same again writes nothing.
    pub batch: String,
    /// Rows of `provides_ecs`.
    pub provides: Vec<MeasurementRow>,
    /// Rows of `retrievals_ecs`.
    pub retrievals: Vec<MeasurementRow>,
    /// Servers that failed their call, with the moment.
    pub offline: Vec<(NodeId, u64)>,
}

/// What became of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundWritten {
    /// Whether it was written by this call; an earlier one had arrived otherwise.
    pub now: bool,
    /// Measurements that were left out, because the row of their server is gone.
    pub orphans: u64,
}

/// A measurement with what its node's row says.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Whether a provide or a retrieve.
    pub provide: bool,
    /// Which scheduler asked.
    pub scheduler: SchedulerId,
    /// The row itself.
    pub row: MeasurementRow,
    /// Region of the node.
    pub region: String,
    /// Fleet of the node.
    pub fleet: String,
    /// Its place in the order of time: the `after` of the next page's filter.
    pub cursor: Cursor,
}

/// Which measurements or traces are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasuredFilter {
    /// Fleets; all where empty.
    pub fleets: Vec<String>,
    /// From this moment on, wall clock.
    pub from_ms: u64,
    /// Up to this moment, not included; `u64::MAX` for no end.
    pub until_ms: u64,
    /// Only what comes after this place; `None` for the first page.
    pub after: Option<Cursor>,
}

/// A place in the order of time, of rows in one database: the moment, then the table, then the row's id. A page that begins after
/// the last row of the one before it misses no row and repeats none, also where many rows have the same moment.
///
/// Microseconds, since that is what PostgreSQL keeps and other programs write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) at_us: i64,
    pub(super) table: i32,
    pub(super) id: i64,
}

impl Cursor {
    /// Before every row.
    pub(super) const START: Self = Self { at_us: -1, table: 0, id: 0 };
    /// `table` of provides, and of operations; that of retrievals is 1.
    pub(super) const PROVIDES: i32 = 0;
}
