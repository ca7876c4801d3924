//! CRC-64/XZ (reflected polynomial `0xC96C5795D7870F42`, initial value and final exclusive-or all ones), by two kernels.
//!
//! What is timed is one dependent chain: every message is the checksum before it. The carry-less kernel does what zos's tool does
//! for a message of 8 bytes: the message goes through memory, is moved to the end of a block of 16 bytes, folded and reduced
//! (Barrett), so that a step waits for the same things here as there and seconds can be compared. The table kernel is for machines
//! without the instruction; its seconds are those of another program.

use std::hint::black_box;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reflected polynomial.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// Remainders of every byte at each of eight distances from the end of the message.
static TABLES: [[u64; 256]; 8] = tables();

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// `PCLMULQDQ` of x86-64: the one that zos's tool has.
    Clmul,
    /// `PMULL` of 64-bit Arm.
    Pmull,
    /// Eight tables: any machine.
    Table,
}

impl Kernel {
    /// The one that comparable figures come from on this machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("pclmulqdq") && std::is_x86_feature_detected!("ssse3") {
            return Self::Clmul;
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("aes") {
            return Self::Pmull;
        }
        Self::Table
    }

    /// The checksum of `seed` (8 bytes, little endian), of that checksum, and so on, `steps` times.
    pub fn chain(self, seed: u64, steps: u64) -> u64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Clmul if Self::best() == Self::Clmul => clmul::chain(seed, steps),
            #[cfg(target_arch = "aarch64")]
            Self::Pmull if Self::best() == Self::Pmull => pmull::chain(seed, steps),
            _ => (0..steps).fold(seed, |value, _| by_table(black_box(value))),
        }
    }
}

/// The checksum of 8 bytes, by eight table reads.
fn by_table(message: u64) -> u64 {
    let bytes = (!message).to_le_bytes();
    let remainder = bytes.iter().zip(TABLES.iter().rev()).fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
    !remainder
}

/// The checksum of any bytes, for the suite.
pub(in crate::tasks) fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut crc = !0_u64;
    for word in words {
        crc = !by_table(!(crc ^ u64::from_le_bytes(*word)));
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from((crc as u8) ^ byte)];
    }
    !crc
}

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 == 1 { (remainder >> 1) ^ POLYNOMIAL } else { remainder >> 1 };
            bit += 1;
        }
        tables[0][byte] = remainder;
        byte += 1;
    }
    let mut distance = 1;
    while distance < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[distance - 1][byte];
            tables[distance][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        distance += 1;
    }
    tables
}

/// Constants of the carry-less reduction: x^127 mod P for the fold, and for Barrett's reduction the quotient of x^128 by P and P
/// itself, all reflected.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod constants {
    pub(super) const FOLD: u64 = 0xdabe_95af_c787_5f40;
    pub(super) const QUOTIENT: u64 = 0x9c3e_466c_1729_63d5;
    pub(super) const DIVISOR: u64 = 0x92d8_af2b_af0e_1e85;
}

