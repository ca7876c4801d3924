//! Histograms that servers of a fleet can be added up over: fixed buckets, the same everywhere.

/// Upper bounds, in nanoseconds and as Prometheus writes them in seconds. From a hit in the own store to parsec's deadline.
pub(super) const BOUNDS: [(u64, &str); 18] = [
    (1_000_000, "0.001"),
    (2_000_000, "0.002"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (20_000_000, "0.02"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (200_000_000, "0.2"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_000_000_000, "2"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (20_000_000_000, "20"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
    (120_000_000_000, "120"),
    (180_000_000_000, "180"),
];

/// One histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum_ns: u128,
}

impl Buckets {
    pub(super) fn record(&mut self, ns: u64) {
        if let Some(bucket) = BOUNDS.iter().position(|(bound, _)| ns <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum_ns += u128::from(ns);
    }

    /// Every bound with the number of values at or below it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.iter().map(|(_, text)| *text).zip(sums)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_what_they_are_called_and_include_their_value() {
        assert!(BOUNDS.is_sorted());
        for (ns, text) in BOUNDS {
            assert!((text.parse::<f64>().unwrap() * 1e9 - ns as f64).abs() < 0.5, "{text}");
        }
        let mut buckets = Buckets::default();
        for ns in [0, 1_000_000, 1_000_001, 181_000_000_000] {
            buckets.record(ns);
        }
        let cumulative: Vec<(&str, u64)> = buckets.cumulative().collect();
        assert_eq!(cumulative[..2], [("0.001", 2), ("0.002", 3)]);
        assert_eq!((cumulative[17], buckets.count()), (("180", 3), 4));
    }
}
