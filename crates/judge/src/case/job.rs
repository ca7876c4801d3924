//! What a sponsor wants hosted, where, how well and for how long, and what it takes to prove it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Metric;
use crate::histogram::Scale;
use crate::policy::Policy;
use crate::verdict::{self, Needs, Never, Probing};

/// A job: the performance component of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What it is called.
    pub name: String,
    /// Regions from which it must be served: geohashes, of which finer ones are a part, or names. None: wherever it is measured.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Hosters that are wanted.
    #[serde(default = "three")]
    pub replicas: u32,
    /// For how long, seconds; absent: until somebody ends it.
    #[serde(default)]
    pub duration_s: Option<u64>,
    /// Share of probes that are served.
    #[serde(default)]
    pub availability: Option<Availability>,
    /// How soon answers begin.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// How fast the hoster sends: `[bandwidth]`, or `[egress]` where it stands beside `[ingress]`.
    #[serde(default, rename = "bandwidth", alias = "egress")]
    pub egress: Option<Bandwidth>,
    /// How fast it takes uploads.
    #[serde(default)]
    pub ingress: Option<Bandwidth>,
    /// What hosters ask for, by name, in the smallest unit of whatever currency. Printed beside their rank; it has no say in it.
    #[serde(default)]
    pub prices: BTreeMap<String, u64>,
}

/// A promise of availability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// Share of probes that are served, parts per million.
    pub guarantee_ppm: u32,
}

/// A promise of latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Milliseconds to the first byte.
    pub lag_ms: u32,
    /// Share of probes that keep it, parts per million. A probe that is not served does not.
    pub guarantee_ppm: u32,
}

/// A promise of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bits per second.
    pub speed_bps: u64,
    /// Share of transfers that reach it, parts per million.
    pub guarantee_ppm: u32,
}

/// One promise of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Probes are served.
    Availability,
    /// Answers begin in time.
    Latency,
    /// The hoster sends fast enough.
    Egress,
    /// The hoster takes uploads fast enough.
    Ingress,
}

/// Why a job was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JobError {
    /// Not the TOML of a job.
    #[error("not a job: {detail}")]
    Syntax {
        /// What the reader says, with line and column.
        detail: String,
    },
    /// A value that makes no sense.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field's path, such as `latency.lag_ms`.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What one promise takes before MEETS is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermNeeds {
    /// The promise.
    pub term: Term,
    /// Its share, parts per million.
    pub guarantee_ppm: u32,
    /// What it takes, or why it can never be proven.
    #[serde(with = "answer")]
    pub answer: Result<Needs, Never>,
}

