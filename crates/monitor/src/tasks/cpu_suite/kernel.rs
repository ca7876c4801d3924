//! The kernels: what each does, how much work one batch is, and what its answer has to be.
//!
//! A batch takes some milliseconds at most on a slow machine, so that a round ends on time. Its answer is the same on every machine;
//! the constants were computed once, and where there are published vectors of the algorithm, its own tests check those.

use std::hint::black_box;

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::memory;
use crate::tasks::cpu_benchmark::checksum;

/// Bytes that checksums and ciphers work on: a block of the node.
const BLOCK_BYTES: usize = 64 << 10;

/// One batch of work; whether its answer was right.
pub(super) type Batch = Box<dyn FnMut() -> bool + Send>;

/// What a kernel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Compute,
    Crypto,
    Memory,
}

/// One kernel.
pub(super) struct Kernel {
    pub(super) name: &'static str,
    pub(super) group: Group,
    /// What is counted per second.
    pub(super) unit: &'static str,
    /// Whether it runs on all CPUs too: latency of memory is that of one.
    pub(super) on_all: bool,
    /// Makes the work of one thread, and how many of `unit` one batch of it is. Given the bytes of an array.
    pub(super) make: fn(u64) -> (Batch, u64),
}

const fn kernel(name: &'static str, group: Group, unit: &'static str, make: fn(u64) -> (Batch, u64)) -> Kernel {
    Kernel { name, group, unit, on_all: true, make }
}

const fn latency(name: &'static str, make: fn(u64) -> (Batch, u64)) -> Kernel {
    Kernel { name, group: Group::Memory, unit: "loads", on_all: false, make }
}

/// All of them, in the order in which they run.
pub(super) static ALL: [Kernel; 15] = [
    kernel("int_chain", Group::Compute, "steps", |_| int_chain()),
    kernel("int_throughput", Group::Compute, "steps", |_| int_throughput()),
    kernel("branchy", Group::Compute, "bytes", |_| branchy()),
    kernel("f64_matrix", Group::Compute, "flop", |_| f64_matrix()),
    kernel("sha256", Group::Compute, "bytes", |_| sha256()),
    kernel("crc64", Group::Compute, "bytes", |_| crc64()),
    kernel("aes_256_gcm", Group::Crypto, "bytes", |_| cipher(&AES_256_GCM, AES_ANSWER)),
    kernel("chacha20_poly1305", Group::Crypto, "bytes", |_| cipher(&CHACHA20_POLY1305, CHACHA_ANSWER)),
    kernel("ed25519_sign", Group::Crypto, "signatures", |_| ed25519_sign()),
    kernel("ed25519_verify", Group::Crypto, "signatures", |_| ed25519_verify()),
    kernel("memory_copy", Group::Memory, "bytes", memory::copy),
    kernel("memory_triad", Group::Memory, "bytes", memory::triad),
    latency("chase_32k", |_| memory::chase(32 << 10)),
    latency("chase_1m", |_| memory::chase(1 << 20)),
    latency("chase_64m", |_| memory::chase(64 << 20)),
];

const CHAIN_ANSWER: u64 = 0x1ea9_310e_bfce_042d;
const THROUGHPUT_ANSWER: u64 = 0xbbfa_e11e_74f9_306e;
const BRANCHY_ANSWER: u64 = 0x3258_7d79_44eb_86ac;
const MATRIX_ANSWER: u64 = 0x9ad8_e415_3e13_ebc3;
const SHA_ANSWER: u64 = 0x7d21_38c4_02e9_37d3;
const CRC_ANSWER: u64 = 0x2424_4a59_cb8e_ecca;
const AES_ANSWER: u64 = 0x4bfc_8e27_eecb_a785;
const CHACHA_ANSWER: u64 = 0x9812_b063_ed36_e6d7;
const SIGN_ANSWER: u64 = 0x3848_f9b7_7b88_dc67;

/// Makes a kernel of a function that gives an answer.
fn answering(expected: u64, each: u64, mut work: impl FnMut() -> u64 + Send + 'static) -> (Batch, u64) {
    (Box::new(move || right(work(), expected)), each)
}

/// Whether an answer is the known one.
fn right(answer: u64, expected: u64) -> bool {
    answer == expected
}

