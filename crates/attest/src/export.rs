//! A ledger as lines of JSON, for other programs.

use peermark_core::sealed::cbor::Value as Said;
use peermark_core::sealed::{Bytes, Sealed};
use peermark_ledger::bundle::Evidence;
use serde_json::{Map, Value, json};

/// The schema of each line.
pub const SCHEMA: &str = "peermark.ledger-record/1";

/// Every record, decoded, in the order of the log: index, kind, signer, sequence, hash, what it says, and the bytes themselves.
pub fn lines(evidence: &Evidence) -> impl Iterator<Item = String> + '_ {
    evidence.records.iter().enumerate().map(|(index, bytes)| line(index, bytes).to_string())
}

fn line(index: usize, bytes: &[u8]) -> Value {
    match Sealed::decode(bytes) {
        Ok(record) => json!({
            "schema": SCHEMA,
            "index": index,
            "domain": record.domain(),
            "network": record.network(),
            "signer": record.signer(),
            "sequence": record.sequence(),
            "previous": Bytes(record.previous()),
            "hash": Bytes(record.hash()),
            "payload": said(record.payload()),
            "bytes": hex(bytes),
        }),
        Err(error) => json!({ "schema": SCHEMA, "index": index, "error": error.to_string(), "bytes": hex(bytes) }),
    }
}

/// A signed value as JSON: bytes are hex.
fn said(value: &Said) -> Value {
    match value {
        Said::Unsigned(number) => json!(number),
        // JSON's readers lose what goes beyond 64 bits: as text it is kept.
        Said::Negative(number) => {
            value.as_i64().map_or_else(|| json!((-1 - i128::from(*number)).to_string()), |number| json!(number))
        }
        Said::Bytes(bytes) => json!(hex(bytes)),
        Said::Text(text) => json!(text),
        Said::Bool(bit) => json!(bit),
        Said::Null => Value::Null,
        Said::Array(values) => values.iter().map(said).collect(),
        Said::Map(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), said(value))).collect::<Map<_, _>>())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
