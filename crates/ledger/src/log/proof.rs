//! Proofs over the tree: that a record is in it, and that a larger tree begins with a smaller one (RFC 9162 §2.1.3 and §2.1.4).

use peermark_core::sealed::Digest32;

use super::tree::{empty_root, node_hash, subtrees};

/// Most hashes of a proof: one per level of the largest tree, and one for the right edge.
pub const MAX_PATH: usize = 65;

/// Proves that a record is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Index of the record.
    pub index: u64,
    /// Size of the tree, records.
    pub size: u64,
    /// Hashes beside the way from the record to the root, lowest first.
    pub path: Vec<Digest32>,
}

/// Proves that a tree begins with all records of a smaller one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Size of the smaller tree, records.
    pub old_size: u64,
    /// Size of the larger tree, records.
    pub new_size: u64,
    /// Hashes that lead to both roots.
    pub path: Vec<Digest32>,
}

impl Inclusion {
    /// The proof for record `index` of the tree of `size`, from the hashes that `stored` returns for (level, number) of a complete
    /// subtree. It reads as many as the tree has levels, twice at most. The caller makes sure that `index < size`.
    ///
    /// # Errors
    /// The first one of `stored`.
    pub fn build<E>(index: u64, size: u64, mut stored: impl FnMut(u32, u64) -> Result<Digest32, E>) -> Result<Self, E> {
        let (mut from, mut to) = (0, size);
        let mut path = Vec::new();
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(range(middle, to, &mut stored)?);
                to = middle;
            } else {
                path.push(range(from, middle, &mut stored)?);
                from = middle;
            }
        }
        path.reverse();
        Ok(Self { index, size, path })
    }

    /// Whether it proves that the record with this leaf hash is in the tree with this root.
    pub fn verify(&self, leaf: &Digest32, root: &Digest32) -> bool {
        if self.index >= self.size {
            return false;
        }
        let (mut at, mut last) = (self.index, self.size - 1);
        let mut hash = *leaf;
        for beside in &self.path {
            if last == 0 {
                return false;
            }
            if at & 1 == 1 || at == last {
                hash = node_hash(beside, &hash);
                // A node without a right neighbour is its parent: climb to where it is a right one.
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        last == 0 && hash == *root
    }
}

impl Consistency {
    /// The proof from the tree of `old_size` to that of `new_size`; see [`Inclusion::build`]. The caller makes sure that the old one
    /// is not larger.
    ///
    /// # Errors
    /// The first one of `stored`.
    pub fn build<E>(
        old_size: u64,
        new_size: u64,
        mut stored: impl FnMut(u32, u64) -> Result<Digest32, E>,
    ) -> Result<Self, E> {
        let mut path = Vec::new();
        let (mut from, mut to) = (0, new_size);
        // Nothing is to be proven of an empty tree, nor of two equal ones.
        if old_size > 0 && old_size < new_size {
            while to != old_size {
                let middle = from + split(to - from);
                if old_size <= middle {
                    path.push(range(middle, to, &mut stored)?);
                    to = middle;
                } else {
                    path.push(range(from, middle, &mut stored)?);
                    from = middle;
                }
            }
            // The verifier knows the old root itself.
            if from > 0 {
                path.push(range(from, to, &mut stored)?);
            }
            path.reverse();
        }
        Ok(Self { old_size, new_size, path })
    }

    /// Whether it proves that the tree with the new root begins with the tree with the old root.
    pub fn verify(&self, old_root: &Digest32, new_root: &Digest32) -> bool {
        if self.old_size >= self.new_size {
            return self.old_size == self.new_size && self.path.is_empty() && old_root == new_root;
        }
        if self.old_size == 0 {
            return self.path.is_empty() && *old_root == empty_root();
        }
        let (mut at, mut last) = (self.old_size - 1, self.new_size - 1);
        while at & 1 == 1 {
            at >>= 1;
            last >>= 1;
        }
        let mut path = self.path.iter();
        // A complete old tree is a subtree of the new one, and its root the beginning.
        let first = if self.old_size.is_power_of_two() { Some(old_root) } else { path.next() };
        let Some(first) = first else { return false };
        let (mut old, mut new) = (*first, *first);
        for beside in path {
            if last == 0 {
                return false;
            }
            if at & 1 == 1 || at == last {
                old = node_hash(beside, &old);
                new = node_hash(beside, &new);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        last == 0 && old == *old_root && new == *new_root
    }
}

/// The largest power of two below `length`, which is more than one.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// The root over a range of RFC 6962.
fn range<E>(from: u64, to: u64, stored: &mut impl FnMut(u32, u64) -> Result<Digest32, E>) -> Result<Digest32, E> {
    let parts: Vec<Digest32> =
        subtrees(from, to).map(|(level, number)| stored(level, number)).collect::<Result<_, E>>()?;
    let mut parts = parts.iter().rev();
    // A range that is asked for is never empty.
    let last = parts.next().copied().unwrap_or_else(empty_root);
    Ok(parts.fold(last, |right, left| node_hash(left, &right)))
}
