//! Proofs beside the definition of RFC 6962, written down as plainly as it stands there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use peermark_core::sealed::Digest32;
use peermark_ledger::log::tree::{Frontier, empty_root, leaf_hash, node_hash};
use peermark_ledger::log::{Consistency, Inclusion, Log, LogError};
use peermark_testkit::times;
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::log_disk::FaultyFiles;
use crate::log_fixture::{chance, options, record, records};

/// RFC 6962 §2.1, by recursion over ranges of the leaves.
pub(crate) struct Oracle {
    pub(crate) leaves: Vec<Digest32>,
    known: HashMap<(usize, usize), Digest32>,
}

impl Oracle {
    fn new(size: u64) -> Self {
        Self::of((0..size).map(|number| leaf_hash(&record(number))).collect())
    }

    pub(crate) fn of(leaves: Vec<Digest32>) -> Self {
        Self { leaves, known: HashMap::new() }
    }

    fn split(length: usize) -> usize {
        let mut k = 1;
        while 2 * k < length {
            k *= 2;
        }
        k
    }

    /// MTH(D[from:to]).
    fn root(&mut self, from: usize, to: usize) -> Digest32 {
        if to == from {
            return Sha256::digest([]).into();
        }
        if to - from == 1 {
            return self.leaves[from];
        }
        if let Some(known) = self.known.get(&(from, to)) {
            return *known;
        }
        let k = Self::split(to - from);
        let root = node_hash(&self.root(from, from + k), &self.root(from + k, to));
        self.known.insert((from, to), root);
        root
    }

    /// PATH(m, D[from:to]) of §2.1.1.
    fn path(&mut self, m: usize, from: usize, to: usize) -> Vec<Digest32> {
        if to - from == 1 {
            return Vec::new();
        }
        let k = Self::split(to - from);
        let (mut path, beside) = if m < k {
            (self.path(m, from, from + k), self.root(from + k, to))
        } else {
            (self.path(m - k, from + k, to), self.root(from, from + k))
        };
        path.push(beside);
        path
    }

    /// SUBPROOF(m, D[from:to], b) of §2.1.2.
    fn subproof(&mut self, m: usize, from: usize, to: usize, b: bool) -> Vec<Digest32> {
        if m == to - from {
            return if b { Vec::new() } else { vec![self.root(from, to)] };
        }
        let k = Self::split(to - from);
        let (mut path, beside) = if m <= k {
            (self.subproof(m, from, from + k, b), self.root(from + k, to))
        } else {
            (self.subproof(m - k, from + k, to, false), self.root(from, from + k))
        };
        path.push(beside);
        path
    }
}

/// `make prove-ledger-cuts` asks for 1024.
#[test]
fn all_proofs_of_all_sizes_are_those_of_the_definition() {
    let most = u64::from(times(option_env!("PEERMARK_SIZES"), 130));
    let mut oracle = Oracle::new(most);
    let mut log = Log::open(options(Arc::new(FaultyFiles::new()))).unwrap();
    log.append(&records(0..most)).unwrap();
    let reader = log.reader();
    assert_eq!(reader.root(0).unwrap(), empty_root());
    let mut proofs = 0;
    for size in 1..=most {
        let root = oracle.root(0, size as usize);
        assert_eq!(reader.root(size).unwrap(), root);
        // Which proofs are checked against the files, and not only against the hashes: those of the ends and of the sizes' neighbours.
        for index in 0..size {
            let path = oracle.path(index as usize, 0, size as usize);
            let proof = Inclusion { index, size, path };
            assert!(proof.verify(&oracle.leaves[index as usize], &root), "record {index} of {size}");
            let built =
                Inclusion::build(index, size, |level, number| Ok::<_, Infallible>(stored(&mut oracle, level, number)));
            assert_eq!(built.unwrap(), proof);
            if index < 2 || index + 2 >= size {
                assert_eq!(reader.inclusion(index, size).unwrap(), proof);
            }
            let old = index + 1;
            let path = oracle.subproof(old as usize, 0, size as usize, true);
            let proof = Consistency { old_size: old, new_size: size, path };
            assert!(proof.verify(&oracle.root(0, old as usize), &root), "{old} to {size}");
            let built =
                Consistency::build(old, size, |level, number| Ok::<_, Infallible>(stored(&mut oracle, level, number)));
            assert_eq!(built.unwrap(), proof);
            if old < 3 || old + 2 >= size {
                assert_eq!(reader.consistency(old, size).unwrap(), proof);
            }
            proofs += 2;
        }
    }
    println!("{proofs} proofs of sizes up to {most}");
}

/// The root of a complete subtree.
pub(crate) fn stored(oracle: &mut Oracle, level: u32, number: u64) -> Digest32 {
    oracle.root((number << level) as usize, ((number + 1) << level) as usize)
}

