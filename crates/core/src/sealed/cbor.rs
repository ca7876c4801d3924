//! The encoding of what is signed: a part of CBOR in which every value has exactly one form.
//!
//! RFC 8949 §4.2.1 (core deterministic encoding): shortest heads, definite lengths, members of a map ordered by the bytes of their
//! encoded keys. Beyond that: no floats, no tags, no `undefined`, text keys only, none twice, at most [`MAX_DEPTH`] levels.
//! Reading parses, writes again and compares: what is not the one form is refused.

use std::collections::BTreeMap;

use ciborium::Value as Item;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Most levels of arrays and maps within each other.
pub const MAX_DEPTH: usize = 16;

/// How deep the parser follows before [`MAX_DEPTH`] is checked exactly.
const PARSER_DEPTH: usize = 64;

/// A value that can be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number from 0 on.
    Unsigned(u64),
    /// A whole number below 0: `Negative(n)` is `-1 - n`.
    Negative(u64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// Nothing.
    Null,
    /// Values in order.
    Array(Vec<Self>),
    /// Values by name.
    Map(BTreeMap<String, Self>),
}

/// Why bytes or a value are not in the one form.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CborError {
    /// No CBOR.
    #[error("malformed CBOR")]
    Malformed,
    /// CBOR, but of a kind that is never signed.
    #[error("{what} are not allowed in a sealed record")]
    Unsupported {
        /// Which kind.
        what: &'static str,
    },
    /// Two members of a map have one key.
    #[error("two members have the key {key:?}")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Arrays and maps lie too deep within each other.
    #[error("more than {MAX_DEPTH} levels")]
    TooDeep,
    /// Readable, but not what was asked for.
    #[error("not what is expected here: {what}")]
    Meaning {
        /// What is wrong with it.
        what: String,
    },
    /// Readable, but not the form that would be written.
    #[error("encoding is not canonical")]
    NotCanonical,
}

impl Value {
    /// The one form of this value.
    ///
    /// # Errors
    /// [`CborError::TooDeep`].
    pub fn encode(&self) -> Result<Vec<u8>, CborError> {
        let item = self.item(0)?;
        let mut bytes = Vec::new();
        ciborium::into_writer(&item, &mut bytes).map_err(|_| CborError::Malformed)?;
        Ok(bytes)
    }

    /// Reads the one form of a value. The caller bounds the length of `bytes`.
    ///
    /// # Errors
    /// [`CborError`] for everything that [`Self::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let item: Item =
            ciborium::de::from_reader_with_recursion_limit(bytes, PARSER_DEPTH).map_err(|error| match error {
                ciborium::de::Error::RecursionLimitExceeded => CborError::TooDeep,
                _ => CborError::Malformed,
            })?;
        let value = Self::of_item(item, 0)?;
        if value.encode()? == bytes { Ok(value) } else { Err(CborError::NotCanonical) }
    }

    /// What a typed value says. Its type decides the form: two types that mean the same may be two values.
    ///
    /// # Errors
    /// [`CborError`] where it holds what is never signed, such as a float.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, CborError> {
        Self::of_item(Item::serialized(value).map_err(|_| CborError::Malformed)?, 0)
    }

    /// Reads it as a typed value.
    ///
    /// # Errors
    /// [`CborError::Meaning`] where it is another kind of value.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, CborError> {
        self.item(0)?.deserialized().map_err(|error| CborError::Meaning { what: error.to_string() })
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A map of these members. Of two with one name the last stays.
    pub fn map<'k>(members: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        Self::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The number, where it is one from 0 on.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Unsigned(number) = self { Some(*number) } else { None }
    }

    /// The number, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Negative(number) => i64::try_from(*number).ok().map(|number| -1 - number),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes, where it is some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The values, where it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// The member of this name, where it is a map that has one.
    pub fn get(&self, key: &str) -> Option<&Self> {
        if let Self::Map(members) = self { members.get(key) } else { None }
    }

    /// `depth` counts the arrays and maps around this value.
    fn item(&self, depth: usize) -> Result<Item, CborError> {
        if depth >= MAX_DEPTH && matches!(self, Self::Array(_) | Self::Map(_)) {
            return Err(CborError::TooDeep);
        }
        Ok(match self {
            Self::Unsigned(number) => Item::Integer((*number).into()),
            Self::Negative(number) => {
                // Within the range of CBOR's negative numbers by its type.
                let number = -1 - i128::from(*number);
                Item::Integer(number.try_into().map_err(|_| CborError::Malformed)?)
            }
            Self::Bytes(bytes) => Item::Bytes(bytes.clone()),
            Self::Text(text) => Item::Text(text.clone()),
            Self::Bool(bit) => Item::Bool(*bit),
            Self::Null => Item::Null,
            Self::Array(values) => {
                Item::Array(values.iter().map(|value| value.item(depth + 1)).collect::<Result<_, _>>()?)
            }
            Self::Map(members) => {
                let mut members: Vec<_> = members.iter().collect();
                // The head of an encoded text is its length, so shorter keys come first.
                members.sort_by_key(|(key, _)| (key.len(), *key));
                let members = members
                    .into_iter()
                    .map(|(key, value)| Ok((Item::Text(key.clone()), value.item(depth + 1)?)))
                    .collect::<Result<_, CborError>>()?;
                Item::Map(members)
            }
        })
    }

    fn of_item(item: Item, depth: usize) -> Result<Self, CborError> {
        if depth >= MAX_DEPTH && matches!(item, Item::Array(_) | Item::Map(_)) {
            return Err(CborError::TooDeep);
        }
        Ok(match item {
            Item::Integer(number) => {
                let number = i128::from(number);
                match u64::try_from(number) {
                    Ok(number) => Self::Unsigned(number),
                    Err(_) => Self::Negative(u64::try_from(-1 - number).map_err(|_| CborError::Malformed)?),
                }
            }
            Item::Bytes(bytes) => Self::Bytes(bytes),
            Item::Text(text) => Self::Text(text),
            Item::Bool(bit) => Self::Bool(bit),
            Item::Null => Self::Null,
            Item::Array(items) => {
                Self::Array(items.into_iter().map(|item| Self::of_item(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Item::Map(items) => {
                let mut members = BTreeMap::new();
                for (key, item) in items {
                    let Item::Text(key) = key else { return Err(CborError::Unsupported { what: "keys but text" }) };
                    if members.contains_key(&key) {
                        return Err(CborError::DuplicateKey { key });
                    }
                    members.insert(key, Self::of_item(item, depth + 1)?);
                }
                Self::Map(members)
            }
            Item::Float(_) => return Err(CborError::Unsupported { what: "floats" }),
            Item::Tag(..) => return Err(CborError::Unsupported { what: "tags" }),
            _ => return Err(CborError::Unsupported { what: "values of this kind" }),
        })
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        match u64::try_from(number) {
            Ok(number) => Self::Unsigned(number),
            Err(_) => Self::Negative((-1 - number).unsigned_abs()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
pub(crate) mod tests;
