//! Checkpoints: the size and root of the tree, signed, as text that other programs read too.
//!
//! The text is C2SP's tlog-checkpoint, signed as C2SP's signed-note with Ed25519 (<https://c2sp.org/tlog-checkpoint>,
//! <https://c2sp.org/signed-note>): origin, size and root in base64, each on a line, an empty line, then signatures. The key's name is
//! the origin. Signatures of others, such as witnesses, may stand beside the log's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peermark_core::sealed::key::SIGNATURE_BYTES;
use peermark_core::sealed::{Digest32, PublicKey, SigningKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Longest checkpoint that is read, bytes: room for the signatures of a hundred witnesses.
pub const MAX_CHECKPOINT_BYTES: usize = 16_384;

/// Longest origin, bytes.
pub const MAX_ORIGIN_BYTES: usize = 128;

/// The kind of signature: Ed25519, in signed notes.
const ED25519: u8 = 1;

/// What begins a line of a signature: an em dash and a space.
const SIGNATURE_LINE: &str = "\u{2014} ";

/// The size and root of a log's tree at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name without a scheme, such as `example.org/ledger`.
    pub origin: String,
    /// Records.
    pub size: u64,
    /// Root of the tree of these records.
    pub root: Digest32,
}

/// Who signs a log's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The origin, which is the key's name too.
    pub origin: String,
    /// The key.
    pub key: PublicKey,
}

/// Why a text is no checkpoint of a log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Longer than a checkpoint may be.
    #[error("checkpoint of {bytes} bytes: at most {MAX_CHECKPOINT_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// No text of this form.
    #[error("malformed checkpoint: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// Of another log.
    #[error("checkpoint of another log: expected={expected:?}, found={found:?}")]
    Origin {
        /// The log's name.
        expected: String,
        /// The name in the checkpoint, cut.
        found: String,
    },
    /// The log did not sign it.
    #[error("the log's signature is missing or does not hold")]
    Signature,
    /// A name that no log can have.
    #[error("no origin: {found:?} (1 to {MAX_ORIGIN_BYTES} bytes without spaces, control characters and '+')")]
    Name {
        /// What was given, cut.
        found: String,
    },
}

impl Signer {
    /// A signer of this name.
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn new(origin: &str, key: PublicKey) -> Result<Self, CheckpointError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if origin.is_empty() || origin.len() > MAX_ORIGIN_BYTES || origin.contains(bad) {
            return Err(CheckpointError::Name { found: cut(origin) });
        }
        Ok(Self { origin: origin.to_owned(), key })
    }

    /// The key as verifiers of signed notes are given it: name, id and base64 of the kind and the key.
    pub fn verifier_key(&self) -> String {
        let id: String = self.key_id().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut key = vec![ED25519];
        key.extend(self.key.0);
        format!("{}+{id}+{}", self.origin, STANDARD.encode(key))
    }

    /// What stands for the key before its signatures.
    fn key_id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.origin.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.0)
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Reads a checkpoint of this signer's log. Lines of other signatures are passed over.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let text = self.open_note(note)?;
        let found = parse(text)?;
        if found.origin != self.origin {
            return Err(CheckpointError::Origin { expected: self.origin.clone(), found: cut(&found.origin) });
        }
        Ok(found)
    }

    /// The signed text of a note that this signer signed.
    fn open_note<'n>(&self, note: &'n [u8]) -> Result<&'n str, CheckpointError> {
        let malformed = |what| CheckpointError::Malformed { what };
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointError::TooLarge { bytes: note.len() });
        }
        let note = std::str::from_utf8(note).map_err(|_| malformed("not UTF-8"))?;
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed("a control character"));
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(malformed("no signature"))?;
        // The text ends with the first of the two line ends.
        let text = &note[..=text.len()];
        let signatures = signatures.strip_suffix('\n').ok_or(malformed("no end of line"))?;
        let mut signed = false;
        for line in signatures.split('\n') {
            let line = line.strip_prefix(SIGNATURE_LINE).ok_or(malformed("no signature line"))?;
            let (name, signature) = line.split_once(' ').ok_or(malformed("a signature line without a name"))?;
            let signature = STANDARD.decode(signature).map_err(|_| malformed("a signature that is no base64"))?;
            let (id, signature) = signature.split_at_checked(4).ok_or(malformed("a signature without a key id"))?;
            if name != self.origin || id != self.key_id() {
                continue;
            }
            let signature: &[u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| CheckpointError::Signature)?;
            if signed || !self.key.verifies(text.as_bytes(), signature) {
                return Err(CheckpointError::Signature);
            }
            signed = true;
        }
        if signed { Ok(text) } else { Err(CheckpointError::Signature) }
    }
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The checkpoint with its signature, as it is kept and published. The caller checked the origin: [`Signer::new`].
    pub fn sign(&self, key: &SigningKey) -> String {
        sign_note(&self.origin, key, &self.text())
    }
}

