//! What encoders, hosters and attesters sign for each other, outside of entries. One builder makes all of them: a tag that names the
//! kind, the network, and every field with its length before it, so that no two statements have the same bytes.

use peermark_core::sealed::{Bytes, PublicKey};
use sha2::{Digest as _, Sha256};

use crate::item::hosting::{HeldCopy, RawReason};
use crate::transaction::hosting::{Check, EncodedChunk};
use crate::transaction::plan::VersionDraft;
use crate::transaction::report::Measured;
use crate::{Digest, Id, Key, Signature};

/// The bytes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement(Vec<u8>);

impl Statement {
    /// Begins a statement of a kind for a network.
    fn new(what: &str, network: &str) -> Self {
        let statement = Self(format!("peermark/{what}/v1\0").into_bytes());
        statement.bytes(network.as_bytes())
    }

    fn bytes(mut self, field: &[u8]) -> Self {
        self.0.extend((field.len() as u64).to_be_bytes());
        self.0.extend(field);
        self
    }

    fn number(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// What is signed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the owner of a key signed it.
    pub fn is_signed(&self, key: &Key, signature: &Signature) -> bool {
        PublicKey(key.0).verifies(&self.0, &signature.0)
    }

    /// Its SHA-256.
    pub fn digest(&self) -> Digest {
        Bytes(Sha256::digest(&self.0).into())
    }
}

/// What a feed's key signs for a version of it (S25, S26).
pub fn feed_version(network: &str, feed: &Key, version: &VersionDraft) -> Statement {
    Statement::new("feed-version", network)
        .bytes(&feed.0)
        .number(version.length)
        .number(version.bytes)
        .bytes(&version.root.0)
}

/// What the key on the network and the key for proofs of a user both sign when it takes them: nobody takes a key that is another's, lets
/// another's signatures count as its own, or has another's handshakes taken for its.
pub fn possession(network: &str, address: PublicKey, noise_key: &Key, signing_key: &Key) -> Statement {
    Statement::new("possession", network).bytes(&address.0).bytes(&noise_key.0).bytes(&signing_key.0)
}

/// Zero bits that the proof of work of a registration begins with: those of a hash over the signer, its keys and a number that it looks
/// for.
pub fn registration_bits(network: &str, signer: PublicKey, noise_key: &Key, signing_key: &Key, work: u64) -> u32 {
    let hash = Statement::new("register", network)
        .bytes(&signer.0)
        .bytes(&noise_key.0)
        .bytes(&signing_key.0)
        .number(work)
        .digest();
    let whole = hash.0.iter().take_while(|byte| **byte == 0).count();
    let part = hash.0.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(8 * whole).unwrap_or(u32::MAX).saturating_add(part)
}

/// What an encoder signs: that it made this copy for this place of this amendment.
pub fn manifest(network: &str, amendment: Id, place: u32, copy: &HeldCopy) -> Statement {
    held("manifest", network, amendment, place, copy)
}

/// What a hoster signs when it took a copy, having compared it with the feed (S35-S37).
pub fn accept(network: &str, amendment: Id, place: u32, copy: &HeldCopy) -> Statement {
    held("accept", network, amendment, place, copy)
}

fn held(what: &str, network: &str, amendment: Id, place: u32, copy: &HeldCopy) -> Statement {
    Statement::new(what, network)
        .number(amendment)
        .number(u64::from(place))
        .bytes(&copy.manifest.0)
        .number(copy.sizes.plain_bytes)
        .number(copy.sizes.encoded_bytes)
}

/// The hash of a copy: over each encoded chunk's place, length and SHA-256, in the order of the places.
pub fn manifest_digest(chunks: &[EncodedChunk]) -> Digest {
    let mut hash = Sha256::new();
    hash.update("peermark/encoded/v1\0");
    hash.update((chunks.len() as u64).to_be_bytes());
    for chunk in chunks {
        hash.update(chunk.index.to_be_bytes());
        hash.update(chunk.bytes.to_be_bytes());
        hash.update(chunk.digest.0);
    }
    Bytes(hash.finalize().into())
}

/// What the attester of a storage challenge signs: the hash of the signature draws the chunks that it asks for. Whoever serves them cannot
/// know them before it shows them the signature, and so has to have all of them.
pub fn storage_draw(network: &str, challenge: Id, seed: &Digest) -> Statement {
    Statement::new("storage-draw", network).number(challenge).bytes(&seed.0)
}

/// What a hoster signs in a storage challenge: that it gave this to this attester for this draw. What does not hold in it is then its own
/// fault.
pub fn storage_contact(
    network: &str,
    challenge: Id,
    attester: PublicKey,
    draw: &Signature,
    checks: &[Check],
) -> Statement {
    Statement::new("storage-contact", network)
        .number(challenge)
        .bytes(&attester.0)
        .bytes(&draw.0)
        .bytes(&canonical(checks))
}

/// What a hoster signs after it was measured by an attester under a one-time key.
pub fn contact(network: &str, challenge: Id, one_time_key: &Key, transcript: &Digest) -> Statement {
    Statement::new("contact", network).number(challenge).bytes(&one_time_key.0).bytes(&transcript.0)
}

/// What an attester commits to before any of the others can know it. The attester is part of it, so a copied commitment cannot be
/// revealed by whoever copied it.
pub fn commitment(network: &str, challenge: Id, attester: PublicKey, salt: &Digest, report: &Measured) -> Digest {
    Statement::new("commit", network)
        .number(challenge)
        .bytes(&attester.0)
        .bytes(&salt.0)
        .bytes(&canonical(report))
        .digest()
}

/// The data of a raw benchmark is derived from this.
pub(crate) fn blob_seed(beacon: &Digest, user: Id, reason: RawReason) -> Digest {
    Statement::new("blob", "").bytes(&beacon.0).number(user).bytes(&canonical(&reason)).digest()
}

/// The one form of a value, as entries have it.
fn canonical<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // No type that is signed refuses to be written; if one did, nothing could be signed with it either.
    peermark_core::sealed::Value::of(value).and_then(|value| value.encode()).unwrap_or_default()
}
