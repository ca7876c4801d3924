//! Segments: the files that hold the records, one after another.
//!
//! A segment begins with a header of [`HEADER_BYTES`]: magic (8), version (u32), length of the header (u32), genesis hash (32), index
//! of its first record (u64), value of the hash chain (32) and root of the tree (32) before that record, and the CRC-32C of all this.
//! Records follow without gaps: CRC-32C (u32) of all that follows and of the header's CRC, length of the bytes (u16), flags (u16),
//! index (u64), bytes. Numbers are little-endian. The last segment may end with zeros, room that is taken before it is needed; every
//! other one ends with its last record. The log's format is written down in `docs/formats/ledger-log.md`.

use peermark_core::sealed::Digest32;

use super::error::{Damage, hex};

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 124;

/// Bytes before each record.
pub const FRAME_BYTES: usize = 16;

/// Version of the format.
pub const VERSION: u32 = 1;

/// Set in the first record of every group that was synced together: everything before such a record was on the disk when it was
/// written, so damage before it is no torn end.
pub(crate) const FIRST_OF_GROUP: u16 = 1;

const MAGIC: [u8; 8] = *b"PMLEDGER";
const SUFFIX: &str = ".seg";
const CRC_BYTES: usize = 4;

/// The first bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) genesis: Digest32,
    pub(crate) first: u64,
    pub(crate) chain: Digest32,
    pub(crate) root: Digest32,
}

/// Name of the segment that begins with this record.
pub(crate) fn name_of(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// First record of the segment of this name; `None` of another file.
pub(crate) fn first_of(name: &str) -> Option<u64> {
    let first = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (name_of(first) == name).then_some(first)
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((HEADER_BYTES as u32).to_le_bytes());
        bytes.extend(self.genesis);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.chain);
        bytes.extend(self.root);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Reads the header of `file`.
    pub(crate) fn decode(file: &str, bytes: &[u8]) -> Result<Self, Damage> {
        let Some((body, crc)) = bytes.get(..HEADER_BYTES).and_then(|bytes| bytes.split_last_chunk::<CRC_BYTES>())
        else {
            return Err(Damage::new(
                file,
                0,
                format!("a header of {HEADER_BYTES} bytes"),
                format!("{} bytes", bytes.len()),
            ));
        };
        let (found, expected) = (u32::from_le_bytes(*crc), crc32c::crc32c(body));
        if found != expected {
            let expected = format!("a header with checksum {expected:08x}");
            return Err(Damage::new(file, 0, expected, format!("{found:08x}")));
        }
        let array = |at: usize| -> Digest32 { std::array::from_fn(|byte| body[at + byte]) };
        let header = Self { genesis: array(16), first: u64_at(body, 48), chain: array(56), root: array(88) };
        // Magic, version and length have one form each in this version.
        let expected = header.encode();
        if expected != bytes[..HEADER_BYTES] {
            return Err(Damage::new(file, 0, format!("a segment of version {VERSION}"), hex_of(&bytes[..16])));
        }
        Ok(header)
    }

    /// The salt of the checksums of this segment's records: a record of another segment is none here.
    pub(crate) fn salt(&self) -> u32 {
        let bytes = self.encode();
        crc32c::crc32c(&bytes[..HEADER_BYTES - CRC_BYTES])
    }

    /// Compares with what the segments before lead to.
    pub(crate) fn expect(&self, file: &str, expected: &Self) -> Result<(), Damage> {
        let digest = |at, what: &str, expected: &Digest32, found: &Digest32| {
            if expected == found {
                Ok(())
            } else {
                Err(Damage::new(file, at, format!("{what} {}", hex(expected)), hex(found)))
            }
        };
        digest(16, "genesis", &expected.genesis, &self.genesis)?;
        if self.first != expected.first {
            return Err(Damage::new(file, 48, format!("record {}", expected.first), self.first.to_string()));
        }
        digest(56, "chain", &expected.chain, &self.chain)?;
        digest(88, "root", &expected.root, &self.root)
    }
}

/// Appends one record. The caller checked its length.
pub(crate) fn encode_record(salt: u32, flags: u16, index: u64, record: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    into.extend([0; CRC_BYTES]);
    into.extend((record.len() as u16).to_le_bytes());
    into.extend(flags.to_le_bytes());
    into.extend(index.to_le_bytes());
    into.extend(record);
    let crc = crc32c::crc32c_append(salt, &into[start + CRC_BYTES..]);
    into[start..start + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// What stands where a record may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'b> {
    /// A record.
    Record(&'b [u8]),
    /// No record, and why.
    Invalid { expected: String, found: String },
}

/// Reads the record `index` at the beginning of `bytes`, which hold it whole or end with the file.
pub(crate) fn decode_record(salt: u32, index: u64, bytes: &[u8]) -> Decoded<'_> {
    let invalid = |expected: String, found: String| Decoded::Invalid { expected, found };
    if bytes.len() < FRAME_BYTES {
        return invalid(format!("record {index}"), format!("{} bytes", bytes.len()));
    }
    let length = length_at(bytes);
    let Some(body) = bytes.get(CRC_BYTES..FRAME_BYTES + length) else {
        return invalid(format!("record {index} of {length} bytes"), format!("{} bytes", bytes.len() - FRAME_BYTES));
    };
    let crc = crc32c::crc32c_append(salt, body);
    let stated = u32::from_le_bytes(std::array::from_fn(|byte| bytes[byte]));
    if crc != stated {
        return invalid(format!("record {index} with checksum {crc:08x}"), format!("{stated:08x}"));
    }
    let flags = u16::from_le_bytes([bytes[6], bytes[7]]);
    let stated = u64_at(bytes, 8);
    if stated != index || length == 0 || flags & !FIRST_OF_GROUP != 0 {
        return invalid(format!("record {index}"), format!("record {stated} of {length} bytes with flags {flags}"));
    }
    Decoded::Record(&body[FRAME_BYTES - CRC_BYTES..])
}

/// Whether the frame at the beginning of `bytes` says that it is the first of its group. The caller made sure that a frame is there.
pub(crate) fn begins_group(bytes: &[u8]) -> bool {
    u16::from_le_bytes([bytes[6], bytes[7]]) & FIRST_OF_GROUP != 0
}

/// The length that the frame at the beginning of `bytes` states, bytes. The caller made sure that a frame is there.
pub(crate) fn length_at(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[4], bytes[5]]))
}

/// The index that the frame at the beginning of `bytes` states. The caller made sure that a frame is there.
pub(crate) fn index_at(bytes: &[u8]) -> u64 {
    u64_at(bytes, 8)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
