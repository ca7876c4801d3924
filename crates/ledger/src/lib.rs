//! The ledger: a signed append-only log and the deterministic state machine that reads it.
//!
//! - [`log`]: what was said, in order, on disk before it is acknowledged, provable by a Merkle tree;
//! - [`block`], [`beacon`]: how entries are cut into blocks, and where the randomness of a block comes from;
//! - [`genesis`]: what a network agreed on before its first entry;
//! - [`transaction`]: what an entry may say;
//! - [`item`]: what is stored under an id;
//! - [`statement`]: what encoders, hosters and attesters sign for each other;
//! - [`feed_tree`]: proofs that a chunk is in a feed;
//! - [`state`]: everything that follows from the entries so far;
//! - [`select`]: who does the work;
//! - [`view`]: the state for readers, under the names of the database that this ledger follows;
//! - [`machine`]: check, finalize, commit, query, snapshot, as ABCI shapes it;
//! - [`outcome`]: what became of an entry, and what happened;
//! - [`replay`], [`verify`]: from the log back to the state;
//! - [`sequencer`]: who orders the entries; [`directory`]: where a ledger is kept;
//! - [`bundle`]: a statement with everything that it follows from;
//! - [`server`], [`http`]: a ledger that others reach.

pub mod beacon;
pub mod block;
pub mod bundle;
pub mod config;
pub mod directory;
pub mod feed_tree;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod genesis;
pub mod http;
pub mod item;
pub mod log;
pub mod machine;
mod metrics;
pub mod outcome;
pub mod replay;
pub mod select;
pub mod sequencer;
pub mod server;
mod shared;
pub mod state;
pub mod statement;
#[cfg(test)]
mod town;
pub mod transaction;
pub mod verify;
pub mod view;

use peermark_core::sealed::Bytes;

/// Where an entry of the storage lies: dense, from 0, never given twice.
pub type Id = u64;

/// A height of the chain of blocks: the only time that the state machine knows.
pub type Height = u64;

/// SHA-256.
pub type Digest = Bytes<32>;

/// An ed25519 public key that is no signer of entries: a noise key, a feed's key.
pub type Key = Bytes<32>;

/// An ed25519 signature.
pub type Signature = Bytes<64>;

/// Millionths: 1,000,000 is all.
pub type Ppm = u32;

/// Money in the smallest unit.
pub type Amount = u64;
