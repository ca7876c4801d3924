//! By what level a value is judged that came over somebody's own line.

use crate::fixed::Fixed;
use crate::histogram::Scale;
use crate::policy::PPM;

/// The levels that the values of one group are held against, in the unit of their scale.
///
/// An estimate takes a group's own effect off what it measured, and so does a verdict: a value of a group that measures half of what the
/// median group does is held against half of the level. An effect that makes a group measure more raises its level for MEETS alone. Most
/// lines are limits, not factors: beside many slow ones a fast one stands out, and what is said of a hoster over the fast one would
/// FAIL by a level that nobody promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    /// What must surely be kept for MEETS: the fair one, harder by the policy's slack.
    pub(crate) hard: u64,
    /// The promised one as the group's own line shows it.
    pub(crate) fair: u64,
    /// What must surely be broken for FAILS: the easier one of the fair and the promised one.
    pub(crate) easy: u64,
}

impl Levels {
    /// Of a promised level and a group's effect in doublings.
    pub(crate) fn new(level: u64, scale: Scale, effect: Fixed, slack_ppm: u32) -> Self {
        let fair = shifted(level, effect);
        let easy = match scale {
            Scale::LatencyUs => fair.max(level),
            Scale::ThroughputBps => fair.min(level),
        };
        Self { hard: hardened(fair, scale, slack_ppm), fair, easy }
    }
}

/// A level times two to the power of an effect.
fn shifted(level: u64, effect: Fixed) -> u64 {
    match Fixed::log2(level) {
        Some(log) if effect != Fixed::ZERO => (log + effect).exp2_count().max(1),
        _ => level,
    }
}

/// A level that is harder to keep by the policy's slack.
pub(crate) fn hardened(level: u64, scale: Scale, slack_ppm: u32) -> u64 {
    let (level, one, more) = (u128::from(level), u128::from(PPM), u128::from(PPM) + u128::from(slack_ppm));
    let hard = match scale {
        Scale::LatencyUs => level * one / more,
        Scale::ThroughputBps => (level * more).div_ceil(one),
    };
    u64::try_from(hard).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_line_lowers_the_level_and_a_fast_one_raises_it_for_meets_alone() {
        let levels = |scale, effect, slack_ppm| {
            let Levels { hard, fair, easy } = Levels::new(25_000_000, scale, Fixed::from_int(effect), slack_ppm);
            (hard, fair, easy)
        };
        let (rate, time) = (Scale::ThroughputBps, Scale::LatencyUs);
        assert_eq!(levels(rate, 0, 0), (25_000_000, 25_000_000, 25_000_000));
        assert_eq!(levels(rate, 0, 150_000), (28_750_000, 25_000_000, 25_000_000));
        assert_eq!(levels(time, 0, 250_000), (20_000_000, 25_000_000, 25_000_000));
        let near = |found: (u64, u64, u64), expected: (u64, u64, u64)| {
            let close = |a: u64, b: u64| a.abs_diff(b) <= 1;
            assert!(
                close(found.0, expected.0) && close(found.1, expected.1) && close(found.2, expected.2),
                "{found:?}"
            );
        };
        near(levels(rate, -2, 0), (6_250_000, 6_250_000, 6_250_000));
        near(levels(rate, 1, 0), (50_000_000, 50_000_000, 25_000_000));
        near(levels(time, 1, 0), (50_000_000, 50_000_000, 50_000_000));
        near(levels(time, -1, 0), (12_500_000, 12_500_000, 25_000_000));
        assert_eq!(Levels::new(u64::MAX, rate, Fixed::MAX, 0).fair, u64::MAX);
        assert_eq!(Levels::new(1, rate, Fixed::MIN, 0).hard, 1);
    }
}
