//! Bandwidth and latency of memory.

use std::hint::black_box;

use super::kernel::Batch;

/// Longest array: four times a large last-level cache.
const MAX_ARRAY_BYTES: u64 = 128 << 20;

/// Bytes that a processor fetches at a time.
const LINE_BYTES: usize = 64;

/// Numbers in a line.
const LINE: usize = LINE_BYTES / size_of::<u32>();

/// Length of each of the three arrays of each of `threads`, so that all together stay within `memory`.
pub(super) fn array_bytes(memory: u64, threads: u64) -> u64 {
    let fair = memory / 3 / threads.max(1);
    (fair.min(MAX_ARRAY_BYTES) / 4096).max(1) * 4096
}

fn numbers(array_bytes: u64, of: f64) -> Vec<f64> {
    vec![of; (array_bytes as usize / size_of::<f64>()).max(1)]
}

/// b = a. Counts what is read and what is written, as STREAM does.
pub(super) fn copy(array_bytes: u64) -> (Batch, u64) {
    let (from, mut to) = (numbers(array_bytes, 1.5), numbers(array_bytes, 0.0));
    let each = 2 * size_of_val(from.as_slice()) as u64;
    let mut value = 1.5;
    let mut from = from;
    let batch = move || {
        // Another value every time, else nothing would have to be copied.
        value += 0.5;
        let last = from.len() - 1;
        (from[0], from[last]) = (value, value);
        to.copy_from_slice(black_box(&from));
        let to = black_box(&to);
        to[0] == value && to[last] == value && (last < 2 || to[last / 2] == 1.5)
    };
    (Box::new(batch), each)
}

/// a = b + s c.
pub(super) fn triad(array_bytes: u64) -> (Batch, u64) {
    let (mut a, b, c) = (numbers(array_bytes, 0.0), numbers(array_bytes, 1.0), numbers(array_bytes, 2.0));
    let each = 3 * size_of_val(a.as_slice()) as u64;
    let mut scale = 0.0;
    let batch = move || {
        scale += 0.25;
        let factor = black_box(scale);
        for ((a, b), c) in a.iter_mut().zip(black_box(&b)).zip(black_box(&c)) {
            *a = b + factor * c;
        }
        let (a, expected) = (black_box(&a), 1.0 + scale * 2.0);
        [0, a.len() / 2, a.len() - 1].iter().all(|at| a[*at] == expected)
    };
    (Box::new(batch), each)
}

/// Loads of which each says where the next one is, over lines of `bytes` in an order that no prefetcher guesses. The order is one
/// circle: after as many loads as there are lines it is back where it began, which is what is checked.
pub(super) fn chase(bytes: usize) -> (Batch, u64) {
    let lines = bytes / LINE_BYTES;
    let circle = circle(lines);
    let each = lines.min(1 << 14);
    let (mut at, mut loads) = (0_u32, 0_usize);
    let batch = move || {
        let circle = black_box(&circle);
        for _ in 0..each {
            at = circle[at as usize];
        }
        loads = (loads + each) % lines;
        (loads == 0) == (at == 0)
    };
    (Box::new(batch), each as u64)
}

/// At the first number of every line the place of the next line: one circle through all (Sattolo's algorithm).
fn circle(lines: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut state = 0x1234_5678_9abc_def1_u64;
    for last in (1..lines).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, (state % last as u64) as usize);
    }
    let mut circle = vec![0; lines * LINE];
    for (line, next) in order.iter().enumerate() {
        circle[line * LINE] = next * LINE as u32;
    }
    circle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_goes_through_every_line_once() {
        let circle = circle(512);
        let mut seen = vec![false; 512];
        let mut at = 0;
        for _ in 0..512 {
            assert!(!std::mem::replace(&mut seen[at / LINE], true));
            at = circle[at] as usize;
        }
        assert_eq!(at, 0);
    }

    #[test]
    fn arrays_of_all_threads_stay_within_the_bound() {
        for (memory, threads) in [(512 << 20, 1), (512 << 20, 2), (512 << 20, 256), (16 << 20, 1)] {
            let each = array_bytes(memory, threads);
            assert!(each * 3 * threads <= memory && (4096..=MAX_ARRAY_BYTES).contains(&each), "{each}");
        }
    }
}
