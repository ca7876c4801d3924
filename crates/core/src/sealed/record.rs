//! One sealed record.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::cbor::{CborError, Value};
use super::key::{PublicKey, SIGNATURE_BYTES, SigningKey};
use super::{Digest32, NO_PREVIOUS};

/// Version of the format, its first byte.
pub const VERSION: u8 = 1;

/// Longest record.
pub const MAX_BYTES: usize = 65_535;

/// Longest domain and network.
const MAX_NAME_BYTES: usize = 64;

/// What is to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What kind of record it is, so that one is never taken for another: `monitor`. 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub domain: String,
    /// The network that it is about. 1 to 64 of the same.
    pub network: String,
    /// Its number in the signer's chain, from 1.
    pub sequence: u64,
    /// Hash of the record before; [`NO_PREVIOUS`] in the first.
    pub previous: Digest32,
    /// What it says.
    pub payload: Value,
}

/// A signed record. Whether its signature holds is another question: [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    draft: Draft,
    signer: PublicKey,
    signature: [u8; SIGNATURE_BYTES],
    bytes: Vec<u8>,
}

/// Why something is no sealed record.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealedError {
    /// Longer than a record may be.
    #[error("record too large: {bytes} bytes, at most {MAX_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Another version of the format.
    #[error("unknown version of a sealed record: expected={VERSION}, found={found:?}")]
    Version {
        /// The first byte; `None` of nothing.
        found: Option<u8>,
    },
    /// Not in the one form of the encoding.
    #[error("unreadable record")]
    Encoding(#[from] CborError),
    /// In the form, but not a record.
    #[error("not a sealed record: {what} is missing or of another kind")]
    Shape {
        /// Which part.
        what: &'static str,
    },
    /// A domain or network that is no name.
    #[error("not a {what}: {found:?} (1 to {MAX_NAME_BYTES} of a-z, 0-9, '.', '_' and '-')")]
    Name {
        /// Which of them.
        what: &'static str,
        /// What was given, cut.
        found: String,
    },
    /// A number or previous hash that no chain has.
    #[error("numbers begin with 1, and the first record alone has no previous one")]
    Beginning,
    /// Its signer did not sign it.
    #[error("signature does not hold")]
    Signature,
}

impl Sealed {
    /// Signs a record.
    ///
    /// # Errors
    /// [`SealedError`] where the draft breaks a rule of the format.
    pub fn seal(key: &SigningKey, draft: Draft) -> Result<Self, SealedError> {
        check(&draft)?;
        let signer = key.public();
        let mut parts = parts(&draft, signer);
        let signature = key.sign(&message(&draft.domain, &Value::Array(parts.clone()))?);
        parts.push(Value::Bytes(signature.to_vec()));
        let mut bytes = vec![VERSION];
        bytes.append(&mut Value::Array(parts).encode()?);
        if bytes.len() > MAX_BYTES {
            return Err(SealedError::TooLarge { bytes: bytes.len() });
        }
        Ok(Self { draft, signer, signature, bytes })
    }

