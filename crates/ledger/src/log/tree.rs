//! The Merkle tree of RFC 6962 (§2.1; RFC 9162 §2.1): hashes, the growing right edge, and where each hash is kept.

use peermark_core::sealed::Digest32;
use sha2::{Digest, Sha256};

/// The hash of one record: `SHA-256(0x00 || record)`.
pub fn leaf_hash(record: &[u8]) -> Digest32 {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// The hash of two subtrees: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Digest32, right: &Digest32) -> Digest32 {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without records: `SHA-256("")`.
pub fn empty_root() -> Digest32 {
    Sha256::digest([]).into()
}

/// The next value of the chain that runs through the segments: `SHA-256(previous || leaf hash)`.
pub fn chain_next(previous: &Digest32, leaf: &Digest32) -> Digest32 {
    Sha256::new().chain_update(previous).chain_update(leaf).finalize().into()
}

/// A tree that grows: of every complete subtree only the root, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest32>,
}

impl Frontier {
    /// A tree of `size` records from the roots of its complete subtrees; `None` where that is not their number.
    pub fn new(size: u64, peaks: Vec<Digest32>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Records in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a record. `kept` gets its leaf and every subtree that it completes, in the order in which they are stored.
    pub fn push(&mut self, leaf: Digest32, kept: &mut Vec<Digest32>) {
        kept.push(leaf);
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            // One subtree per one in the size: there is one.
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                kept.push(hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the whole.
    pub fn root(&self) -> Digest32 {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// How many hashes are stored of a tree of `size` records: leaves and complete subtrees.
pub fn stored_count(size: u64) -> u64 {
    // The leaves, and the inner nodes of complete trees of 2^k leaves, which are one fewer each.
    2 * size - u64::from(size.count_ones())
}

/// Where the root of the complete subtree of 2^`level` records from `number` * 2^`level` on is stored. A subtree follows its last
/// leaf, below those around it, so what is stored never moves.
pub fn stored_at(level: u32, number: u64) -> u64 {
    let last_leaf = ((number + 1) << level) - 1;
    stored_count(last_leaf) + u64::from(level)
}

/// The complete subtrees that make up the records from `from` to `to`, left to right, as (level, number). `from` is a multiple of the
/// largest power of two below the range's length, as in every range of RFC 6962.
pub(crate) fn subtrees(from: u64, to: u64) -> impl Iterator<Item = (u32, u64)> {
    let mut at = from;
    std::iter::from_fn(move || {
        let left = to.checked_sub(at).filter(|left| *left > 0)?;
        let level = left.ilog2();
        let subtree = (level, at >> level);
        at += 1 << level;
        Some(subtree)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of RFC 6962's tests (Certificate Transparency's reference implementation): eight records and the roots of all sizes.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let records =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        let mut kept = Vec::new();
        assert_eq!(super::super::error::hex(&tree.root()), roots[0]);
        for (record, root) in records.iter().zip(&roots[1..]) {
            let bytes: Vec<u8> =
                (0..record.len() / 2).map(|at| u8::from_str_radix(&record[2 * at..2 * at + 2], 16).unwrap()).collect();
            tree.push(leaf_hash(&bytes), &mut kept);
            assert_eq!(super::super::error::hex(&tree.root()), *root, "size {}", tree.size());
        }
        assert_eq!(kept.len() as u64, stored_count(8));
    }

    #[test]
    fn every_subtree_is_stored_where_it_is_looked_for() {
        let mut tree = Frontier::default();
        let mut kept = Vec::new();
        let leaves: Vec<Digest32> = (0u32..200).map(|number| leaf_hash(&number.to_le_bytes())).collect();
        for leaf in &leaves {
            tree.push(*leaf, &mut kept);
            assert_eq!(kept.len() as u64, stored_count(tree.size()));
        }
        for level in 0..=7 {
            for number in 0..200 >> level {
                let from = (number << level) as usize;
                let mut part = Frontier::default();
                leaves[from..from + (1 << level)].iter().for_each(|leaf| part.push(*leaf, &mut Vec::new()));
                assert_eq!(kept[stored_at(level, number) as usize], part.root(), "level {level}, number {number}");
            }
        }
    }
}
