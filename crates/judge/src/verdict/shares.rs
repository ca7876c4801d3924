//! Promises about a share of probes.

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;
use crate::robust::faults;

use super::needs::{EXACT_MISSES, needed_probes};
use super::wilson::{Share, wilson_high, wilson_low};
use super::{Doubt, Verdict};

/// Most probes of one group that are looked at, so that products of counts fit 128 bits.
const MOST_PROBES: u64 = 1 << 28;

/// Bits behind the point of counted probes: a miss in a group that counts for a tenth is a tenth of a miss.
const COUNT_BITS: u32 = 16;

/// Probes of one group: how many kept the promised level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tally {
    /// The group.
    pub group: u32,
    /// Probes that kept it. More than were sent counts as all.
    pub met: u64,
    /// Probes sent.
    pub of: u64,
}

/// Probes of one group of which some are too near to the level to tell, or are judged by a level that is not the promised one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Graded {
    /// The group.
    pub group: u32,
    /// Probes that surely kept what MEETS asks for.
    pub sure: u64,
    /// Probes that kept the level.
    pub kept: u64,
    /// Probes that kept it or may have.
    pub maybe: u64,
    /// Probes sent.
    pub of: u64,
}

/// What is promised and how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Promised share, in millionths.
    pub guarantee_ppm: u32,
    /// Fewest independent groups for a verdict.
    pub minimum_groups: u32,
    /// Smallest correlation of probes within one group that is believed, in millionths.
    pub icc_floor_ppm: u32,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareFinding {
    /// What may be said.
    pub verdict: Verdict,
    /// Share of all probes of groups that count, in millionths.
    pub share_ppm: u32,
    /// Lower 95 % bound without the groups that say the best, in millionths, rounded down.
    pub low_ppm: u32,
    /// Upper 95 % bound without the groups that say the worst, in millionths, rounded up.
    pub high_ppm: u32,
    /// Independent groups that count.
    pub groups: u32,
    /// Probes behind the lower bound, counted as independent ones.
    pub effective: u64,
}

/// Whether a promised share is kept. `tallies` are in any order; those of one group are added up, and `counts` says which groups count.
///
/// No group counts more than the median one. For the lower bound as many of the groups with the highest shares are dropped as may lie
/// (f of n > 3 f), for the upper bound as many of those with the lowest: whatever liars say, what is left is no better, or no worse,
/// than honest. Probes of one group share its path, so a pool counts as n / (1 + (m - 1) r) independent probes (Kish, Survey Sampling,
/// 1965), m being the mean probes of a group and r their correlation.
pub fn share(tallies: &[Tally], counts: impl Fn(u32) -> bool, terms: &Terms, disputed: bool) -> ShareFinding {
    let mut voices = merged(tallies, counts);
    equalise(&mut voices);
    // By share, the lowest first; ties by group, so that any order of the input gives the same.
    voices.sort_unstable_by(|a, b| {
        (u128::from(a.met) * u128::from(b.of)).cmp(&(u128::from(b.met) * u128::from(a.of))).then(a.group.cmp(&b.group))
    });
    let faults = faults(voices.len());
    let (all, worst, best) =
        (Pool::of(&voices), Pool::of(&voices[..voices.len() - faults]), Pool::of(&voices[faults..]));
    let effective = worst.effective(terms);
    let low = wilson_low(Share::new(worst.met, worst.of, effective));
    let high = wilson_high(Share::new(best.met, best.of, best.effective(terms)));
    let ppm = |share: Fixed| share.to_ppm().clamp(0, 1_000_000) as u32;
    let finding = ShareFinding {
        verdict: Verdict::Disputed,
        share_ppm: if all.of == 0 { 0 } else { ppm(Share::new(all.met, all.of, Fixed::ONE).ratio) },
        low_ppm: ppm(low),
        high_ppm: (ppm(high) + u32::from(high < Fixed::ONE)).min(1_000_000),
        groups: voices.len() as u32,
        effective: effective.floor().max(0) as u64,
    };
    if disputed { finding } else { ShareFinding { verdict: judge(&finding, &worst, terms), ..finding } }
}

/// The same where not every probe can be told: MEETS needs those that surely kept it, FAILS is said only of those that surely did not. The
/// share is that of probes that kept the level.
pub fn graded(tallies: &[Graded], counts: impl Fn(u32) -> bool + Copy, terms: &Terms, disputed: bool) -> ShareFinding {
    let by = |met: fn(&Graded) -> u64| -> ShareFinding {
        let tallies: Vec<Tally> =
            tallies.iter().map(|graded| Tally { group: graded.group, met: met(graded), of: graded.of }).collect();
        share(&tallies, counts, terms, disputed)
    };
    let mut finding = by(|graded| graded.sure);
    if tallies.iter().any(|graded| graded.kept != graded.sure) {
        finding.share_ppm = by(|graded| graded.kept).share_ppm;
    }
    if tallies.iter().any(|graded| graded.maybe != graded.sure) {
        let loose = by(|graded| graded.maybe);
        finding.high_ppm = loose.high_ppm;
        finding.verdict = match (finding.verdict, loose.verdict) {
            (_, Verdict::Fails) => Verdict::Fails,
            (Verdict::Fails, _) => Verdict::Unproven { because: Doubt::TooClose },
            (tight, _) => tight,
        };
    }
    finding
}

