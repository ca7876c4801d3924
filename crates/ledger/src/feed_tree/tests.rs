use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

fn chunks(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|at| vec![at as u8; (at as usize * 7) % 50 + 1]).collect()
}

/// The definition, read literally: no incremental work, no shared code.
fn naive(chunks: &[Vec<u8>], first: u64) -> (Digest, u64, u64) {
    let hash = |parts: &[&[u8]]| Bytes(Sha256::digest(parts.concat()).into());
    if let [chunk] = chunks {
        let bytes = chunk.len() as u64;
        return (hash(&[&[0], &bytes.to_be_bytes(), &Sha256::digest(chunk)]), bytes, 2 * first);
    }
    let half = chunks.len() / 2;
    let (left, right) = (naive(&chunks[..half], first), naive(&chunks[half..], first + half as u64));
    let bytes = left.1 + right.1;
    (hash(&[&[1], &bytes.to_be_bytes(), &left.0.0, &right.0.0]), bytes, left.2.midpoint(right.2))
}

fn naive_root(chunks: &[Vec<u8>]) -> Digest {
    let (mut input, mut rest, mut first) = (vec![2], chunks, 0);
    while !rest.is_empty() {
        let full = 1 << rest.len().ilog2();
        let (hash, bytes, number) = naive(&rest[..full], first);
        input.extend(hash.0);
        input.extend(number.to_be_bytes());
        input.extend(bytes.to_be_bytes());
        (rest, first) = (&rest[full..], first + full as u64);
    }
    Bytes(Sha256::digest(input).into())
}

#[test]
fn roots_are_those_of_the_definition() {
    let all = chunks(70);
    let tree = Tree::of_chunks(&all);
    for length in 0..=70 {
        assert_eq!(tree.root(length as u64), naive_root(&all[..length]), "{length}");
    }
    assert_eq!(tree.bytes(), all.iter().map(|chunk| chunk.len() as u64).sum::<u64>());
}

/// S27, S28, S30: every proof holds and tells sizes; sizes that are known need not be sent; two prefixes give the size of a range.
#[test]
fn s27_proofs_tell_sizes_and_s30_known_ones_may_be_left_out() {
    let all = chunks(23);
    let tree = Tree::of_chunks(&all);
    let root = tree.root(23);
    let mut known = BTreeMap::new();
    for chunk in 0..23 {
        let mut proof = tree.proof(chunk, 23).unwrap();
        let full = proof.verify(chunk, 23, &root, |_| None).unwrap();
        for node in proof.siblings.iter_mut().chain(&mut proof.peaks) {
            node.bytes = None;
        }
        if chunk == 0 {
            assert_eq!(
                proof.verify(chunk, 23, &root, |node| known.get(&node).copied()),
                Err(ProofError::UnknownSize { index: 2 })
            );
        }
        known.extend(full.clone());
        assert_eq!(proof.verify(chunk, 23, &root, |node| known.get(&node).copied()), Ok(full));
    }
    // Every node of every full tree is known now.
    // 16 + 4 + 2 + 1 chunks in full trees of 31, 7, 3 and 1 nodes.
    assert_eq!(known.len(), 31 + 7 + 3 + 1);
    let size = |first: usize, last: usize| all[first..=last].iter().map(|chunk| chunk.len() as u64).sum::<u64>();
    for first in 0..23 {
        for last in first..23 {
            assert_eq!(
                range_bytes(|node| known.get(&node).copied(), |_| None, first as u64, last as u64),
                Some(size(first, last))
            );
        }
    }
}

/// S28: the bytes of two versions determine those of the range between them, without any node.
#[test]
fn s28_two_versions_give_a_range() {
    let versions = BTreeMap::from([(0, 0), (10, 640), (25, 1640)]);
    let prefix = |length| versions.get(&length).copied();
    assert_eq!(range_bytes(|_| None, prefix, 10, 24), Some(1000));
    assert_eq!(range_bytes(|_| None, prefix, 0, 24), Some(1640));
    assert_eq!(range_bytes(|_| None, prefix, 10, 23), None);
    assert_eq!(range_bytes(|_| None, prefix, 5, 4), None);
    assert_eq!(range_bytes(|_| None, prefix, 0, u64::MAX), None);
}

#[test]
fn what_is_forged_is_refused() {
    let tree = Tree::of_chunks(chunks(13));
    let root = tree.root(13);
    let none = |_| None;
    for chunk in 0..13 {
        let good = tree.proof(chunk, 13).unwrap();
        for (other, wrong) in (0..13).map(|other| (other, good.verify(other, 13, &root, none))) {
            assert_eq!(wrong.is_ok(), other == chunk, "{chunk} {other}");
        }
        let mut forged = Vec::new();
        forged.push(Proof { bytes: good.bytes + 1, ..good.clone() });
        forged.push(Proof { digest: Bytes([9; 32]), ..good.clone() });
        for at in 0..good.siblings.len() {
            let mut one = good.clone();
            one.siblings[at].bytes = one.siblings[at].bytes.map(|bytes| bytes + 1);
            forged.push(one);
        }
        for at in 0..good.peaks.len() {
            let mut one = good.clone();
            one.peaks[at].hash = Bytes([1; 32]);
            forged.push(one);
            let mut two = good.clone();
            two.peaks[at].bytes = Some(u64::MAX);
            forged.push(two);
        }
        for (at, forged) in forged.iter().enumerate() {
            let found = forged.verify(chunk, 13, &root, none).unwrap_err();
            assert!(matches!(found, ProofError::Root | ProofError::Overflow), "{chunk} {at}: {found}");
        }
    }
    let good = tree.proof(12, 13).unwrap();
    assert_eq!(good.verify(13, 13, &root, none), Err(ProofError::Outside { chunk: 13, length: 13 }));
    let long = MAX_LENGTH + 1;
    assert_eq!(good.verify(12, long, &root, none), Err(ProofError::Outside { chunk: 12, length: long }));
    assert_eq!(good.verify(12, 12 + 4, &root, none), Err(ProofError::Shape { expected: 4, found: 2 }));
    assert_eq!(tree.proof(13, 13), None);
    assert_eq!(tree.proof(3, 14), None);
}

proptest! {
    #[test]
    fn proofs_of_any_length_hold(count in 1_u64..200, chunk in 0_u64..200, length in 0_u64..200) {
        let tree = Tree::of_chunks(chunks(count));
        match tree.proof(chunk, length) {
            Some(proof) => {
                prop_assert!(chunk < length && length <= count);
                let sizes = proof.verify(chunk, length, &tree.root(length), |_| None).unwrap();
                prop_assert_eq!(sizes.get(&(2 * chunk)), Some(&proof.bytes));
                if length < count {
                    prop_assert!(proof.verify(chunk, length, &tree.root(count), |_| None).is_err());
                }
            }
            None => prop_assert!(chunk >= length || length > count),
        }
    }
}
