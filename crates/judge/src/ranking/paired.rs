//! Ranks with ties from paired comparisons: a group that measured two hosters says which one is better whatever its own link does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::robust::{History, Voice, next_binomial};
use crate::verdict::Side;

/// Most groups that a test counts one by one, so that all sums of binomials fit 128 bits; more are scaled down to as many, which only
/// makes a difference harder to prove.
const MOST_GROUPS: u64 = 126;

/// The weight of a trusted voice of the last epoch.
const FULL_PPM: u32 = 1_000_000;

/// Chances that a whole set of comparisons calls equal hosters different: one in this many.
const ERROR: u128 = 20;

/// Ranks that a hoster may have, 1 for the best, both ends included. Equal intervals are ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankInterval {
    /// The hoster.
    pub hoster: u32,
    /// Best rank: one more than the hosters that are better beyond chance.
    pub best: u32,
    /// Worst rank: the number of hosters less those that are worse beyond chance.
    pub worst: u32,
}

/// One thing by which hosters are compared: what every group that counts says about each of them.
#[derive(Clone, Debug)]
pub struct Contest {
    /// By hoster, ascending by group.
    pub voices: Vec<Vec<Voice>>,
    /// Whether high or low values are good.
    pub better: Side,
}

/// A hoster that is better than another beyond chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Win {
    /// Index of the contest in which it is.
    pub contest: usize,
    /// Index of the better hoster.
    pub better: usize,
    /// Index of the worse one.
    pub worse: usize,
}

/// Outcome of comparing two hosters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Duel {
    win: Win,
    /// Two-sided p value, a share of 2^127.
    chance: u128,
}

impl Contest {
    /// What is remembered of a metric over all epochs. Groups without weight do not count.
    pub fn remembered(history: &History, hosters: &[u32], better: Side) -> Self {
        Self { voices: hosters.iter().map(|hoster| history.voices(*hoster)).collect(), better }
    }
}

/// Compares the hosters of one contract with one another in everything that they are compared by.
///
/// Each pair is a two-sided sign test over the groups that measured both (Dixon & Mood, JASA 41, 1946), each by the smaller of its two
/// weights: they count as many as Kish's effective size, and as no more than their voices are worth by their age. All tests of all contests
/// are one family, corrected by Holm's method at 5 % (Scandinavian Journal of Statistics 6, 1979): what is compared by three metrics has
/// three times the chances to be wrong. Time grows with the square of the number of hosters.
pub fn compare(hosters: &[u32], contests: &[Contest]) -> Vec<Win> {
    let mut duels = Vec::new();
    for (number, contest) in contests.iter().enumerate() {
        for one in 0..hosters.len().min(contest.voices.len()) {
            for other in 0..one {
                if hosters[one] != hosters[other] {
                    duels.push(duel(number, contest, other, one));
                }
            }
        }
    }
    let tests = duels.len() as u128;
    // By chance alone: which of two equally surprising duels comes first does not change what Holm's method rejects.
    duels.sort_by_key(|duel| duel.chance);
    let level = (1_u128 << 127) / ERROR;
    let rejected = duels.iter().zip((1..=tests).rev()).take_while(|(duel, left)| duel.chance <= level / left);
    rejected.map(|(duel, _)| duel.win).collect()
}

/// Ranks of hosters, in their order: one is better than another where it wins in something and loses in nothing.
pub fn rank(hosters: &[u32], wins: &[Win]) -> Vec<RankInterval> {
    let pairs: BTreeSet<(usize, usize)> = wins.iter().map(|win| (win.better, win.worse)).collect();
    let mut ranks: Vec<RankInterval> =
        hosters.iter().map(|hoster| RankInterval { hoster: *hoster, best: 1, worst: hosters.len() as u32 }).collect();
    for (better, worse) in pairs.iter().filter(|(better, worse)| !pairs.contains(&(*worse, *better))) {
        ranks[*worse].best += 1;
        ranks[*better].worst -= 1;
    }
    ranks
}

fn duel(number: usize, contest: &Contest, one: usize, other: usize) -> Duel {
    let (above, below) = signs(&contest.voices[one], &contest.voices[other]).counted();
    let one_wins = match contest.better {
        Side::AtLeast => above > below,
        Side::AtMost => below > above,
    };
    let (better, worse) = if one_wins { (one, other) } else { (other, one) };
    Duel { win: Win { contest: number, better, worse }, chance: two_sided(above, below) }
}

/// Weights of the groups that measured one hoster better or worse than another, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signs {
    above: u64,
    below: u64,
    squares: u128,
    recent: u64,
}

impl Signs {
    fn add(&mut self, weight_ppm: u32, recency_ppm: u32, is_above: bool) {
        let side = if is_above { &mut self.above } else { &mut self.below };
        *side = side.saturating_add(weight_ppm.into());
        self.squares = self.squares.saturating_add(u128::from(weight_ppm).pow(2));
        self.recent = self.recent.saturating_add(recency_ppm.into());
    }

    /// As so many groups of equal weight on either side. The smaller side is rounded up, which only makes a difference harder to prove.
    fn counted(self) -> (u64, u64) {
        let total = u128::from(self.above) + u128::from(self.below);
        let Some(kish) = (total.pow(2) + self.squares / 2).checked_div(self.squares) else { return (0, 0) };
        let full = u128::from(FULL_PPM);
        let size = kish.min((u128::from(self.recent) + full / 2) / full);
        let less = u128::from(self.above.min(self.below));
        // Of no more groups than there are: both fit.
        let fewer = (size * less).div_ceil(total.max(1)) as u64;
        let more = (size as u64).saturating_sub(fewer);
        if self.above < self.below { (fewer, more) } else { (more, fewer) }
    }
}

/// Who measured more of the first hoster, and who more of the second.
fn signs(one: &[Voice], other: &[Voice]) -> Signs {
    let mut found = Signs::default();
    let mut others = other.iter().peekable();
    for voice in one {
        while others.next_if(|other| other.group < voice.group).is_some() {}
        let Some(other) = others.next_if(|other| other.group == voice.group) else { continue };
        let (weight, recency) = (voice.weight_ppm.min(other.weight_ppm), voice.recency_ppm.min(other.recency_ppm));
        if voice.level != other.level {
            found.add(weight, recency, voice.level > other.level);
        }
    }
    found
}

/// P(as uneven or more) for fair coins, two-sided, as a share of 2^127.
fn two_sided(above: u64, below: u64) -> u128 {
    let (mut trials, mut fewer) = (above + below, above.min(below));
    if trials > MOST_GROUPS {
        fewer = (fewer * MOST_GROUPS).div_ceil(trials);
        trials = MOST_GROUPS;
    }
    if 2 * fewer >= trials {
        return 1 << 127;
    }
    let (mut term, mut sum) = (1_u128, 1_u128);
    for k in 0..fewer {
        term = next_binomial(term, trials, k);
        sum += term;
    }
    // Twice one tail, out of 2^trials.
    (sum << (127 - trials)) << 1
}

#[cfg(test)]
mod tests;
