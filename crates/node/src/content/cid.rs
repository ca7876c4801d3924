//! CIDs: version 1, SHA-256, printed in base58btc (`z…`). Codec numbers are Archivist's and Codex's.

use std::fmt;

use cid::Cid;
use cid::multibase::Base;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Codec of a manifest block.
pub const MANIFEST_CODEC: u64 = 0xCD01;
/// Codec of a data block.
pub const BLOCK_CODEC: u64 = 0xCD02;
/// Codec of a tree root, used for inner nodes too.
pub const TREE_CODEC: u64 = 0xCD03;
/// Multihash code of SHA-256, the only hash that is served.
pub(crate) const SHA2_256: u64 = 0x12;

/// SHA-256 of a block: the key of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// Why a text or bytes are no CID that this node can serve.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidCid {
    /// Not a CID at all.
    #[error("not a CID: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// A CID of another hash function than SHA-256.
    #[error("unsupported hash 0x{code:x} of {length} bytes: only sha2-256 is served")]
    UnsupportedHash {
        /// Multihash code.
        code: u64,
        /// Digest length in bytes.
        length: u8,
    },
}

impl Digest {
    /// The digest that a CID names.
    ///
    /// # Errors
    /// [`InvalidCid::UnsupportedHash`] for anything but a 32-byte SHA-256.
    pub fn of_cid(cid: &Cid) -> Result<Self, InvalidCid> {
        let hash = cid.hash();
        match (hash.code(), <[u8; 32]>::try_from(hash.digest())) {
            (SHA2_256, Ok(digest)) => Ok(Self(digest)),
            (code, _) => Err(InvalidCid::UnsupportedHash { code, length: hash.size() }),
        }
    }

    /// The CID of this digest under a codec.
    pub fn cid(&self, codec: u64) -> Cid {
        let hash = Multihash::<64>::wrap(SHA2_256, &self.0).expect("32 bytes fit a 64-byte multihash");
        Cid::new_v1(codec, hash)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// SHA-256 of bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The CID of a block's bytes under a codec.
pub fn block_cid(codec: u64, bytes: &[u8]) -> Cid {
    digest_of(bytes).cid(codec)
}

/// A CID as the node prints it: base58btc.
pub fn cid_text(cid: &Cid) -> String {
    cid.to_string_of_base(Base::Base58Btc).unwrap_or_else(|_| cid.to_string())
}

/// Reads a CID in any multibase, and checks that it can be served.
///
/// # Errors
/// [`InvalidCid`] when the text is no CID or of another hash.
pub fn parse_cid(text: &str) -> Result<(Cid, Digest), InvalidCid> {
    // Longer texts are no CID of any kind in use; the bound keeps the parser's work small.
    if text.len() > 256 {
        return Err(InvalidCid::Malformed { reason: format!("{} characters", text.len()) });
    }
    let cid = Cid::try_from(text).map_err(|error| InvalidCid::Malformed { reason: error.to_string() })?;
    let digest = Digest::of_cid(&cid)?;
    Ok((cid, digest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_hashes_are_named() {
        let blake = Cid::new_v1(BLOCK_CODEC, Multihash::<64>::wrap(0x1e, &[7; 32]).unwrap());
        assert_eq!(parse_cid(&cid_text(&blake)), Err(InvalidCid::UnsupportedHash { code: 0x1e, length: 32 }));
        assert!(matches!(parse_cid("zDv"), Err(InvalidCid::Malformed { .. })));
        assert!(matches!(parse_cid(&"z".repeat(1000)), Err(InvalidCid::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read(text in "\\PC{0,80}") {
            let _ = parse_cid(&text);
        }

        #[test]
        fn texts_read_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let cid = block_cid(BLOCK_CODEC, &bytes);
            prop_assert_eq!(parse_cid(&cid_text(&cid)), Ok((cid, digest_of(&bytes))));
        }
    }
}
