//! What is known of how well a hoster serves a region. The evaluation writes it, selection and pay read it.

use std::cmp::Ordering;

use peermark_core::region::Geohash;
use peermark_judge::qualification::Standing;
use serde::{Deserialize, Serialize};

use crate::item::component::Performance;
use crate::{Height, Id, Ppm};

/// Highest tier, and so the highest weight in a draw: at most 4 : 1.
pub const TIERS: u8 = 4;

/// What is known of one hoster in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// What it may be given.
    pub standing: Standing,
    /// 1 to [`TIERS`]: how it ranks.
    pub tier: u8,
    /// Share of requests that it answers.
    pub availability: Option<Range>,
    /// Share of requests within a delay in milliseconds.
    pub latency: Vec<Point>,
    /// Share of transfers to readers that reach a rate in bit/s.
    pub egress: Vec<Point>,
    /// Share of transfers to the hoster that reach a rate in bit/s.
    pub ingress: Vec<Point>,
    /// The evidence is disputed: nothing new may follow from it.
    pub disputed: bool,
    /// When it was evaluated.
    pub at: Height,
}

/// An interval in which a share lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Lower end.
    pub low: Ppm,
    /// Upper end.
    pub high: Ppm,
}

/// The share at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Milliseconds or bit/s.
    pub threshold: u64,
    /// The share that keeps it.
    pub share: Range,
}

/// Whether a hoster keeps what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Keeps {
    /// It is measured to break it.
    Fails,
    /// Nobody can tell yet.
    Unproven,
    /// It is measured to keep it.
    Meets,
}

impl Quality {
    /// Whether what is asked is kept: the worst answer of its parts. Between two thresholds that were measured nothing is guessed: a
    /// promise is kept where a stricter one is, and broken where a laxer one is. What is disputed is unproven.
    pub fn keeps(&self, asked: &Performance) -> Keeps {
        if self.disputed {
            return Keeps::Unproven;
        }
        let mut worst = Keeps::Meets;
        let mut part = |answer: Keeps| worst = worst.min(answer);
        if let Some(least) = asked.availability {
            part(self.availability.map_or(Keeps::Unproven, |range| range.keeps(least)));
        }
        for (speed, points) in [(asked.egress, &self.egress), (asked.ingress, &self.ingress)] {
            if let Some(speed) = speed {
                part(curve(points, speed.guarantee, |threshold| threshold.cmp(&speed.bits_per_s)));
            }
        }
        if let Some(lag) = asked.latency {
            part(curve(&self.latency, lag.guarantee, |threshold| u64::from(lag.lag_ms).cmp(&threshold)));
        }
        worst
    }
}

impl Range {
    fn keeps(self, least: Ppm) -> Keeps {
        match (self.low >= least, self.high < least) {
            (true, false) => Keeps::Meets,
            (false, true) => Keeps::Fails,
            _ => Keeps::Unproven,
        }
    }
}

/// `strictness` compares a measured threshold with the one that is asked for: greater is stricter.
fn curve(points: &[Point], least: Ppm, strictness: impl Fn(u64) -> Ordering) -> Keeps {
    let answers = points.iter().map(|point| (strictness(point.threshold), point.share.keeps(least)));
    let (mut meets, mut fails) = (false, false);
    for (strictness, answer) in answers {
        meets |= strictness.is_ge() && answer == Keeps::Meets;
        fails |= strictness.is_le() && answer == Keeps::Fails;
    }
    match (meets, fails) {
        (true, false) => Keeps::Meets,
        (false, true) => Keeps::Fails,
        _ => Keeps::Unproven,
    }
}

/// Key of the table of qualities.
pub type QualityKey = (Id, Geohash);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::component::{Lag, Speed};

    fn quality() -> Quality {
        let point = |threshold, low, high| Point { threshold, share: Range { low, high } };
        Quality {
            standing: Standing::Qualified,
            tier: 1,
            availability: Some(Range { low: 990_000, high: 995_000 }),
            latency: vec![point(100, 500_000, 600_000), point(200, 950_000, 970_000)],
            egress: vec![point(1_000_000, 980_000, 990_000), point(10_000_000, 100_000, 200_000)],
            ingress: vec![],
            disputed: false,
            at: 7,
        }
    }

    /// R80, R82: an interval decides only where all of it lies on one side; what was not measured is unproven.
    #[test]
    fn a_promise_is_kept_broken_or_unproven() {
        let availability = |least| Performance { availability: Some(least), ..Performance::default() };
        let latency =
            |lag_ms, guarantee| Performance { latency: Some(Lag { lag_ms, guarantee }), ..Performance::default() };
        let egress = |bits_per_s, guarantee| Performance {
            egress: Some(Speed { bits_per_s, guarantee }),
            ..Performance::default()
        };
        let ingress = Performance { ingress: Some(Speed { bits_per_s: 1, guarantee: 1 }), ..Performance::default() };
        for (asked, expected) in [
            (Performance::default(), Keeps::Meets),
            (availability(990_000), Keeps::Meets),
            (availability(992_000), Keeps::Unproven),
            (availability(996_000), Keeps::Fails),
            (latency(200, 950_000), Keeps::Meets),
            // Between 100 and 200 ms: kept within 100 ms is kept, broken within 200 ms is broken.
            (latency(150, 500_000), Keeps::Meets),
            (latency(150, 980_000), Keeps::Fails),
            (latency(150, 800_000), Keeps::Unproven),
            (latency(300, 950_000), Keeps::Meets),
            (latency(300, 980_000), Keeps::Unproven),
            (latency(50, 550_000), Keeps::Unproven),
            (latency(50, 700_000), Keeps::Fails),
            (egress(500_000, 980_000), Keeps::Meets),
            (egress(5_000_000, 50_000), Keeps::Meets),
            (egress(20_000_000, 300_000), Keeps::Fails),
            (ingress, Keeps::Unproven),
        ] {
            assert_eq!(quality().keeps(&asked), expected, "{asked:?}");
        }
        let both = Performance { availability: Some(990_000), ..latency(50, 700_000) };
        assert_eq!(quality().keeps(&both), Keeps::Fails);
        assert_eq!(Quality { disputed: true, ..quality() }.keeps(&both), Keeps::Unproven);
    }
}
