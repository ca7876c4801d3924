//! `peermark capacity`: whether one more job fits and what it does to the others, what other hardware would do, what is needed, and what
//! the price says. Schema `peermark.capacity/1`.

mod naming;

use peermark_judge::capacity::{
    Admission, CostRecord, Host, JobKind, Load, Plan, Prediction, Pressure, Resource, Resources, admit, needed,
    next_price, predict, projected, what_if,
};
use peermark_judge::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::table::columns;
use crate::words;
use naming::{amount, job, resource};

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.capacity/1";

/// What is asked: a host with its jobs and their costs, as a node measured them itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The host.
    pub host: Host,
    /// The jobs it has.
    #[serde(default)]
    pub jobs: Vec<Load>,
    /// What jobs of each kind cost.
    #[serde(default)]
    pub costs: Vec<CostRecord>,
    /// One more job.
    #[serde(default)]
    pub more: Option<Load>,
    /// Other hardware.
    #[serde(default)]
    pub other: Option<Host>,
    /// How many runs per hour there were at which second, by kind of job.
    #[serde(default)]
    pub history: Vec<Observed>,
    /// How far to look ahead, seconds.
    #[serde(default = "week")]
    pub ahead_s: u64,
    /// The pool that the host is in.
    #[serde(default)]
    pub pool: Option<Pool>,
}

/// Runs of one kind of job over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The kind.
    pub job: JobKind,
    /// Second and runs per hour, in the order of time.
    pub runs_per_hour: Vec<(u64, u64)>,
}

/// Price and use of a pool of hosters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Price of this epoch.
    pub price: u64,
    /// Share of its capacity that is used, parts per million.
    pub utilisation_ppm: u32,
}

/// The answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Nobody signs what a host says about itself.
    pub signed: bool,
    /// Where the question comes from.
    pub source: String,
    /// Name and version of the policy.
    pub policy: String,
    /// Largest utilisation that the policy allows, parts per million.
    pub max_utilisation_ppm: u32,
    /// What the host is used for now.
    pub now: Prediction,
    /// Whether one more job fits, and what it does to those already there.
    pub one_more: Option<Admission>,
    /// What the jobs would do on the other hardware.
    pub other_hardware: Option<Plan>,
    /// The workload after `ahead_s`, as far as its history allows, and what it does.
    pub projected: Option<Projected>,
    /// The least hardware for the jobs there are and the one more.
    pub needed: Needed,
    /// The price of the next epoch.
    pub price: Option<PriceLine>,
}

/// A projected workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projected {
    /// Seconds from the last observation.
    pub ahead_s: u64,
    /// The jobs of then.
    pub jobs: Vec<Load>,
    /// Kinds without enough history, taken as they are now.
    pub as_now: Vec<JobKind>,
    /// What they would use.
    pub prediction: Prediction,
    /// The least hardware for them.
    pub needed: Resources,
}

/// The least hardware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    /// Every resource.
    pub resources: Resources,
    /// Kinds whose cost is not known and which are left out.
    pub unknown: Vec<JobKind>,
}

/// What the price says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceLine {
    /// Of this epoch.
    pub now: u64,
    /// Of the next.
    pub next: u64,
    /// What it says to those who might join or leave.
    pub signal: Pressure,
}

impl Question {
    /// Reads a question in TOML.
    ///
    /// # Errors
    /// What the reader says, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

impl CapacityDocument {
    /// Answers a question by a policy.
    pub fn new(question: &Question, source: &str, policy: &Policy) -> Self {
        let Question { host, jobs, costs, .. } = question;
        let rules = &policy.capacity;
        let all: Vec<Load> = jobs.iter().chain(&question.more).copied().collect();
        let (resources, unknown) = needed(&host.idle, &all, costs, rules);
        Self {
            schema: SCHEMA.to_owned(),
            signed: false,
            source: source.to_owned(),
            policy: policy.label(),
            max_utilisation_ppm: rules.max_utilisation_ppm,
            now: predict(host, jobs, costs),
            one_more: question.more.map(|more| admit(host, jobs, more, costs, rules)),
            other_hardware: question.other.map(|other| what_if(host, &other, &all, costs, rules)),
            projected: (!question.history.is_empty()).then(|| project(question, policy)),
            needed: Needed { resources, unknown },
            price: question.pool.map(|pool| {
                let (next, signal) = next_price(pool.price, pool.utilisation_ppm, rules);
                PriceLine { now: pool.price, next, signal }
            }),
        }
    }

