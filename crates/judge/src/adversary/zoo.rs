//! What liars do.

use super::Noise;

/// One strategy of the liars (reliability reference §2.7). Factors are of the rate that the liar really measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Friends x4, victims / 4, in every report.
    Loud,
    /// Friends x1.5, victims / 1.5: close to the noise.
    Stealth,
    /// Just inside the outlier rule: a factor of 3.4 standard deviations of honest residuals.
    StealthEdge,
    /// x4 in one of five epochs, which the liars agree on by lot; honest in the others.
    OnOff,
    /// x4 in every fifth epoch, the measured one among them.
    OnOffNow,
    /// A lognormal factor (standard deviation 1) on every hoster, without a goal.
    RandomNoise,
    /// The value of another member of the committee in place of an own measurement.
    Copycat,
    /// True values, but the reports that would hurt a friend or help a victim are kept back.
    Withholder,
    /// The last epoch's consensus in place of a measurement.
    Lazy,
    /// Identities that join together in the last quarter, all in two networks, x4.
    SybilBurst,
    /// Identities that join together in the last quarter, each in a network of its own, x4.
    SybilSpread,
    /// Clocks that run wrong by a factor of up to 2, stepped every five epochs.
    ClockSkewed,
    /// x4 for one friend, honest elsewhere.
    SingleFriend,
    /// x1.5 for one friend, honest elsewhere: known to be undetectable by statistics.
    SingleQuiet,
    /// 1 / 4 for one victim, honest elsewhere.
    SingleVictim,
    /// A factor that grows by 1 % in each epoch.
    SlowPoison,
    /// Honest for three quarters of the time, until the weight is at its largest, then x4.
    Mimic,
    /// Each liar praises one hoster of its own x4; no bloc.
    Pair,
    /// x4 by 55 % of the pool, whatever the share of the row: everything inverts, the honest answer is DISPUTED.
    Takeover,
}

/// Whom an attack is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// A fifth of the hosters are friends, a fifth victims.
    Several,
    /// One friend.
    OneFriend,
    /// One victim.
    OneVictim,
    /// One friend per liar.
    PartnerEach,
}

/// What a lying report is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lie {
    /// The own measurement times this for a friend, divided by it for a victim.
    Factor(f64),
    /// The own measurement, if it suits.
    Withhold,
    /// The own measurement times a random factor.
    Noise,
    /// Another member's measurement.
    Copy,
    /// What the committee said about the hoster in the last epoch.
    LastConsensus,
    /// The own measurement by a wrong clock.
    Clock,
}

impl Attack {
    /// Every strategy, in the order of reports.
    pub const ALL: [Self; 19] = [
        Self::Loud,
        Self::Stealth,
        Self::StealthEdge,
        Self::OnOff,
        Self::OnOffNow,
        Self::RandomNoise,
        Self::Copycat,
        Self::Withholder,
        Self::Lazy,
        Self::SybilBurst,
        Self::SybilSpread,
        Self::ClockSkewed,
        Self::SingleFriend,
        Self::SingleQuiet,
        Self::SingleVictim,
        Self::SlowPoison,
        Self::Mimic,
        Self::Pair,
        Self::Takeover,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loud => "x4",
            Self::Stealth => "stealth-x1.5",
            Self::StealthEdge => "stealth-z3.4",
            Self::OnOff => "on-off",
            Self::OnOffNow => "on-off-now",
            Self::RandomNoise => "random-noise",
            Self::Copycat => "copycat",
            Self::Withholder => "withholder",
            Self::Lazy => "lazy",
            Self::SybilBurst => "sybil-burst",
            Self::SybilSpread => "sybil-spread",
            Self::ClockSkewed => "clock-skewed",
            Self::SingleFriend => "single-friend-x4",
            Self::SingleQuiet => "single-quiet-x1.5",
            Self::SingleVictim => "single-victim-x4",
            Self::SlowPoison => "slow-poison",
            Self::Mimic => "mimic",
            Self::Pair => "pair",
            Self::Takeover => "takeover-55",
        }
    }

    /// Whom it is about.
    pub fn targets(self) -> Targets {
        match self {
            Self::SingleFriend | Self::SingleQuiet => Targets::OneFriend,
            Self::SingleVictim => Targets::OneVictim,
            Self::Pair => Targets::PartnerEach,
            _ => Targets::Several,
        }
    }

    /// What a report of a liar is made of in this epoch.
    pub(super) fn lie(self, noise: &Noise, epoch: u32) -> Lie {
        match self {
            Self::Stealth | Self::SingleQuiet => Lie::Factor(1.5),
            // What is left once the attester's own effect is known: path and sample.
            Self::StealthEdge => Lie::Factor((3.4 * noise.pair.hypot(noise.sample)).exp()),
            Self::SlowPoison => Lie::Factor(1.01_f64.powf(f64::from(epoch) + 1.0)),
            Self::RandomNoise => Lie::Noise,
            Self::Copycat => Lie::Copy,
            Self::Withholder => Lie::Withhold,
            Self::Lazy => Lie::LastConsensus,
            Self::ClockSkewed => Lie::Clock,
            Self::Loud
            | Self::OnOff
            | Self::OnOffNow
            | Self::SybilBurst
            | Self::SybilSpread
            | Self::SingleFriend
            | Self::SingleVictim
            | Self::Mimic
            | Self::Pair
            | Self::Takeover => Lie::Factor(4.0),
        }
    }

    /// The share of liars where the attack itself fixes it.
    pub fn fixed_share(self) -> Option<f64> {
        (self == Self::Takeover).then_some(0.55)
    }
}