    /// Reads a record. The signature is not checked.
    ///
    /// # Errors
    /// [`SealedError`] for everything that [`Self::seal`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedError> {
        if bytes.len() > MAX_BYTES {
            return Err(SealedError::TooLarge { bytes: bytes.len() });
        }
        let Some((&VERSION, body)) = bytes.split_first() else {
            return Err(SealedError::Version { found: bytes.first().copied() });
        };
        let Value::Array(parts) = Value::decode(body)? else { return Err(SealedError::Shape { what: "the list" }) };
        let Ok([domain, network, signer, sequence, previous, payload, signature]) = <[Value; 7]>::try_from(parts)
        else {
            return Err(SealedError::Shape { what: "one of seven parts" });
        };
        let draft = Draft {
            domain: text("the domain", domain)?,
            network: text("the network", network)?,
            sequence: sequence.as_u64().ok_or(SealedError::Shape { what: "the number" })?,
            previous: array("the previous hash", &previous)?,
            payload,
        };
        check(&draft)?;
        let signer = PublicKey(array("the signer", &signer)?);
        Ok(Self { draft, signer, signature: array("the signature", &signature)?, bytes: bytes.to_vec() })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`SealedError::Signature`].
    pub fn verify(&self) -> Result<(), SealedError> {
        let (signer, message, signature) = self.signed()?;
        if signer.verifies(&message, &signature) { Ok(()) } else { Err(SealedError::Signature) }
    }

    /// Who signed, what was signed and the signature: what [`verify_all`](super::verify_all) takes.
    ///
    /// # Errors
    /// [`SealedError`] never for a record that was sealed or decoded.
    pub fn signed(&self) -> Result<(PublicKey, Vec<u8>, [u8; SIGNATURE_BYTES]), SealedError> {
        let message = message(&self.draft.domain, &Value::Array(parts(&self.draft, self.signer)))?;
        Ok((self.signer, message, self.signature))
    }

    /// The whole record as it is kept and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of [`Self::bytes`], signature included: what the next record names.
    pub fn hash(&self) -> Digest32 {
        Sha256::digest(&self.bytes).into()
    }

    /// What kind of record it is.
    pub fn domain(&self) -> &str {
        &self.draft.domain
    }

    /// The network that it is about.
    pub fn network(&self) -> &str {
        &self.draft.network
    }

    /// Who signed it.
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// Its number in the signer's chain, from 1.
    pub fn sequence(&self) -> u64 {
        self.draft.sequence
    }

    /// Hash of the record before.
    pub fn previous(&self) -> Digest32 {
        self.draft.previous
    }

    /// What it says.
    pub fn payload(&self) -> &Value {
        &self.draft.payload
    }

    /// What it says, without the rest.
    pub fn into_payload(self) -> Value {
        self.draft.payload
    }
}

/// All parts but the signature, in their order.
fn parts(draft: &Draft, signer: PublicKey) -> Vec<Value> {
    vec![
        Value::text(&draft.domain),
        Value::text(&draft.network),
        Value::Bytes(signer.0.to_vec()),
        Value::Unsigned(draft.sequence),
        Value::Bytes(draft.previous.to_vec()),
        draft.payload.clone(),
    ]
}

/// What is signed. The tag keeps a signature of one domain from being one of another, or of another program.
fn message(domain: &str, unsigned: &Value) -> Result<Vec<u8>, SealedError> {
    let mut message = format!("peermark/{domain}/v{VERSION}\0").into_bytes();
    message.push(VERSION);
    message.append(&mut unsigned.encode()?);
    Ok(message)
}

fn check(draft: &Draft) -> Result<(), SealedError> {
    for (what, name) in [("domain", &draft.domain), ("network", &draft.network)] {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(SealedError::Name { what, found: name.chars().take(MAX_NAME_BYTES).collect() });
        }
    }
    let first = draft.sequence == 1;
    if draft.sequence == 0 || first != (draft.previous == NO_PREVIOUS) {
        return Err(SealedError::Beginning);
    }
    Ok(())
}

fn text(what: &'static str, value: Value) -> Result<String, SealedError> {
    if let Value::Text(text) = value { Ok(text) } else { Err(SealedError::Shape { what }) }
}