/// Trees too large to build, of one record over and over: every complete subtree of a height has the same root.
#[test]
fn proofs_hold_in_trees_of_up_to_2_to_the_62() {
    let mut levels = vec![leaf_hash(b"the same")];
    for level in 0..62 {
        levels.push(node_hash(&levels[level], &levels[level]));
    }
    let root = |size: u64| {
        let peaks = (0..63).rev().filter(|level| size >> level & 1 == 1).map(|level| levels[level]).collect();
        Frontier::new(size, peaks).unwrap().root()
    };
    let mut chance = chance("large trees", 0);
    for _ in 0..times(option_env!("PEERMARK_SIZES"), 130) * 10 {
        let bits = 1 + chance.next_u32() % 62;
        let size = 2 + chance.next_u64() % ((1 << bits) - 1);
        let (index, old) = (chance.next_u64() % size, 1 + chance.next_u64() % (size - 1));
        let mut reads = 0;
        let proof = Inclusion::build(index, size, |level, _| {
            reads += 1;
            Ok::<_, Infallible>(levels[level as usize])
        });
        assert!(proof.unwrap().verify(&levels[0], &root(size)), "record {index} of {size}");
        assert!(reads <= 2 * size.ilog2() + 2, "{reads} hashes for {size} records");
        let proof = Consistency::build(old, size, |level, _| Ok::<_, Infallible>(levels[level as usize])).unwrap();
        assert!(proof.verify(&root(old), &root(size)), "{old} to {size}");
        let proof = Consistency { path: proof.path[1..].to_vec(), ..proof };
        assert!(!proof.verify(&root(old), &root(size)));
    }
}

/// `make prove-ledger-cuts` asks for a million.
#[test]
fn forged_proofs_are_rejected() {
    let mut oracle = Oracle::new(200);
    let mut chance = chance("forgeries", 0);
    for _ in 0..times(option_env!("PEERMARK_FORGERIES"), 20_000) / 2 {
        let size = 2 + chance.next_u64() % 199;
        let (index, old) = (chance.next_u64() % size, 1 + chance.next_u64() % (size - 1));
        let (leaf, root) = (oracle.leaves[index as usize], oracle.root(0, size as usize));
        let path = oracle.path(index as usize, 0, size as usize);
        let mut forged = Inclusion { index, size, path };
        // With its number changed too, a proof may say something else that is true: of another record with the same way.
        match chance.next_u32() % 2 {
            0 => forged.index = (index + 1 + chance.next_u64() % (size - 1)) % size,
            _ => forge(&mut forged.path, &mut chance),
        }
        assert!(!forged.verify(&leaf, &root), "{forged:?}");
        let old_root = oracle.root(0, old as usize);
        let path = oracle.subproof(old as usize, 0, size as usize, true);
        let mut forged = Consistency { old_size: old, new_size: size, path };
        forge(&mut forged.path, &mut chance);
        assert!(!forged.verify(&old_root, &root), "{forged:?}");
    }
    let empty = Inclusion { index: 0, size: 0, path: vec![] };
    assert!(!empty.verify(&oracle.leaves[0], &oracle.leaves[0]));
    let backwards = Consistency { old_size: 2, new_size: 1, path: vec![] };
    assert!(!backwards.verify(&empty_root(), &empty_root()));
    let none = Consistency { old_size: 0, new_size: 5, path: vec![] };
    assert!(none.verify(&empty_root(), &oracle.root(0, 5)) && !none.verify(&[0; 32], &oracle.root(0, 5)));
}

fn forge(path: &mut Vec<Digest32>, chance: &mut impl Rng) {
    let at = chance.next_u64() as usize % path.len();
    match chance.next_u32() % 5 {
        0 => drop(path.remove(at)),
        1 => path.insert(at, path[at]),
        2 => path.push([0; 32]),
        3 if at > 0 && path[at] != path[at - 1] => path.swap(at, at - 1),
        _ => path[at][chance.next_u64() as usize % 32] ^= 1 << (chance.next_u32() % 8),
    }
}

#[test]
fn proofs_of_what_is_not_there_are_refused() {
    let mut log = Log::open(options(Arc::new(FaultyFiles::new()))).unwrap();
    log.append(&records(0..10)).unwrap();
    let reader = log.reader();
    for (index, size) in [(10, 10), (11, 10), (0, 11), (0, u64::MAX)] {
        assert!(matches!(reader.inclusion(index, size), Err(LogError::NoProof { .. })), "{index} of {size}");
    }
    for (old, new) in [(5, 4), (5, 11), (u64::MAX, u64::MAX)] {
        assert!(matches!(reader.consistency(old, new), Err(LogError::NoProof { .. })), "{old} to {new}");
    }
    assert!(reader.consistency(0, 10).unwrap().verify(&empty_root(), &log.root()));
}
