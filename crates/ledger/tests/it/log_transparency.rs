//! Proofs beside those of Certificate Transparency's reference implementation.

use std::convert::Infallible;

use peermark_core::sealed::Digest32;
use peermark_ledger::log::tree::leaf_hash;
use peermark_ledger::log::{Consistency, Inclusion};

use crate::log_proofs::{Oracle, stored};

/// The tree that Certificate Transparency's reference implementation tests with.
fn transparency() -> Oracle {
    let records = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    Oracle::of(records.iter().map(|record| leaf_hash(&bytes(record))).collect())
}

fn hashes(hashes: &[&str]) -> Vec<Digest32> {
    hashes.iter().map(|hash| bytes(hash).try_into().unwrap()).collect()
}

/// The inclusion proofs of that implementation's tests.
#[test]
fn inclusion_proofs_are_those_of_certificate_transparency() {
    let inclusions = [
        (0, 1, vec![]),
        (
            0,
            8,
            hashes(&[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]),
        ),
        (
            5,
            8,
            hashes(&[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]),
        ),
        (2, 3, hashes(&["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"])),
        (
            1,
            5,
            hashes(&[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]),
        ),
    ];
    let mut oracle = transparency();
    for (index, size, path) in inclusions {
        let built =
            Inclusion::build(index, size, |level, number| Ok::<_, Infallible>(stored(&mut oracle, level, number)));
        assert_eq!(built.unwrap(), Inclusion { index, size, path });
    }
}

/// The consistency proofs of that implementation's tests.
#[test]
fn consistency_proofs_are_those_of_certificate_transparency() {
    let consistencies = [
        (1, 1, vec![]),
        (
            1,
            8,
            hashes(&[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]),
        ),
        (
            6,
            8,
            hashes(&[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]),
        ),
        (
            2,
            5,
            hashes(&[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]),
        ),
    ];
    let mut oracle = transparency();
    for (old_size, new_size, path) in consistencies {
        let built = Consistency::build(old_size, new_size, |level, number| {
            Ok::<_, Infallible>(stored(&mut oracle, level, number))
        });
        assert_eq!(built.unwrap(), Consistency { old_size, new_size, path });
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}