/// A [`Result`] as documents carry it: `{"possible": ...}` or `{"never": ...}`.
mod answer {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Needs, Never};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Answer {
        Possible(Needs),
        Impossible(Never),
    }

    pub(super) fn serialize<S: Serializer>(answer: &Result<Needs, Never>, to: S) -> Result<S::Ok, S::Error> {
        match answer {
            Ok(needs) => Answer::Possible(*needs),
            Err(never) => Answer::Impossible(*never),
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Result<Needs, Never>, D::Error> {
        Ok(match Answer::deserialize(from)? {
            Answer::Possible(needs) => Ok(needs),
            Answer::Impossible(never) => Err(never),
        })
    }
}

impl Term {
    /// Every term.
    pub const ALL: [Self; 4] = [Self::Availability, Self::Latency, Self::Egress, Self::Ingress];

    /// The name in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency => "latency",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    /// The metric whose estimate belongs to it, and by which hosters are compared; availability has none.
    pub fn metric(self) -> Option<Metric> {
        match self {
            Self::Availability => None,
            Self::Latency => Some(Metric::LatencyP95),
            Self::Egress => Some(Metric::Egress),
            Self::Ingress => Some(Metric::Ingress),
        }
    }

    /// The scale of its values; availability has none.
    pub fn scale(self) -> Option<Scale> {
        match self {
            Self::Availability => None,
            Self::Latency => Some(Scale::LatencyUs),
            Self::Egress | Self::Ingress => Some(Scale::ThroughputBps),
        }
    }
}

impl Job {
    /// Reads a job in TOML. [`Job::validate`] is another matter: it needs a policy.
    ///
    /// # Errors
    /// Unknown or malformed fields.
    pub fn from_toml(text: &str) -> Result<Self, JobError> {
        toml::from_str(text).map_err(|error| JobError::Syntax { detail: error.to_string() })
    }

    /// Refuses a job without a promise and promises that make no sense under a policy.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn validate(&self, policy: &Policy) -> Result<(), JobError> {
        let invalid = |field, reason: String| Err(JobError::Invalid { field, reason });
        if self.name.is_empty() || self.name.len() > 128 {
            return invalid("name", "1 to 128 bytes".to_owned());
        }
        if self.replicas == 0 {
            return invalid("replicas", "at least 1".to_owned());
        }
        if self.duration_s == Some(0) {
            return invalid("duration_s", "at least 1".to_owned());
        }
        if self.regions.iter().any(|region| region.is_empty() || region.len() > 64) {
            return invalid("regions", "1 to 64 bytes each".to_owned());
        }
        if self.latency.is_some_and(|latency| latency.lag_ms == 0) {
            return invalid("latency.lag_ms", "at least 1".to_owned());
        }
        for (field, bandwidth) in [("bandwidth.speed_bps", self.egress), ("ingress.speed_bps", self.ingress)] {
            if bandwidth.is_some_and(|bandwidth| bandwidth.speed_bps == 0) {
                return invalid(field, "at least 1".to_owned());
            }
        }
        let terms = self.terms();
        if terms.is_empty() {
            return invalid("availability, latency, bandwidth, ingress", "nothing is promised".to_owned());
        }
        let (least, most) = (policy.sla.min_guarantee_ppm, policy.sla.max_guarantee_ppm);
        for (term, guarantee_ppm) in terms {
            if !(least..=most).contains(&guarantee_ppm) {
                let reason = format!("{guarantee_ppm} ppm is not within {least} and {most} of {}", policy.label());
                return invalid(term.guarantee_field(), reason);
            }
        }
        Ok(())
    }

    /// What is promised, with the share that must keep it in parts per million.
    pub fn terms(&self) -> Vec<(Term, u32)> {
        let all = [
            (Term::Availability, self.availability.map(|availability| availability.guarantee_ppm)),
            (Term::Latency, self.latency.map(|latency| latency.guarantee_ppm)),
            (Term::Egress, self.egress.map(|egress| egress.guarantee_ppm)),
            (Term::Ingress, self.ingress.map(|ingress| ingress.guarantee_ppm)),
        ];
        all.into_iter().filter_map(|(term, guarantee)| Some((term, guarantee?))).collect()
    }

    /// The level of a term in the unit of its scale: microseconds or bits per second.
    pub fn level(&self, term: Term) -> Option<u64> {
        match term {
            Term::Availability => None,
            Term::Latency => self.latency.map(|latency| u64::from(latency.lag_ms) * 1_000),
            Term::Egress => self.egress.map(|egress| egress.speed_bps),
            Term::Ingress => self.ingress.map(|ingress| ingress.speed_bps),
        }
    }
}

impl Term {
    fn guarantee_field(self) -> &'static str {
        match self {
            Self::Availability => "availability.guarantee_ppm",
            Self::Latency => "latency.guarantee_ppm",
            Self::Egress => "bandwidth.guarantee_ppm",
            Self::Ingress => "ingress.guarantee_ppm",
        }
    }
}

/// What every promise of a job takes before MEETS is possible, where so many independent groups can be drawn.
///
/// Every promise must hold in every region of the job, and a group measures from one region: the pool is divided among the regions as
/// evenly as can be, and rounds are held for one region after the other. Numbers are those of all regions together, `effective_probes`
/// (and the numbers of [`Never::Correlated`]) those of each.
pub fn needs(job: &Job, policy: &Policy, pool: u32) -> Vec<TermNeeds> {
    let regions = distinct_regions(job);
    let every = policy.probing(pool / regions);
    // A region's turn comes once in as many rounds as there are regions.
    let probing = Probing { round_s: every.round_s.saturating_mul(regions.into()), ..every };
    let answer = |guarantee_ppm| {
        let of_all = |found: Needs| Needs {
            effective_probes: found.effective_probes,
            probes: found.probes.saturating_mul(regions.into()),
            groups: found.groups.saturating_mul(regions),
            rounds: found.rounds.saturating_mul(regions.into()),
            seconds: found.seconds,
            bytes: found.bytes.saturating_mul(regions.into()),
        };
        verdict::needs(guarantee_ppm, &probing).map(of_all).map_err(|never| match never {
            Never::TooFewGroups { needed, .. } => {
                Never::TooFewGroups { have: pool, needed: needed.saturating_mul(regions) }
            }
            other => other,
        })
    };
    let terms = job.terms().into_iter();
    terms.map(|(term, guarantee_ppm)| TermNeeds { term, guarantee_ppm, answer: answer(guarantee_ppm) }).collect()
}

/// How many regions a job names, at least one; a name that is there twice is one.
fn distinct_regions(job: &Job) -> u32 {
    let regions: BTreeSet<String> = job.regions.iter().map(|region| region.to_ascii_lowercase()).collect();
    u32::try_from(regions.len()).unwrap_or(u32::MAX).max(1)
}

fn three() -> u32 {
    3
}