fn sign_note(name: &str, key: &SigningKey, text: &str) -> String {
    let signer = Signer { origin: name.to_owned(), key: key.public() };
    let mut signature = signer.key_id().to_vec();
    signature.extend(key.sign(text.as_bytes()));
    format!("{text}\n{SIGNATURE_LINE}{name} {}\n", STANDARD.encode(signature))
}

/// Lines after the third are extensions, which are signed but mean nothing here.
fn parse(text: &str) -> Result<Checkpoint, CheckpointError> {
    let malformed = |what| CheckpointError::Malformed { what };
    let mut lines = text.split('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(malformed("fewer than three lines"));
    };
    let number: u64 = size.parse().map_err(|_| malformed("the size is no number"))?;
    if number.to_string() != size {
        return Err(malformed("the size is not in its one form"));
    }
    let root = STANDARD.decode(root).map_err(|_| malformed("the root is no base64"))?;
    let root = root.try_into().map_err(|_| malformed("the root is not of 32 bytes"))?;
    Ok(Checkpoint { origin: origin.to_owned(), size: number, root })
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_ORIGIN_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    fn signer() -> Signer {
        Signer::new("example.org/ledger", key().public()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.org/ledger".into(), size: 1234, root: [0x5a; 32] }
    }

    /// The example in the documentation of Go's package `golang.org/x/mod/sumdb/note`, which the specification is written after.
    #[test]
    fn a_note_of_another_program_is_opened_and_signed_alike() {
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let skey = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let seed = STANDARD.decode(skey).unwrap();
        let key = SigningKey::from_seed(seed[1..].try_into().unwrap());
        let signer = Signer::new("PeterNeumann", key.public()).unwrap();
        assert_eq!(signer.verifier_key(), vkey);
        let note = format!("{text}\n{line}");
        assert_eq!(sign_note("PeterNeumann", &key, text), note);
        assert_eq!(signer.open_note(note.as_bytes()).unwrap(), text);
    }

    #[test]
    fn what_is_signed_is_read_again_also_beside_other_signatures() {
        let note = checkpoint().sign(&key());
        assert_eq!(signer().open(note.as_bytes()).unwrap(), checkpoint());
        let witness = SigningKey::from_seed([8; 32]);
        let other = sign_note("witness.example.org", &witness, &checkpoint().text());
        let beside = format!("{note}{}", other.rsplit_once("\n\n").unwrap().1);
        assert_eq!(signer().open(beside.as_bytes()).unwrap(), checkpoint());
        assert_eq!(signer().open(other.as_bytes()), Err(CheckpointError::Signature));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let note = checkpoint().sign(&key()).into_bytes();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut flipped = note.clone();
                flipped[at] ^= 1 << bit;
                assert!(signer().open(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        for length in 0..note.len() {
            assert!(signer().open(&note[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn other_logs_forms_and_names_are_refused() {
        let other = Checkpoint { origin: "example.org/other".into(), ..checkpoint() };
        // Signed under the log's name, but about another.
        let note = sign_note("example.org/ledger", &key(), &other.text());
        assert!(matches!(signer().open(note.as_bytes()), Err(CheckpointError::Origin { .. })));
        for (from, to) in
            [("1234", "01234"), ("1234", "+1234"), ("1234", "99999999999999999999"), ("1234", ""), ("Wlpa", "Wlp")]
        {
            let note = sign_note("example.org/ledger", &key(), &checkpoint().text().replacen(from, to, 1));
            assert!(matches!(signer().open(note.as_bytes()), Err(CheckpointError::Malformed { .. })), "{to:?}");
        }
        let large = format!("{}{}", checkpoint().sign(&key()), "x".repeat(MAX_CHECKPOINT_BYTES));
        assert!(matches!(signer().open(large.as_bytes()), Err(CheckpointError::TooLarge { .. })));
        for name in ["", "a b", "a+b", "a\nb", &"x".repeat(MAX_ORIGIN_BYTES + 1)] {
            assert!(matches!(Signer::new(name, key().public()), Err(CheckpointError::Name { .. })), "{name:?}");
        }
    }
}
