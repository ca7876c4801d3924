//! Figures of the reference machine, frozen: what has a score of 1000.

use super::Mode;

/// Per second on one CPU and on both, in the units of the kernels; latency is measured on one only. Optimised build of version 1 of the
/// suite on a virtual machine with two CPUs (AMD EPYC, 1 MiB of L2 each, 32 MiB of L3), arrays of 128 and 85 MiB. Other programs ran on it:
/// the figures are medians of the rounds in which none of them took the CPU away, and those of the bandwidths are per CPU time. Of
/// another version of the suite nothing can be compared with them.
const FIGURES: [(&str, f64, Option<f64>); 15] = [
    ("int_chain", 7.0e8, Some(1.4e9)),
    ("int_throughput", 3.5e9, Some(7.0e9)),
    ("branchy", 1.75e8, Some(3.5e8)),
    ("f64_matrix", 1.1e10, Some(2.18e10)),
    ("sha256", 2.05e9, Some(4.05e9)),
    ("crc64", 2.16e9, Some(4.32e9)),
    ("aes_256_gcm", 9.4e9, Some(1.86e10)),
    ("chacha20_poly1305", 2.68e9, Some(5.3e9)),
    ("ed25519_sign", 5.67e4, Some(1.12e5)),
    ("ed25519_verify", 3.2e4, Some(6.4e4)),
    ("memory_copy", 3.5e10, Some(6.8e10)),
    ("memory_triad", 3.35e10, Some(6.6e10)),
    ("chase_32k", 7.5e8, None),
    ("chase_1m", 1.25e8, None),
    ("chase_64m", 5.0e6, None),
];

/// What the reference machine does per second; `None` for a kernel that it never ran.
pub(super) fn per_second(kernel: &str, mode: Mode) -> Option<f64> {
    let (_, single, all) = FIGURES.iter().find(|(name, ..)| *name == kernel)?;
    if mode == Mode::Single { Some(*single) } else { *all }
}
