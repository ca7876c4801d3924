//! Keys whose point begins with given bits.
//!
//! FIND_NODE carries bytes, and where they belong is their hash: to ask for a region of the key space, bytes that hash into it have
//! to be found. One table of them serves every lookup of a process.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::key::Point;

/// Leading bits that can be asked for. Amino's 10,000 servers fill the buckets of 9 bits.
pub(super) const MAX_BITS: u16 = 12;

static TABLE: OnceLock<Vec<[u8; 4]>> = OnceLock::new();

/// Bytes whose point shares exactly `bits` leading bits with `point`, and that point. `bits` is at most [`MAX_BITS`] - 1.
pub(super) fn key_at(point: &Point, bits: u16) -> ([u8; 4], Point) {
    let bits = bits.min(MAX_BITS - 1);
    let own = u16::from_be_bytes([point.as_bytes()[0], point.as_bytes()[1]]) >> (16 - MAX_BITS);
    // The first bit that differs is number `bits`; the ones behind it stay as they are.
    let wanted = own ^ (1 << (MAX_BITS - 1 - bits));
    let key = table()[usize::from(wanted)];
    (key, point_of(key))
}

fn point_of(key: [u8; 4]) -> Point {
    Point::from_bytes(Sha256::digest(key).into())
}

/// The first four-byte number for every prefix. Some 35,000 hashes find all 4,096.
fn table() -> &'static Vec<[u8; 4]> {
    TABLE.get_or_init(|| {
        let mut found: Vec<Option<[u8; 4]>> = vec![None; 1 << MAX_BITS];
        let mut left = found.len();
        for number in 0_u32.. {
            if left == 0 {
                break;
            }
            let key = number.to_be_bytes();
            let point = point_of(key);
            let prefix = u16::from_be_bytes([point.as_bytes()[0], point.as_bytes()[1]]) >> (16 - MAX_BITS);
            let slot = &mut found[usize::from(prefix)];
            if slot.is_none() {
                *slot = Some(key);
                left -= 1;
            }
        }
        found.into_iter().flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;

    #[test]
    fn every_depth_is_hit_exactly() {
        for _ in 0..20 {
            let point = Point::of_peer(&PeerId::random());
            for bits in 0..MAX_BITS {
                let (key, at) = key_at(&point, bits);
                assert_eq!(point.distance(&at).common_bits(), bits);
                assert_eq!(at, point_of(key));
            }
        }
    }
}
