//! Bytes of a fixed length that read as hex where people read them and as bytes where machines do.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// `N` bytes: a hash, a key, a signature. In text (JSON, TOML, terminal) it is `2 N` lower-case hex digits, in CBOR a byte string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// Why a text is not such bytes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("expected {expected} hex digits")]
pub struct HexError {
    /// How many digits there should be.
    pub expected: usize,
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Bytes<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let wrong = HexError { expected: 2 * N };
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return Err(wrong);
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (digit(pair[0]).ok_or(wrong)?, digit(pair[1]).ok_or(wrong)?);
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Read::<N>)
        } else {
            deserializer.deserialize_bytes(Read::<N>)
        }
    }
}

struct Read<const N: usize>;

impl<const N: usize> Visitor<'_> for Read<N> {
    type Value = Bytes<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes<N>, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes<N>, E> {
        bytes.try_into().map(Bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

/// Bytes of any length, for `#[serde(with = "...")]`: hex in text, a byte string in CBOR. The caller bounds their length.
pub mod long {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use super::digit;

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        } else {
            serializer.serialize_bytes(bytes)
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// Those of the deserializer, and text that is not pairs of hex digits.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Read)
        } else {
            deserializer.deserialize_byte_buf(Read)
        }
    }

    struct Read;

    impl Visitor<'_> for Read {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            let pairs = text.as_bytes().chunks(2);
            let byte = |pair: &[u8]| match *pair {
                [high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            };
            pairs.map(byte).collect::<Option<_>>().ok_or_else(|| E::custom("expected pairs of hex digits"))
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_one_value() {
        let bytes = Bytes([0x0f, 0xa0]);
        assert_eq!(bytes.to_string(), "0fa0");
        assert_eq!("0FA0".parse(), Ok(bytes));
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"0fa0\"");
        assert_eq!(serde_json::from_str::<Bytes<2>>("\"0fa0\"").unwrap(), bytes);
        for wrong in ["", "0fa", "0fa0f", "0fg0", "+fa0", "0f a"] {
            assert_eq!(wrong.parse::<Bytes<2>>(), Err(HexError { expected: 4 }), "{wrong:?}");
        }
    }
}
