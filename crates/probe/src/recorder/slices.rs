//! A window of time in a bounded number of slices.

use peermark_core::{Histogram, MonotonicNs};

use super::Window;

/// Most slices that are kept. When a window of unknown length outgrows them, pairs are merged: then there are half as many, twice
/// as wide. Between 32 and 64 leaves enough of them for intervals that respect autocorrelation.
const MAX_SLICES: usize = 64;

/// Width to begin with where the window's length is not known.
const FIRST_WIDTH_NS: u64 = 1_000_000;

/// What happened in one slice of time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeSlice {
    /// Start, on the clock of the run.
    pub start_ns: MonotonicNs,
    /// End, not included.
    pub end_ns: MonotonicNs,
    /// Latencies of complete operations whose *intended start* lies in the slice.
    pub histogram: Histogram,
    /// Failed operations whose intended start lies in the slice.
    pub censored: u64,
    /// Operations that *became complete* in the slice.
    pub ok: u64,
    /// Payload bytes of those.
    pub bytes: u64,
}

pub(super) struct Slices {
    window: Window,
    width_ns: u64,
    slices: Vec<TimeSlice>,
}

impl Slices {
    pub(super) fn new(window: Window) -> Self {
        let length = window.end_ns.saturating_sub(window.start_ns);
        let width_ns = match window.end_ns {
            u64::MAX => FIRST_WIDTH_NS,
            _ => length.div_ceil(MAX_SLICES as u64).max(1),
        };
        Self { window, width_ns, slices: Vec::with_capacity(MAX_SLICES) }
    }

    /// The slice of a moment; moments before the window count to its first.
    pub(super) fn at(&mut self, at_ns: MonotonicNs) -> &mut TimeSlice {
        let offset = at_ns.saturating_sub(self.window.start_ns);
        while offset / self.width_ns >= MAX_SLICES as u64 {
            self.halve();
        }
        let index = (offset / self.width_ns) as usize;
        self.fill_to(index + 1);
        &mut self.slices[index]
    }

    /// The slices of the window up to `end_ns`, also those in which nothing happened.
    pub(super) fn into_slices(mut self, end_ns: MonotonicNs) -> Vec<TimeSlice> {
        let end_ns = end_ns.min(self.window.end_ns).max(self.window.start_ns);
        if end_ns > self.window.start_ns {
            self.at(end_ns - 1);
        }
        self.slices.retain(|slice| slice.start_ns < end_ns);
        if let Some(last) = self.slices.last_mut() {
            last.end_ns = end_ns;
        }
        self.slices
    }

    fn fill_to(&mut self, count: usize) {
        while self.slices.len() < count {
            let start_ns = self.window.start_ns + self.slices.len() as u64 * self.width_ns;
            let end_ns = (start_ns + self.width_ns).min(self.window.end_ns);
            let histogram = Histogram::new();
            self.slices.push(TimeSlice { start_ns, end_ns, histogram, censored: 0, ok: 0, bytes: 0 });
        }
    }

    fn halve(&mut self) {
        let mut wide: Vec<TimeSlice> = Vec::with_capacity(MAX_SLICES);
        for (index, slice) in self.slices.drain(..).enumerate() {
            match wide.last_mut() {
                Some(left) if index % 2 == 1 => {
                    left.histogram.merge(&slice.histogram);
                    left.end_ns = slice.end_ns;
                    left.censored += slice.censored;
                    left.ok += slice.ok;
                    left.bytes += slice.bytes;
                }
                _ => wide.push(slice),
            }
        }
        self.width_ns = self.width_ns.saturating_mul(2);
        if let Some(last) = wide.last_mut() {
            last.end_ns = last.start_ns + self.width_ns;
        }
        self.slices = wide;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_of_known_length_has_its_slices_from_the_start() {
        let mut slices = Slices::new(Window { start_ns: 1_000, end_ns: 1_000 + 10_000_000_000 });
        slices.at(1_000 + 9_999_999_999).ok += 1;
        let slices = slices.into_slices(u64::MAX);
        assert_eq!((slices.len(), slices[0].start_ns, slices[63].end_ns), (64, 1_000, 10_000_001_000));
        assert_eq!(slices[63].ok, 1);
    }

    proptest! {
        #[test]
        fn no_count_is_lost_and_slices_stay_adjacent(moments in prop::collection::vec(0u64..20_000_000_000, 1..300)) {
            let mut slices = Slices::new(Window { start_ns: 0, end_ns: u64::MAX });
            for moment in &moments {
                let slice = slices.at(*moment);
                slice.histogram.record(7);
                slice.censored += 1;
            }
            let slices = slices.into_slices(moments.iter().max().unwrap() + 1);
            prop_assert!(slices.len() <= MAX_SLICES);
            if moments.iter().any(|moment| *moment >= 64_000_000) {
                prop_assert!(slices.len() > MAX_SLICES / 2);
            }
            prop_assert_eq!(slices.iter().map(|slice| slice.censored).sum::<u64>(), moments.len() as u64);
            prop_assert_eq!(slices.iter().map(|slice| slice.histogram.len()).sum::<u64>(), moments.len() as u64);
            prop_assert!(slices.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
        }
    }
}