/// Bytes that look random and are the same everywhere.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = std::iter::repeat_with(|| {
        state = mix(state);
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// One step of xorshift64*.
fn mix(mut state: u64) -> u64 {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Every step waits for the one before it: multiply, rotate, add.
fn int_chain() -> (Batch, u64) {
    const STEPS: u64 = 1 << 18;
    answering(CHAIN_ANSWER, STEPS, || {
        let start = black_box(0x0123_4567_89ab_cdef_u64);
        (0..STEPS)
            .fold(start, |value, step| value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_add(step))
    })
}

/// Eight chains that do not wait for each other.
fn int_throughput() -> (Batch, u64) {
    const STEPS: u64 = 1 << 16;
    answering(THROUGHPUT_ANSWER, STEPS * 8, || {
        let mut lanes: [u64; 8] = black_box([1, 2, 3, 4, 5, 6, 7, 8]);
        for step in 0..STEPS {
            for lane in &mut lanes {
                *lane = (*lane ^ (*lane >> 7)).wrapping_add(step).rotate_left(13).wrapping_mul(5);
            }
        }
        lanes.iter().fold(0, |sum, lane| mix(sum ^ lane))
    })
}

/// A machine with five states that reads bytes which nobody can predict.
fn branchy() -> (Batch, u64) {
    let text = bytes(BLOCK_BYTES);
    answering(BRANCHY_ANSWER, BLOCK_BYTES as u64, move || {
        let (mut state, mut depth, mut sum) = (0_u8, 0_u64, 0_u64);
        for byte in black_box(&text) {
            state = match (state, byte) {
                (0, 0..=63) => 1,
                (0, 64..=127) => {
                    depth += 1;
                    2
                }
                (1, b) if b % 3 == 0 => {
                    sum = sum.rotate_left(5) ^ u64::from(*b);
                    0
                }
                (1, 200..=255) => 3,
                (2, b) if *b as u64 & 7 == depth & 7 => 4,
                (2, 128..=255) => {
                    sum = sum.wrapping_add(depth);
                    0
                }
                (3, b) if *b < 100 => {
                    depth = depth.saturating_sub(3);
                    1
                }
                (4, b) if b.count_ones() > 4 => {
                    sum ^= depth << 7;
                    2
                }
                (3 | 4, _) => 0,
                (same, _) => same,
            };
        }
        mix(sum ^ depth ^ u64::from(state))
    })
}

/// Products of two matrices of 64 by 64, row by row. Multiplication and addition round one after the other, so that the answer is the
/// same with and without fused instructions.
fn f64_matrix() -> (Batch, u64) {
    const SIDE: usize = 64;
    const PRODUCTS: usize = 4;
    let filled = |from: usize| -> Vec<[f64; SIDE]> {
        (0..SIDE)
            .map(|row| std::array::from_fn(|column| ((row * 31 + column * 17 + from) % 64) as f64 / 8.0 - 4.0))
            .collect()
    };
    let (left, right) = (filled(1), filled(5));
    answering(MATRIX_ANSWER, (PRODUCTS * 2 * SIDE * SIDE * SIDE) as u64, move || {
        let mut sums = vec![[0.0; SIDE]; SIDE];
        for product in 0..PRODUCTS {
            for (sum, left) in sums.iter_mut().zip(black_box(&left)) {
                for (factor, right) in left.iter().zip(black_box(&right)) {
                    let factor = factor + product as f64;
                    for (sum, right) in sum.iter_mut().zip(right) {
                        *sum += factor * right;
                    }
                }
            }
        }
        sums.iter().flatten().fold(0, |answer, sum: &f64| mix(answer ^ sum.to_bits()))
    })
}

fn sha256() -> (Batch, u64) {
    let block = bytes(BLOCK_BYTES);
    answering(SHA_ANSWER, BLOCK_BYTES as u64, move || first_eight(&Sha256::digest(black_box(&block))))
}

fn crc64() -> (Batch, u64) {
    let block = bytes(BLOCK_BYTES);
    answering(CRC_ANSWER, BLOCK_BYTES as u64, move || checksum(black_box(&block)))
}

/// Encrypts a block and computes its tag.
fn cipher(algorithm: &'static Algorithm, expected: u64) -> (Batch, u64) {
    let key = UnboundKey::new(algorithm, &bytes(32)).map(LessSafeKey::new).ok();
    let plain = bytes(BLOCK_BYTES);
    let mut block = plain.clone();
    answering(expected, BLOCK_BYTES as u64, move || {
        block.copy_from_slice(black_box(&plain));
        let nonce = Nonce::assume_unique_for_key([7; 12]);
        let tag = key.as_ref().and_then(|key| key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut block).ok());
        tag.map_or(0, |tag| first_eight(tag.as_ref()) ^ first_eight(&block))
    })
}

/// Messages as long as a sealed record.
const MESSAGE_BYTES: usize = 512;

fn ed25519_sign() -> (Batch, u64) {
    const SIGNATURES: u64 = 32;
    let pair = Ed25519KeyPair::from_seed_unchecked(&bytes(32)).ok();
    let message = bytes(MESSAGE_BYTES);
    answering(SIGN_ANSWER, SIGNATURES, move || {
        let Some(pair) = &pair else { return 0 };
        (0..SIGNATURES).fold(0, |answer, _| mix(answer ^ first_eight(pair.sign(black_box(&message)).as_ref())))
    })
}

fn ed25519_verify() -> (Batch, u64) {
    const SIGNATURES: u64 = 16;
    let message = bytes(MESSAGE_BYTES);
    let signed = Ed25519KeyPair::from_seed_unchecked(&bytes(32))
        .ok()
        .map(|pair| (UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec()), pair.sign(&message)));
    answering(SIGNATURES, SIGNATURES, move || {
        let Some((key, signature)) = &signed else { return 0 };
        (0..SIGNATURES).filter(|_| key.verify(black_box(&message), signature.as_ref()).is_ok()).count() as u64
    })
}

fn first_eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_gives_its_known_answer_again_and_again() {
        for kernel in &ALL {
            let (mut batch, each) = (kernel.make)(1 << 20);
            assert!(each > 0 && (0..70).all(|_| batch()), "{}", kernel.name);
        }
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        let (mut wrong, _) = answering(1, 1, || 2);
        assert!(!wrong());
    }
}
