//! Quantiles of the distributions that intervals are made of. Normal, Student, chi-squared and the incomplete beta function come
//! from `statrs`; what it does not have is here, each with its source.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};
use statrs::function::beta::beta_reg;

/// Above this many degrees of freedom the t distribution is expanded around the normal one.
const MANY_DEGREES: f64 = 1_000.0;
/// Above this variance the binomial distribution is expanded around the normal one.
const LARGE_BINOMIAL_VARIANCE: f64 = 2_500.0;

/// P(Z <= z) of the standard normal distribution.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The z with P(Z <= z) = `p`, for `p` within (0, 1).
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The t with P(T <= t) = `p`, for `p` within (0, 1) and `degrees` of freedom (fractions allowed, below 1 counts as 1).
///
/// Many degrees: first term of the expansion in Abramowitz & Stegun 26.7.5.
pub(crate) fn student_quantile(p: f64, degrees: f64) -> f64 {
    if degrees > MANY_DEGREES {
        let z = normal_quantile(p);
        return z + (z.powi(3) + z) / (4.0 * degrees);
    }
    student(degrees).inverse_cdf(p)
}

/// P(|T| >= |t|).
pub(crate) fn student_two_sided(t: f64, degrees: f64) -> f64 {
    2.0 * student(degrees).cdf(-t.abs())
}

fn student(degrees: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, degrees.max(1.0)).expect("scale 1 and at least 1 degree of freedom are valid")
}

/// The x with P(X <= x) = `p` of the chi-squared distribution with `degrees` of freedom (below 1 counts as 1).
pub(crate) fn chi_squared_quantile(p: f64, degrees: f64) -> f64 {
    ChiSquared::new(degrees.max(1.0)).expect("at least 1 degree of freedom is valid").inverse_cdf(p)
}

/// The k with P(K <= k) = `tail` for K binomial of `n` trials with chance `p`, both n and k continued to real numbers by the
/// incomplete beta function: P(K <= k) = I_{1-p}(n - k, k + 1) (Abramowitz & Stegun 26.5.24). `None` when already P(K = 0) is
/// more than `tail`. For `tail` below one half.
///
/// Large n: Cornish-Fisher expansion to the skewness term with continuity correction (Johnson, Kemp & Kotz, Univariate Discrete
/// Distributions, 3.6).
pub(crate) fn binomial_quantile(n: f64, p: f64, tail: f64) -> Option<f64> {
    let variance = n * p * (1.0 - p);
    if variance > LARGE_BINOMIAL_VARIANCE {
        let z = normal_quantile(tail);
        let k = n * p + z * variance.sqrt() + (1.0 - 2.0 * p) * (z * z - 1.0) / 6.0 - 0.5;
        return (k >= 0.0).then_some(k);
    }
    if (1.0 - p).powf(n) > tail {
        return None;
    }
    let (mut low, mut high) = (0.0, n * p);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if beta_reg(n - middle, middle + 1.0, 1.0 - p) > tail {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
    }

    #[test]
    fn quantiles_agree_with_the_printed_tables() {
        close(normal_quantile(0.975), 1.959_964, 1e-6);
        close(normal_cdf(-1.644_854), 0.05, 1e-6);
        for (degrees, expected) in [
            (1.0, 12.706_205),
            (2.0, 4.302_653),
            (5.0, 2.570_582),
            (9.0, 2.262_157),
            (30.0, 2.042_272),
            (120.0, 1.979_930),
        ] {
            close(student_quantile(0.975, degrees), expected, 1e-5);
            close(student_two_sided(expected, degrees), 0.05, 1e-6);
        }
        close(student_quantile(0.975, 1e6), 1.959_966, 1e-5);
        close(student_quantile(0.975, MANY_DEGREES + 1.0), student_quantile(0.975, MANY_DEGREES - 1.0), 1e-4);
        for (degrees, expected) in [(1.0, 0.148_472), (10.0, 7.267_218), (30.0, 25.507_757)] {
            close(chi_squared_quantile(0.3, degrees), expected, 1e-4);
        }
        close(chi_squared_quantile(0.95, 10.0), 18.307_038, 1e-4);
    }

    #[test]
    fn binomial_quantile_inverts_exact_sums() {
        // n = 20, p = 0.3: P(K <= 2) = 0.035483, P(K <= 3) = 0.107087 (tables of the binomial distribution).
        close(binomial_quantile(20.0, 0.3, 0.035_483).unwrap(), 2.0, 1e-3);
        close(binomial_quantile(20.0, 0.3, 0.107_087).unwrap(), 3.0, 1e-3);
        assert_eq!(binomial_quantile(298.0, 0.01, 0.05), None);
        assert!(binomial_quantile(299.0, 0.01, 0.05).is_some());
        assert_eq!(binomial_quantile(1e6, 0.5, 0.0), None);
    }

    #[test]
    fn large_binomials_join_the_exact_ones() {
        for p in [0.5, 0.1, 0.01, 0.001] {
            let n = LARGE_BINOMIAL_VARIANCE / (p * (1.0 - p));
            let exact = binomial_quantile(n * 0.999_999, p, 0.025).unwrap();
            close(binomial_quantile(n * 1.000_001, p, 0.025).unwrap(), exact, 0.05);
        }
    }
}
