//! How much must be measured before a promise can be proven.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::robust::faults;

/// All, in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// Most misses whose number of probes is computed exactly; beyond, Wilson's bound is close.
pub(super) const EXACT_MISSES: u64 = 2;

/// Bits behind the point of a probability.
const CHANCE_BITS: u32 = 60;

/// Fewest independent probes for which at most `misses` (0, 1 or 2) of them prove a share of `guarantee_ppm` millionths with 95 %
/// confidence: the smallest n with P(at most `misses` of n fail) <= 5 % at exactly the guarantee (Clopper & Pearson, Biometrika 26,
/// 1934). `None` where no number does: a guarantee of nothing or of all, or more misses.
pub fn needed_probes(guarantee_ppm: u32, misses: u64) -> Option<u64> {
    if guarantee_ppm == 0 || guarantee_ppm >= WHOLE_PPM || misses > EXACT_MISSES {
        return None;
    }
    // P is falling in n, and at most about 6.3 expected misses leave P(at most 2) at 5 %.
    let (mut low, mut high) = (misses, 7 * u64::from(WHOLE_PPM) / u64::from(WHOLE_PPM - guarantee_ppm) + 10);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if is_unlikely(middle, guarantee_ppm, misses) { high = middle } else { low = middle }
    }
    Some(high)
}

/// Whether P(at most `misses` of `probes` fail) is at most 5 % where each succeeds with `guarantee_ppm`.
fn is_unlikely(probes: u64, guarantee_ppm: u32, misses: u64) -> bool {
    let (hit, miss) = (u128::from(guarantee_ppm), u128::from(WHOLE_PPM - guarantee_ppm));
    // C(n, k) q^k p^(n-k) from k = 0 on. Rounded up: when in doubt, more probes.
    let mut term = power(guarantee_ppm, probes);
    let mut sum = term;
    for k in 0..misses {
        term = (term * u128::from(probes - k) * miss).div_ceil(u128::from(k + 1) * hit);
        sum += term;
    }
    sum * 20 <= 1 << CHANCE_BITS
}

/// (`ppm` / 10^6)^`exponent`, rounded up.
fn power(ppm: u32, mut exponent: u64) -> u128 {
    let mut base = (u128::from(ppm) << CHANCE_BITS).div_ceil(u128::from(WHOLE_PPM));
    let mut result = 1 << CHANCE_BITS;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = (result * base).div_ceil(1 << CHANCE_BITS);
        }
        base = (base * base).div_ceil(1 << CHANCE_BITS);
        exponent >>= 1;
    }
    result
}

/// How a network measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probing {
    /// Voices of one round.
    pub committee: u32,
    /// Independent groups in the pool that may be drawn.
    pub pool: u32,
    /// Probes of one attester in one round.
    pub probes_per_attester: u32,
    /// Time from one round to the next, seconds.
    pub round_s: u64,
    /// Bytes of one probe.
    pub probe_bytes: u64,
    /// Correlation of probes within one group, in millionths.
    pub icc_ppm: u32,
    /// Fewest groups for a verdict.
    pub minimum_groups: u32,
    /// Longest time that evidence is pooled, seconds.
    pub pooled_s: u64,
}

/// What MEETS takes at least, where no probe misses and every seat of every round reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Independent probes that have to count.
    pub effective_probes: u64,
    /// Probes sent, with those that are dropped as possible lies.
    pub probes: u64,
    /// Independent groups that have to take part.
    pub groups: u32,
    /// Rounds.
    pub rounds: u64,
    /// Seconds to the end of the last round.
    pub seconds: u64,
    /// Bytes that the hoster sends.
    pub bytes: u64,
}

/// Why a guarantee can never be proven. Displays as a sentence fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case", tag = "never")]
pub enum Never {
    /// No finite number of probes proves it.
    #[error("no number of probes proves a guarantee of {guarantee_ppm} ppm")]
    Guarantee {
        /// The guarantee, in millionths.
        guarantee_ppm: u32,
    },
    /// Nobody measures.
    #[error("a round without seats or without probes measures nothing")]
    NoProbes,
    /// The pool is too small.
    #[error("{have} independent groups in the pool, at least {needed} needed")]
    TooFewGroups {
        /// Groups there are.
        have: u32,
        /// Groups needed.
        needed: u32,
    },
    /// Probes of one group say the same, so more of them say no more.
    #[error(
        "probes of one group say the same: all groups together are worth at most {most} independent probes, {needed} needed"
    )]
    Correlated {
        /// The most that any number of probes is worth.
        most: u64,
        /// Independent probes needed.
        needed: u64,
    },
    /// It takes longer than evidence is kept.
    #[error("takes {seconds} s, and evidence is pooled over {pooled_s} s")]
    TooSlow {
        /// Seconds it takes.
        seconds: u64,
        /// Seconds there are.
        pooled_s: u64,
    },
}

/// What it takes to prove a share of `guarantee_ppm` millionths.
///
/// Rounds are counted as if each drew groups that have not had a seat yet until all of the pool have; random draws take longer, so
/// this is the least.
///
/// # Errors
/// [`Never`] where this way of measuring cannot prove it however long it goes on.
pub fn needs(guarantee_ppm: u32, probing: &Probing) -> Result<Needs, Never> {
    let effective_probes = needed_probes(guarantee_ppm, 0).ok_or(Never::Guarantee { guarantee_ppm })?;
    let seats = probing.committee.min(probing.pool);
    if probing.pool < probing.minimum_groups.max(1) {
        return Err(Never::TooFewGroups { have: probing.pool, needed: probing.minimum_groups.max(1) });
    }
    if seats == 0 || probing.probes_per_attester == 0 {
        return Err(Never::NoProbes);
    }
    let worth = |rounds: u64| {
        let groups = (u64::from(seats) * rounds).min(probing.pool.into());
        let kept = groups - faults(groups as usize) as u64;
        let sent = u128::from(u64::from(seats) * rounds) * u128::from(probing.probes_per_attester);
        let each = sent / u128::from(groups);
        // Kish's design effect, as for the verdict itself.
        let inflation = 1_000_000 + each.saturating_sub(1) * u128::from(probing.icc_ppm);
        // Fewer than 2^32 groups, each with fewer than 2^56 probes (as many rounds as below): the product fits 128 bits.
        let worth = u128::from(kept) * each * 1_000_000 / inflation;
        (groups, u64::try_from(worth).unwrap_or(u64::MAX))
    };
    let enough = |rounds: u64| {
        let (groups, worth) = worth(rounds);
        groups >= probing.minimum_groups.into() && worth >= effective_probes
    };
    // More rounds than this take more than a lifetime or say no more.
    let most = 1 << 24;
    if !enough(most) {
        return Err(Never::Correlated { most: worth(most).1, needed: effective_probes });
    }
    let (mut low, mut high) = (0, most);
    while low + 1 < high {
        let middle = u64::midpoint(low, high);
        if enough(middle) { high = middle } else { low = middle }
    }
    let seconds = high.saturating_mul(probing.round_s);
    if seconds > probing.pooled_s {
        return Err(Never::TooSlow { seconds, pooled_s: probing.pooled_s });
    }
    let probes = high.saturating_mul(u64::from(seats) * u64::from(probing.probes_per_attester));
    Ok(Needs {
        effective_probes,
        probes,
        groups: worth(high).0 as u32,
        rounds: high,
        seconds,
        bytes: probes.saturating_mul(probing.probe_bytes),
    })
}
