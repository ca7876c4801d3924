//! Keys and the one rule for signatures.
//!
//! Ed25519 (RFC 8032) leaves open which odd encodings a verifier accepts, and libraries differ. ZIP-215 closes it: encodings of
//! points need not be canonical, the scalar must be, and the equation is multiplied by the cofactor. Every machine then agrees on every
//! input, which a hash chain that many verify depends on. <https://zips.z.cash/zip-0215>

use std::fmt;
use std::str::FromStr;

use ed25519_zebra as zebra;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::bytes::{Bytes, HexError};

/// A private key. It prints as its public key.
#[derive(Clone)]
pub struct SigningKey(zebra::SigningKey);

/// A public key: any 32 bytes. Whether they are one shows when a signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

impl SigningKey {
    /// The key of a seed (RFC 8032 §5.1.5), as libp2p keeps it too. Whoever knows the seed can sign.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(zebra::SigningKey::from_bytes(&seed))
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(zebra::VerificationKeyBytes::from(&self.0).into())
    }

    /// The signature of a message. The same message gets the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// Whether the owner of this key signed `message`, by ZIP-215.
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let signature = zebra::Signature::from_bytes(signature);
        zebra::VerificationKey::try_from(self.0).is_ok_and(|key| key.verify(&signature, message).is_ok())
    }
}

/// Whether every one of these signatures holds, by the same rule and so with the same answer as one by one, in about half the time.
///
/// A batch needs random factors that nobody who signs can foresee; they come from a hash over everything in it, so the answer to the
/// same batch is always the same. A batch with a bad signature passes with a chance of 2^-128.
pub fn verify_all<'m>(signatures: impl IntoIterator<Item = (PublicKey, &'m [u8], [u8; SIGNATURE_BYTES])>) -> bool {
    let mut batch = zebra::batch::Verifier::new();
    let mut content = Sha256::new();
    for (key, message, signature) in signatures {
        content.update(key.0);
        content.update(signature);
        content.update((message.len() as u64).to_be_bytes());
        content.update(message);
        let item = (zebra::VerificationKeyBytes::from(key.0), zebra::Signature::from_bytes(&signature), message);
        batch.queue(item);
    }
    batch.verify(ChaCha20Rng::from_seed(content.finalize().into())).is_ok()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PublicKey {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        text.parse().map(|Bytes(bytes)| Self(bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn array<const N: usize>(hex: &str) -> [u8; N] {
        assert_eq!(hex.len(), 2 * N);
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// The encodings of the eight points of small order, then the six that are not canonical.
    const SMALL_ORDER: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];

    /// The cases of ZIP-215: key and R of small order, s = 0, message "Zcash". All 196 are valid by its rule; other libraries accept
    /// some of them only.
    #[test]
    fn all_196_cases_of_zip_215_are_valid() {
        assert_eq!(BTreeSet::from(SMALL_ORDER).len(), 14);
        for key in SMALL_ORDER {
            for point in SMALL_ORDER {
                let mut signature = [0; SIGNATURE_BYTES];
                signature[..32].copy_from_slice(&array::<32>(point));
                assert!(PublicKey(array(key)).verifies(b"Zcash", &signature), "key {key}, R {point}");
            }
        }
    }

    /// RFC 8032 §7.1, tests 1 and 2.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let cases = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72][..],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ];
        for (seed, public, message, signature) in cases {
            let key = SigningKey::from_seed(array(seed));
            assert_eq!(key.public(), PublicKey(array(public)));
            assert_eq!(key.sign(message), array::<64>(signature));
            assert!(key.public().verifies(message, &array(signature)));
        }
    }

    #[test]
    fn another_message_another_key_and_a_larger_scalar_are_refused() {
        let key = SigningKey::from_seed([7; 32]);
        let signature = key.sign(b"one");
        assert!(key.public().verifies(b"one", &signature));
        assert!(!key.public().verifies(b"two", &signature));
        assert!(!SigningKey::from_seed([8; 32]).public().verifies(b"one", &signature));
        // The group's order as the scalar equals 0, and is no canonical 0.
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let mut large = [0; SIGNATURE_BYTES];
        large[..32].copy_from_slice(&array::<32>(SMALL_ORDER[0]));
        large[32..].copy_from_slice(&array::<32>(order));
        assert!(!PublicKey(array(SMALL_ORDER[0])).verifies(b"Zcash", &large));
        // 2 is the y of no point.
        let mut none = [0; 32];
        none[0] = 2;
        assert!(!PublicKey(none).verifies(b"one", &signature));
    }

    #[test]
    fn a_batch_answers_as_one_by_one() {
        let keys: Vec<_> = (1..=5).map(|seed| SigningKey::from_seed([seed; 32])).collect();
        let messages: Vec<Vec<u8>> = (0..5).map(|length| vec![7; length]).collect();
        let signed = |forged: Option<usize>| {
            let signature = |at: usize| keys[if forged == Some(at) { (at + 1) % 5 } else { at }].sign(&messages[at]);
            verify_all((0..5).map(|at| (keys[at].public(), &messages[at][..], signature(at))))
        };
        assert!(signed(None));
        assert!((0..5).all(|at| !signed(Some(at))));
        assert!(verify_all([]));
        // A point of small order with s = 0 holds by ZIP-215 alone and in a batch.
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..32].copy_from_slice(&array::<32>(SMALL_ORDER[3]));
        assert!(verify_all([(PublicKey(array(SMALL_ORDER[9])), b"Zcash".as_slice(), signature)]));
    }

    #[test]
    fn a_private_key_does_not_print() {
        let key = SigningKey::from_seed([7; 32]);
        assert_eq!(format!("{key:?}"), format!("SigningKey(of {})", key.public()));
    }
}
