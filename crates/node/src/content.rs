//! Content addressing as Archivist and Codex do it: blocks, Merkle trees over them, manifests.
//!
//! Every block is keyed by its SHA-256 digest alone, so the same bytes answer under any codec. The inner nodes of a Merkle tree
//! are blocks too: a node's digest is the SHA-256 of the 65 bytes `left ‖ right ‖ key`, so a reader that holds only a manifest
//! walks from the tree CID to the leaves with ordinary, self-verifying block requests, and needs no second protocol.

pub(crate) mod cid;
pub(crate) mod manifest;
pub(crate) mod tree;

pub use cid::{BLOCK_CODEC, Digest, InvalidCid, MANIFEST_CODEC, TREE_CODEC, block_cid, cid_text, digest_of, parse_cid};
pub(crate) use manifest::MAX_BLOCK_BYTES;
pub use manifest::{InvalidManifest, Manifest};
pub(crate) use tree::{Children, depth};
pub use tree::{InnerNode, TreeBuilder};
