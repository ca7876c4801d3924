//! A series of one operation in slices of time: flat memory however long it lasts, and time order enough for autocorrelation.

use peermark_core::{Histogram, MonotonicNs};

/// Most slices that [`TimeSlices`] keeps. When one more would be needed, neighbours are merged in pairs, so a series that once
/// had this many always has more than half as many.
pub const MAX_SLICES: usize = 64;

/// What happened to the operations that were to start within one slice of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// Start of the slice, nanoseconds on the run's clock.
    pub start_ns: MonotonicNs,
    /// Values of the operations that succeeded, nanoseconds.
    pub histogram: Histogram,
    /// Failures and timeouts. Each counts as a value at or above the deadline.
    pub censored: u64,
}

impl Slice {
    /// An empty slice.
    pub fn starting_at(start_ns: MonotonicNs) -> Self {
        Self { start_ns, histogram: Histogram::new(), censored: 0 }
    }

    /// Values in the slice, failures included.
    pub fn count(&self) -> u64 {
        self.histogram.len() + self.censored
    }

    /// Adds everything of a neighbour; the earlier start stays.
    pub fn absorb(&mut self, neighbour: &Self) {
        self.start_ns = self.start_ns.min(neighbour.start_ns);
        self.histogram.merge(&neighbour.histogram);
        self.censored += neighbour.censored;
    }
}

/// Contiguous slices of equal width from a common start, at most [`MAX_SLICES`] of them: the width doubles when time runs on.
///
/// Intervals need at least 8 slices with values and are best from 32 on, so the first width should be at most a 32nd of the
/// shortest duration.
#[derive(Clone, Debug)]
pub struct TimeSlices {
    start_ns: MonotonicNs,
    width_ns: u64,
    slices: Vec<Slice>,
}

impl TimeSlices {
    /// No slices yet; the first ones will be `width_ns` wide (at least 1 ns).
    pub fn new(start_ns: MonotonicNs, width_ns: u64) -> Self {
        Self { start_ns, width_ns: width_ns.max(1), slices: Vec::new() }
    }

    /// Counts a success of `value_ns` whose intended start was `at_ns`. Times may come in any order; those before the start count
    /// in the first slice.
    pub fn record(&mut self, at_ns: MonotonicNs, value_ns: u64) {
        self.slice_at(at_ns).histogram.record(value_ns);
    }

    /// Counts a failure whose intended start was `at_ns`.
    pub fn fail(&mut self, at_ns: MonotonicNs) {
        self.slice_at(at_ns).censored += 1;
    }

    /// The slices so far, in the order of time, without gaps.
    pub fn as_slice(&self) -> &[Slice] {
        &self.slices
    }

    /// Width of each slice now, nanoseconds.
    pub fn width_ns(&self) -> u64 {
        self.width_ns
    }

    fn slice_at(&mut self, at_ns: MonotonicNs) -> &mut Slice {
        let since_start = at_ns.saturating_sub(self.start_ns);
        while since_start / self.width_ns >= MAX_SLICES as u64 {
            self.merge_pairs();
        }
        let index = (since_start / self.width_ns) as usize;
        while self.slices.len() <= index {
            let start_ns = self.start_ns.saturating_add(self.slices.len() as u64 * self.width_ns);
            self.slices.push(Slice::starting_at(start_ns));
        }
        &mut self.slices[index]
    }

    fn merge_pairs(&mut self) {
        let mut merged: Vec<Slice> = Vec::with_capacity(MAX_SLICES);
        for (index, slice) in self.slices.drain(..).enumerate() {
            match merged.last_mut() {
                Some(earlier) if index % 2 == 1 => earlier.absorb(&slice),
                _ => merged.push(slice),
            }
        }
        self.slices = merged;
        self.width_ns = self.width_ns.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_few_contiguous_and_lose_nothing() {
        let mut slices = TimeSlices::new(1_000, 10);
        for step in 0..50_000u64 {
            slices.record(1_000 + step * 7, step);
            if step % 10 == 0 {
                slices.fail(1_000 + step * 7);
            }
        }
        let all = slices.as_slice();
        assert!((MAX_SLICES / 2..=MAX_SLICES).contains(&all.len()), "{}", all.len());
        for (index, slice) in all.iter().enumerate() {
            assert_eq!(slice.start_ns, 1_000 + index as u64 * slices.width_ns());
        }
        assert_eq!(all.iter().map(|slice| slice.histogram.len()).sum::<u64>(), 50_000);
        assert_eq!(all.iter().map(|slice| slice.censored).sum::<u64>(), 5_000);
    }

    #[test]
    fn any_time_finds_a_slice() {
        let mut slices = TimeSlices::new(5, 0);
        for at_ns in [u64::MAX, 0, 5, u64::MAX / 2] {
            slices.record(at_ns, 1);
        }
        assert!(slices.as_slice().len() <= MAX_SLICES);
        assert_eq!(slices.as_slice().iter().map(Slice::count).sum::<u64>(), 4);
    }
}