fn array<const N: usize>(what: &'static str, value: &Value) -> Result<[u8; N], SealedError> {
    value.as_bytes().and_then(|bytes| bytes.try_into().ok()).ok_or(SealedError::Shape { what })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cbor::tests::{hex, values};
    use super::*;

    fn draft(sequence: u64, payload: Value) -> Draft {
        let previous = if sequence == 1 { NO_PREVIOUS } else { [0x11; 32] };
        Draft { domain: "monitor".into(), network: "lab.1".into(), sequence, previous, payload }
    }

    fn sealed(sequence: u64, payload: Value) -> Sealed {
        Sealed::seal(&SigningKey::from_seed([7; 32]), draft(sequence, payload)).unwrap()
    }

    /// The format does not change under its readers: docs/formats/sealed.md shows the same bytes.
    #[test]
    fn the_form_is_fixed() {
        let record = sealed(1, Value::map([("kind", "example".into())]));
        let expected = concat!(
            "01", // version
            "87", // seven parts
            "676d6f6e69746f72",
            "656c61622e31",
            "5820ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
            "01",
            "58200000000000000000000000000000000000000000000000000000000000000000",
            "a1646b696e64676578616d706c65",
        );
        let text = hex(record.bytes());
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.len(), expected.len() + 2 * (2 + 64));
        record.verify().unwrap();
        let again = Sealed::decode(record.bytes()).unwrap();
        assert_eq!(again, record);
        assert_eq!(hex(&again.hash()), hex(&Sha256::digest(record.bytes())));
    }

    #[test]
    fn what_breaks_a_rule_is_not_sealed() {
        let key = SigningKey::from_seed([7; 32]);
        let seal = |draft| Sealed::seal(&key, draft).unwrap_err();
        for name in ["", "Monitor", "a/b", "a\0b", "\u{e4}", &"x".repeat(65)] {
            let found = seal(Draft { domain: name.into(), ..draft(1, Value::Null) });
            assert!(matches!(found, SealedError::Name { what: "domain", .. }), "{name:?}");
            let found = seal(Draft { network: name.into(), ..draft(1, Value::Null) });
            assert!(matches!(found, SealedError::Name { what: "network", .. }), "{name:?}");
        }
        assert_eq!(seal(draft(0, Value::Null)), SealedError::Beginning);
        assert_eq!(seal(Draft { previous: [1; 32], ..draft(1, Value::Null) }), SealedError::Beginning);
        assert_eq!(seal(Draft { previous: NO_PREVIOUS, ..draft(2, Value::Null) }), SealedError::Beginning);
    }

    #[test]
    fn the_longest_record_is_65535_bytes() {
        let around = sealed(2, Value::Bytes(vec![0; 60_000])).bytes().len() - 60_000;
        let longest = sealed(2, Value::Bytes(vec![0; MAX_BYTES - around]));
        assert_eq!(longest.bytes().len(), MAX_BYTES);
        assert_eq!(Sealed::decode(longest.bytes()).unwrap(), longest);
        let key = SigningKey::from_seed([7; 32]);
        let longer = Sealed::seal(&key, draft(2, Value::Bytes(vec![0; MAX_BYTES - around + 1])));
        assert_eq!(longer, Err(SealedError::TooLarge { bytes: MAX_BYTES + 1 }));
        assert_eq!(Sealed::decode(&vec![VERSION; MAX_BYTES + 1]), Err(SealedError::TooLarge { bytes: MAX_BYTES + 1 }));
    }

    #[test]
    fn other_versions_and_shapes_are_refused() {
        let record = sealed(1, Value::Null);
        let mut other = record.bytes().to_vec();
        other[0] = 2;
        assert_eq!(Sealed::decode(&other), Err(SealedError::Version { found: Some(2) }));
        assert_eq!(Sealed::decode(&[]), Err(SealedError::Version { found: None }));
        assert_eq!(Sealed::decode(&[1, 0xf6]), Err(SealedError::Shape { what: "the list" }));
        assert_eq!(Sealed::decode(&[1, 0x80]), Err(SealedError::Shape { what: "one of seven parts" }));
    }

    /// A signature of one domain or network says nothing in another.
    #[test]
    fn a_record_cannot_be_moved() {
        let record = sealed(3, "said".into());
        let text = String::from_utf8_lossy(record.bytes()).into_owned();
        assert!(text.contains("monitor") && text.contains("lab.1"));
        for (from, to) in [(&b"monitor"[..], &b"monitox"[..]), (b"lab.1", b"lab.2")] {
            let mut bytes = record.bytes().to_vec();
            let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
            bytes[at..at + from.len()].copy_from_slice(to);
            assert_eq!(Sealed::decode(&bytes).unwrap().verify(), Err(SealedError::Signature));
        }
    }

    proptest! {
        #[test]
        fn every_record_reads_back_and_holds(payload in values(), sequence in 1u64..) {
            let record = sealed(sequence, payload);
            let again = Sealed::decode(record.bytes()).unwrap();
            prop_assert_eq!(again.verify(), Ok(()));
            prop_assert_eq!(again, record);
        }

        #[test]
        fn any_flipped_bit_is_refused(payload in values(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let record = sealed(9, payload);
            let mut bytes = record.bytes().to_vec();
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << bit;
            if let Ok(record) = Sealed::decode(&bytes) {
                prop_assert_eq!(record.verify(), Err(SealedError::Signature));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut framed = vec![VERSION, 0x87];
            framed.extend_from_slice(&bytes);
            for bytes in [bytes, framed] {
                if let Ok(record) = Sealed::decode(&bytes) {
                    prop_assert_eq!(record.bytes(), &bytes[..]);
                    let _ = record.verify();
                }
            }
        }

        #[test]
        fn a_cut_record_is_refused(payload in values(), at in any::<prop::sample::Index>()) {
            let record = sealed(1, payload);
            prop_assert!(Sealed::decode(&record.bytes()[..at.index(record.bytes().len())]).is_err());
        }
    }
}
