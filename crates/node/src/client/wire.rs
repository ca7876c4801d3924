//! What the REST API says, as far as a client reads it. Members that some nodes leave out are optional; unknown ones are skipped.

use serde::{Deserialize, Serialize};

use super::RequestBody;

/// Content to upload.
#[derive(Debug)]
pub struct Upload {
    /// The bytes.
    pub body: RequestBody,
    /// Type of the content, such as `application/octet-stream`; the node's default where absent.
    pub content_type: Option<String>,
    /// File name that the node keeps in the manifest.
    pub filename: Option<String>,
}

impl Upload {
    /// Content without type and name.
    pub fn new(body: RequestBody) -> Self {
        Self { body, content_type: None, filename: None }
    }
}

/// A content stream that was received to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of content.
    pub bytes: u64,
    /// Announced type of the content.
    pub content_type: Option<String>,
}

/// One dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataItem {
    /// The CID under which it is fetched.
    pub cid: String,
    /// What the node knows about it.
    pub manifest: Option<Manifest>,
}

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manifest {
    /// CID of the tree over the blocks.
    #[serde(alias = "rootHash")]
    pub tree_cid: Option<String>,
    /// Bytes of content.
    pub dataset_size: Option<u64>,
    /// Bytes per block.
    pub block_size: Option<u64>,
    /// File name given at upload.
    pub filename: Option<String>,
    /// Type given at upload.
    pub mimetype: Option<String>,
}

/// The datasets of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataList {
    /// One entry per dataset.
    pub content: Vec<DataItem>,
}

/// How much a node stores and may store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// Blocks stored.
    pub total_blocks: u64,
    /// Bytes that it may store.
    pub quota_max_bytes: u64,
    /// Bytes that it stores.
    pub quota_used_bytes: u64,
    /// Bytes that it has promised.
    pub quota_reserved_bytes: u64,
}

/// A node about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugInfo {
    /// Peer id.
    pub id: String,
    /// Multiaddresses that it listens on.
    #[serde(default)]
    pub addrs: Vec<String>,
    /// Directory of its data.
    pub repo: Option<String>,
    /// Its signed peer record.
    pub spr: Option<String>,
    /// Addresses that it announces.
    #[serde(default)]
    pub announce_addresses: Vec<String>,
    /// Its routing table.
    #[serde(default)]
    pub table: RoutingTable,
    /// Version of the software, under the name of the network.
    #[serde(alias = "codex", alias = "archivist", alias = "storage")]
    pub version: Option<VersionInfo>,
}

/// A routing table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoutingTable {
    /// The node itself.
    pub local_node: Option<RoutingPeer>,
    /// The peers that it knows.
    pub nodes: Vec<RoutingPeer>,
}

/// One peer in a routing table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoutingPeer {
    /// Id in the table.
    pub node_id: Option<String>,
    /// Peer id.
    pub peer_id: Option<String>,
    /// Its record.
    pub record: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Whether it was seen alive.
    pub seen: bool,
}

/// Version of a node's software.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VersionInfo {
    /// Version.
    pub version: String,
    /// Revision of its source.
    pub revision: String,
}