fn judge(finding: &ShareFinding, worst: &Pool, terms: &Terms) -> Verdict {
    let unproven = |because| Verdict::Unproven { because };
    if finding.groups == 0 || worst.of == 0 {
        return unproven(Doubt::NoEvidence);
    }
    if finding.groups < terms.minimum_groups {
        return unproven(Doubt::TooFewGroups { have: finding.groups, needed: terms.minimum_groups });
    }
    if finding.high_ppm < terms.guarantee_ppm {
        return Verdict::Fails;
    }
    // With few misses Wilson's interval is a little too short; the exact number of probes is known.
    let needed = needed_probes(terms.guarantee_ppm, worst.misses().min(EXACT_MISSES)).unwrap_or(u64::MAX);
    if finding.effective < needed {
        return unproven(Doubt::TooFewProbes { have: finding.effective, needed });
    }
    if finding.low_ppm >= terms.guarantee_ppm { Verdict::Meets } else { unproven(Doubt::TooClose) }
}

/// One tally per group that counts and sent probes, with [`COUNT_BITS`] behind the point.
fn merged(tallies: &[Tally], counts: impl Fn(u32) -> bool) -> Vec<Tally> {
    let mut voices: Vec<Tally> = tallies.iter().copied().filter(|tally| tally.of > 0 && counts(tally.group)).collect();
    voices.sort_unstable();
    voices.dedup_by(|next, kept| {
        let same = next.group == kept.group;
        if same {
            kept.met = kept.met.min(kept.of).saturating_add(next.met.min(next.of));
            kept.of = kept.of.saturating_add(next.of);
        }
        same
    });
    for voice in &mut voices {
        voice.met = voice.met.min(voice.of);
        scale(voice, MOST_PROBES);
        (voice.met, voice.of) = (voice.met << COUNT_BITS, voice.of << COUNT_BITS);
    }
    voices
}

/// Groups with more probes than the (lower) median group count as if they had as many.
fn equalise(voices: &mut [Tally]) {
    let mut quotas: Vec<u64> = voices.iter().map(|voice| voice.of).collect();
    let Some(middle) = quotas.len().checked_sub(1).map(|last| last / 2) else { return };
    let quota = *quotas.select_nth_unstable(middle).1;
    voices.iter_mut().for_each(|voice| scale(voice, quota));
}

/// Takes `most` probes where there are more, in proportion.
fn scale(voice: &mut Tally, most: u64) {
    if voice.of > most {
        voice.met = (u128::from(voice.met) * u128::from(most) / u128::from(voice.of)) as u64;
        voice.of = most;
    }
}

/// Tallies pooled, with [`COUNT_BITS`] behind the point.
struct Pool {
    met: u64,
    of: u64,
    groups: u64,
    /// Sum over groups of met^2 / of.
    squares: u128,
    /// Sum over groups of of^2.
    of_squares: u128,
}

impl Pool {
    fn of(voices: &[Tally]) -> Self {
        Self {
            met: voices.iter().map(|voice| voice.met).sum(),
            of: voices.iter().map(|voice| voice.of).sum(),
            groups: voices.len() as u64,
            squares: voices.iter().map(|voice| u128::from(voice.met).pow(2) / u128::from(voice.of)).sum(),
            of_squares: voices.iter().map(|voice| u128::from(voice.of).pow(2)).sum(),
        }
    }

    fn misses(&self) -> u64 {
        (self.of - self.met).div_ceil(1 << COUNT_BITS)
    }

    fn effective(&self, terms: &Terms) -> Fixed {
        let Some(mean) = self.of.checked_div(self.groups) else { return Fixed::ZERO };
        let icc = self.icc().max(Fixed::from_ppm(terms.icc_floor_ppm.into()));
        independent(counted(self.of.into()), counted(mean.into()), icc)
    }

    /// Correlation within groups by analysis of variance (Donner, International Statistical Review 54, 1986), between 0 and 1.
    fn icc(&self) -> Fixed {
        let (met, of) = (counted(self.met.into()), counted(self.of.into()));
        let groups = self.groups as i64;
        let freedom = of - Fixed::from_ratio(groups, 1);
        if groups < 2 || freedom <= Fixed::ZERO || self.met == 0 || self.met == self.of {
            return Fixed::ZERO;
        }
        let squares = counted(self.squares);
        let expected = counted(u128::from(self.met).pow(2) / u128::from(self.of));
        let between = (squares - expected).max(Fixed::ZERO).over_int(groups - 1);
        let within = (met - squares).max(Fixed::ZERO).over(freedom);
        let size = (of - counted(self.of_squares / u128::from(self.of))).over_int(groups - 1);
        let scale = between + (size - Fixed::ONE) * within;
        if scale <= Fixed::ZERO { Fixed::ZERO } else { (between - within).over(scale).clamp(Fixed::ZERO, Fixed::ONE) }
    }
}

/// A count with [`COUNT_BITS`] behind the point as a number; saturates.
fn counted(count: u128) -> Fixed {
    Fixed::from_raw(i64::try_from(count << (32 - COUNT_BITS)).unwrap_or(i64::MAX))
}

/// How many independent probes `probes` are worth of which `mean` belong to each group with correlation `icc`.
fn independent(probes: Fixed, mean: Fixed, icc: Fixed) -> Fixed {
    probes.over(Fixed::ONE + (mean - Fixed::ONE).max(Fixed::ZERO) * icc)
}
