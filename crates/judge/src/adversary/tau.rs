//! Kendall's tau-b.

use std::cmp::Ordering;

/// Kendall's tau-b between two rankings of the same things: 1 = same order, -1 = opposite, ties discounted (Kendall 1945). `None` for
/// fewer than two things, lists of different length, or where one side is all ties.
pub fn kendall_tau_b(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (mut score, mut apart_a, mut apart_b) = (0_i64, 0_i64, 0_i64);
    for (i, (a1, b1)) in a.iter().zip(b).enumerate() {
        for (a2, b2) in a.iter().zip(b).skip(i + 1) {
            let (order_a, order_b) = (sign(a1.total_cmp(a2)), sign(b1.total_cmp(b2)));
            score += order_a * order_b;
            apart_a += order_a.abs();
            apart_b += order_b.abs();
        }
    }
    let whole = ((apart_a * apart_b) as f64).sqrt();
    (whole > 0.0).then(|| score as f64 / whole)
}

fn sign(order: Ordering) -> i64 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_ties_give_known_values() {
        assert_eq!(kendall_tau_b(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0]), Some(1.0));
        assert_eq!(kendall_tau_b(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        // Concordant 9, discordant 1, 2 + 3 ties: scipy.stats.kendalltau gives 0.4714045 for this pair.
        let tau = kendall_tau_b(&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0]).unwrap();
        assert!((tau + 0.471_404_520_791_031_7).abs() < 1e-12, "{tau}");
        assert_eq!(kendall_tau_b(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall_tau_b(&[1.0], &[1.0]), None);
        assert_eq!(kendall_tau_b(&[1.0, 2.0], &[1.0]), None);
    }
}