    /// Whether everything that was asked for fits.
    pub fn fits(&self) -> bool {
        self.one_more.as_ref().is_none_or(|more| more.admitted)
            && self.other_hardware.as_ref().is_none_or(|plan| plan.enough)
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![
            crate::source::unsigned(&self.source),
            format!("policy {}: at most {} of anything", self.policy, words::ppm(self.max_utilisation_ppm)),
            String::new(),
        ];
        let columns_of: Vec<(&str, &Prediction)> = [("now", Some(&self.now))]
            .into_iter()
            .chain([
                ("one more job", self.one_more.as_ref().map(|more| &more.after)),
                ("other hardware", self.other_hardware.as_ref().map(|plan| &plan.after)),
                ("projected", self.projected.as_ref().map(|projected| &projected.prediction)),
            ])
            .filter_map(|(name, prediction)| Some((name, prediction?)))
            .collect();
        lines.extend(self.utilisations(&columns_of));
        lines.push(String::new());
        if let Some(more) = &self.one_more {
            let verdict = if more.admitted { "fits" } else { "DOES NOT FIT" };
            let slower = more.slowdown_ppm.map_or_else(
                || "the queues would grow without end".to_owned(),
                |ppm| {
                    format!("jobs already there take {}.{:02} times as long", ppm / 1_000_000, ppm % 1_000_000 / 10_000)
                },
            );
            lines.push(format!("one more job: {verdict}; {slower}"));
        }
        if let Some(plan) = &self.other_hardware {
            let verdict = if plan.enough { "enough" } else { "NOT ENOUGH" };
            lines.push(format!("other hardware: {verdict}; busiest would be {}", resource(plan.after.busiest)));
        }
        for (name, prediction) in &columns_of {
            if !prediction.unknown.is_empty() {
                let kinds: Vec<String> = prediction.unknown.iter().map(|kind| job(*kind)).collect();
                lines.push(format!("{name}: costs of {} are not known, so it is too low", kinds.join(", ")));
            }
        }
        if let Some(price) = &self.price {
            let signal = match price.signal {
                Pressure::Join => "join: the pool wants more",
                Pressure::Leave => "leave: the pool has more than enough",
                Pressure::Stay => "stay",
            };
            lines.push(format!("price: {} -> {} ({signal})", price.now, price.next));
        }
        lines.join("\n")
    }

    fn utilisations(&self, predictions: &[(&str, &Prediction)]) -> Vec<String> {
        let cell = |index: usize, wanted: Resource| {
            let Some((_, prediction)) = predictions.get(index) else { return String::new() };
            let found = prediction.utilisation_ppm.iter().find(|(resource, _)| *resource == wanted);
            found.map_or_else(String::new, |(_, ppm)| match *ppm {
                u64::MAX => "none there".to_owned(),
                ppm => {
                    let over = if ppm > u64::from(self.max_utilisation_ppm) { " !" } else { "" };
                    format!("{}{over}", words::short(ppm))
                }
            })
        };
        let name = |index: usize| predictions.get(index).map_or("", |(name, _)| name).to_owned();
        let head = ["used (95th percentile)".to_owned(), name(0), name(1), name(2), name(3), "needed".to_owned()];
        let rows = Resource::ALL.into_iter().map(|wanted| {
            let needed = amount(wanted, self.needed.resources.get(wanted));
            [resource(wanted).to_owned(), cell(0, wanted), cell(1, wanted), cell(2, wanted), cell(3, wanted), needed]
        });
        columns(std::iter::once(head).chain(rows))
    }
}

fn project(question: &Question, policy: &Policy) -> Projected {
    let mut as_now = Vec::new();
    let jobs: Vec<Load> = question
        .jobs
        .iter()
        .map(|load| {
            let history = question.history.iter().find(|observed| observed.job == load.job);
            let ahead = history.and_then(|observed| projected(&observed.runs_per_hour, question.ahead_s));
            if ahead.is_none() {
                as_now.push(load.job);
            }
            Load { runs_per_hour: ahead.unwrap_or(load.runs_per_hour), ..*load }
        })
        .collect();
    let (resources, _) = needed(&question.host.idle, &jobs, &question.costs, &policy.capacity);
    Projected {
        ahead_s: question.ahead_s,
        prediction: predict(&question.host, &jobs, &question.costs),
        needed: resources,
        jobs,
        as_now,
    }
}

fn week() -> u64 {
    7 * 86_400
}