#[cfg(target_arch = "x86_64")]
mod clmul {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_shuffle_epi8,
        _mm_slli_si128, _mm_srli_si128, _mm_xor_si128,
    };
    use std::hint::black_box;

    use super::constants::{DIVISOR, FOLD, QUOTIENT};

    /// A message and what lies behind it in memory.
    #[repr(align(16))]
    struct Block([u64; 2]);

    /// Where each byte of a block goes so that its first eight end it; a negative place is filled with zero.
    const TO_THE_END: [i64; 2] = [-1, 0x0706_0504_0302_0100];

    #[expect(unsafe_code, reason = "the instructions are there: Kernel::best has asked the processor before")]
    pub(super) fn chain(seed: u64, steps: u64) -> u64 {
        let mut block = Block([seed, 0]);
        for _ in 0..steps {
            // SAFETY: only called where `Kernel::best` found PCLMULQDQ and SSSE3.
            block.0[0] = unsafe { step(black_box(&block), black_box(&TO_THE_END)) };
        }
        block.0[0]
    }

    #[target_feature(enable = "pclmulqdq,ssse3")]
    #[inline(never)]
    fn step(block: &Block, places: &[i64; 2]) -> u64 {
        let low = _mm_set_epi64x(0, -1);
        let fold = _mm_set_epi64x(FOLD.cast_signed(), 0);
        let barrett = _mm_set_epi64x(DIVISOR.cast_signed(), QUOTIENT.cast_signed());
        let loaded = _mm_set_epi64x(block.0[1].cast_signed(), block.0[0].cast_signed());
        let moved = _mm_shuffle_epi8(_mm_and_si128(loaded, low), _mm_set_epi64x(places[1], places[0]));
        let state = _mm_xor_si128(moved, _mm_set_epi64x(-1, 0));
        let folded = _mm_xor_si128(_mm_clmulepi64_si128(state, fold, 0x10), _mm_srli_si128(state, 8));
        let quotient = _mm_clmulepi64_si128(folded, barrett, 0x00);
        let product = _mm_clmulepi64_si128(quotient, barrett, 0x10);
        let remainder = _mm_xor_si128(_mm_xor_si128(product, _mm_slli_si128(quotient, 8)), folded);
        !upper(remainder)
    }

    #[target_feature(enable = "sse2")]
    fn upper(value: __m128i) -> u64 {
        _mm_cvtsi128_si64(_mm_srli_si128(value, 8)).cast_unsigned()
    }
}

#[cfg(target_arch = "aarch64")]
mod pmull {
    use std::arch::aarch64::vmull_p64;
    use std::hint::black_box;

    use super::constants::{DIVISOR, FOLD, QUOTIENT};

    #[expect(unsafe_code, reason = "the instruction is there: Kernel::best has asked the processor before")]
    pub(super) fn chain(seed: u64, steps: u64) -> u64 {
        // SAFETY: only called where `Kernel::best` found PMULL.
        (0..steps).fold(seed, |value, _| unsafe { step(*black_box(&value)) })
    }

    #[target_feature(enable = "neon,aes")]
    #[inline(never)]
    fn step(message: u64) -> u64 {
        // The fold of the empty half of the block: nothing comes of it, but the tool waits for it too.
        let folded = !message ^ (vmull_p64(black_box(0), FOLD) as u64);
        let quotient = vmull_p64(folded, QUOTIENT) as u64;
        let product = vmull_p64(quotient, DIVISOR);
        !((product >> 64) as u64 ^ quotient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of this chain: computed bit by bit by an independent program; the function of zos's tool gives the same.
    const SEED: u64 = 0x0a0b_0c0d_1234_5ff0;

    #[test]
    fn every_kernel_gives_the_known_answers() {
        for kernel in [Kernel::Table, Kernel::best()] {
            assert_eq!(kernel.chain(SEED, 0), SEED);
            assert_eq!(kernel.chain(SEED, 1), 0xe48b_c169_fe41_2251, "{kernel:?}");
            assert_eq!(kernel.chain(SEED, 2), 0xc682_a478_a88c_f9eb, "{kernel:?}");
            assert_eq!(kernel.chain(SEED, 1000), 0xc81e_2c51_e3f4_ae0d, "{kernel:?}");
            let text = u64::from_le_bytes(*b"12345678");
            assert_eq!(kernel.chain(text, 1), 0x5c8b_8048_2bac_7809, "{kernel:?}");
        }
        assert_eq!(Kernel::Table.chain(SEED, 1 << 26), 0x4092_42b8_972c_b0b1);
        assert_eq!(Kernel::best().chain(SEED, 1 << 26), 0x4092_42b8_972c_b0b1);
    }

    #[test]
    fn checksums_of_any_length_are_those_of_the_catalogue() {
        // The check value of CRC-64/XZ in the CRC catalogue.
        assert_eq!(checksum(b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(checksum(b"12345678"), 0x5c8b_8048_2bac_7809);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn a_kernel_that_this_machine_lacks_is_replaced() {
        let foreign = if cfg!(target_arch = "x86_64") { Kernel::Pmull } else { Kernel::Clmul };
        assert_eq!(foreign.chain(SEED, 1), 0xe48b_c169_fe41_2251);
    }
}
