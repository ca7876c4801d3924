//! Sealed records: what somebody said, signed, numbered and chained to what was said before.
//!
//! [`cbor`] is the one encoding, [`key`] the one rule for signatures, [`record`] the record and [`chain`] the order of many. Whoever
//! keeps records adds only the meaning of the payload. The format is written down in `docs/formats/sealed.md`.
//!
//! A signature proves who said it, and the chain that nothing was changed, left out or put in afterwards up to a hash that
//! somebody else has kept. Neither proves that it is true, nor when it was said.

pub mod bytes;
pub mod cbor;
pub mod chain;
pub mod key;
pub mod record;

pub use bytes::Bytes;
pub use cbor::Value;
pub use chain::{Chain, ChainError};
pub use key::{PublicKey, SigningKey, verify_all};
pub use record::{Draft, MAX_BYTES, Sealed, SealedError, VERSION};

/// SHA-256, of a record or of what it speaks of.
pub type Digest32 = [u8; 32];

/// What stands for the record before the first one.
pub const NO_PREVIOUS: Digest32 = [0; 32];
