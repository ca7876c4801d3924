//! How much content a phase needs before it can begin.

use crate::workload::{Op, Stock};

/// Contents that warm reads are spread over.
const WARM_SPREAD: u64 = 64;

/// What has to be done before `operations` operations of a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provision {
    /// Contents to upload.
    pub(super) uploads: u64,
    /// Contents to read once, so that they are warm.
    pub(super) reads: u64,
}

impl Provision {
    /// What is missing for about `operations` of `mix` over `nodes` nodes, given `stock`.
    pub(super) fn missing(mix: &[(Op, u32)], operations: u64, nodes: u64, stock: Stock) -> Self {
        let total: u64 = mix.iter().map(|(_, weight)| u64::from(*weight)).sum();
        // Weights are met on average only: one standard deviation or so on top.
        let of = |op: Op| {
            let weight: u64 = mix.iter().filter(|(other, _)| *other == op).map(|(_, weight)| u64::from(*weight)).sum();
            let expected = operations as f64 * weight as f64 / total.max(1) as f64;
            if weight == 0 { 0 } else { (expected + 3.0 * expected.sqrt()).ceil() as u64 }
        };
        let (fetches, cold, warm) = (of(Op::Fetch), of(Op::ReadCold), of(Op::ReadWarm));
        let reads = if warm > 0 { WARM_SPREAD.min(warm).saturating_sub(stock.read) } else { 0 };
        let spread = crate::workload::FETCH_SPREAD as u64;
        let fetched = match fetches.saturating_sub(stock.pairs) {
            0 => 0,
            // The spread is what fetches keep open at a time beyond what they use up.
            pairs => pairs.div_ceil(nodes.saturating_sub(1).max(1)) + spread.min(pairs),
        };
        Self { uploads: (fetched + cold + reads).saturating_sub(stock.fresh), reads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Stock = Stock { fresh: 0, pairs: 0, read: 0 };

    #[test]
    fn uploads_need_nothing() {
        assert_eq!(Provision::missing(&[(Op::Upload, 1)], 1_000, 5, EMPTY), Provision { uploads: 0, reads: 0 });
    }

    #[test]
    fn fetches_share_contents_among_the_nodes_and_cold_reads_do_not() {
        let missing = |op, stock| Provision::missing(&[(op, 1)], 900, 10, stock);
        // 900 and three deviations of 30, by nine other nodes each.
        assert_eq!(missing(Op::Fetch, EMPTY).uploads, 110 + 64);
        assert_eq!(missing(Op::Fetch, Stock { pairs: 990, ..EMPTY }).uploads, 0);
        assert_eq!(missing(Op::ReadCold, EMPTY).uploads, 990);
        assert_eq!(missing(Op::ReadCold, Stock { fresh: 500, ..EMPTY }).uploads, 490);
    }

    #[test]
    fn warm_reads_need_a_few_contents_that_were_read() {
        assert_eq!(Provision::missing(&[(Op::ReadWarm, 1)], 10_000, 3, EMPTY), Provision { uploads: 64, reads: 64 });
        let read = Stock { read: 64, ..EMPTY };
        assert_eq!(Provision::missing(&[(Op::ReadWarm, 1)], 10_000, 3, read), Provision { uploads: 0, reads: 0 });
    }
}
