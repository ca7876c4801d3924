//! How the state is hashed.

use peermark_core::sealed::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// SHA-256 over tagged values in CBOR. The types that are hashed hold no floats and no unordered collections, so equal values have
/// equal bytes.
pub(crate) struct Hashing(Sha256);

impl Hashing {
    /// Begins with a tag that no other hash of this product begins with.
    pub(crate) fn new(tag: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("peermark/ledger/{tag}/v1\0"));
        Self(hash)
    }

    /// Adds a number.
    pub(crate) fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    /// Adds a value.
    pub(crate) fn item<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Writing to a hash cannot fail, and no type of the state refuses to be written.
        let written = ciborium::into_writer(value, Writing(&mut self.0));
        debug_assert!(written.is_ok(), "a state value that cannot be written");
    }

    pub(crate) fn finish(self) -> Digest {
        Bytes(self.0.finalize().into())
    }
}

/// The hash of one value under a tag.
pub(crate) fn hash_of<T: Serialize + ?Sized>(tag: &str, value: &T) -> Digest {
    let mut hashing = Hashing::new(tag);
    hashing.item(value);
    hashing.finish()
}

struct Writing<'h>(&'h mut Sha256);

impl ciborium_io::Write for Writing<'_> {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.0.update(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
