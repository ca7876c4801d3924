//! One observation as one line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use peermark_core::{EvidenceClass, Outcome, Sample, Series, Unit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Header, Labels, Observation};
use crate::names;

/// Labels whose text is kept. A run has a few dozen; beyond that the text is made again.
const MAX_KEPT_LABELS: usize = 1024;

/// Why a line is no observation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowProblem {
    /// Not the JSON object that a row is.
    #[error("not a row")]
    Json(#[from] serde_json::Error),
    /// A name of a closed list that this version does not have on it.
    #[error("unknown {column}: {found:?}")]
    UnknownName {
        /// Which column.
        column: &'static str,
        /// What it holds.
        found: String,
    },
    /// A failure that nobody has to mend, or a success that somebody has to.
    #[error("outcome {outcome:?} does not go with culprit {culprit:?}")]
    Culprit {
        /// What the one column holds.
        outcome: String,
        /// What the other holds.
        culprit: Option<String>,
    },
}

/// The first columns, the same for all rows of a series.
#[derive(Serialize)]
struct LabelColumns<'a> {
    kind: &'a str,
    class: EvidenceClass,
    observer: &'a str,
    subject: &'a str,
    observer_region: &'a str,
    subject_region: &'a str,
    unit: Unit,
    environment: &'a str,
    op: &'a str,
    phase: &'a str,
}

/// The other columns.
#[derive(Serialize)]
struct SampleColumns {
    seq: u64,
    intended_ns: u64,
    started_ns: u64,
    ended_ns: u64,
    bytes: u64,
    value: i64,
    outcome: &'static str,
    culprit: Option<&'static str>,
    node: Option<u32>,
    trace: u64,
}

/// A whole line. A missing column is an error, and so is one that this version does not know. (Naming a deserializer is what makes
/// an absent `Option` an error instead of `None`.)
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    class: EvidenceClass,
    #[serde(borrow)]
    observer: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    observer_region: Cow<'a, str>,
    #[serde(borrow)]
    subject_region: Cow<'a, str>,
    unit: Unit,
    #[serde(borrow)]
    environment: Cow<'a, str>,
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    phase: Cow<'a, str>,
    seq: u64,
    intended_ns: u64,
    started_ns: u64,
    ended_ns: u64,
    bytes: u64,
    value: i64,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(deserialize_with = "Option::deserialize")]
    culprit: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    node: Option<u32>,
    trace: u64,
}

/// Writes observations as lines. The text of the labels is made once per series, since it is two thirds of a line.
#[derive(Default)]
pub(super) struct RowEncoder {
    /// Keyed by address; the `Arc` beside the text keeps the address from being used again.
    kept: HashMap<usize, (Arc<Labels>, Vec<u8>)>,
}

impl RowEncoder {
    /// Appends the observation's line to `text`.
    pub(super) fn encode(&mut self, observation: &Observation, text: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if self.kept.len() >= MAX_KEPT_LABELS {
            self.kept.clear();
        }
        let address = Arc::as_ptr(&observation.labels).addr();
        let beginning = match self.kept.entry(address) {
            Entry::Occupied(kept) => &kept.into_mut().1,
            Entry::Vacant(free) => {
                let labels = Arc::clone(&observation.labels);
                let beginning = beginning_of(&labels)?;
                &free.insert((labels, beginning)).1
            }
        };
        text.extend_from_slice(beginning);
        let joint = text.len();
        serde_json::to_writer(&mut *text, &SampleColumns::new(observation))?;
        // Two objects become one: "{labels" and "{sample}" meet in a comma.
        text[joint] = b',';
        text.push(b'\n');
        Ok(())
    }
}

/// The labels' object without its closing brace.
fn beginning_of(labels: &Labels) -> Result<Vec<u8>, serde_json::Error> {
    let Labels { series, op, phase } = labels;
    let mut text = serde_json::to_vec(&LabelColumns {
        kind: &series.kind,
        class: series.class,
        observer: &series.observer,
        subject: &series.subject,
        observer_region: &series.observer_region,
        subject_region: &series.subject_region,
        unit: series.unit,
        environment: &series.environment,
        op,
        phase,
    })?;
    text.pop();
    Ok(text)
}

impl SampleColumns {
    fn new(observation: &Observation) -> Self {
        let Sample { seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, trace } = observation.sample;
        let (_, class, culprit) = names::outcome_names(outcome);
        let outcome = class.unwrap_or(names::OK);
        Self { seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, culprit, node: observation.node, trace }
    }
}

/// Reads one line. `last` are the labels of the line before: where they are the same, they are shared.
pub(super) fn decode(line: &[u8], header: &Header, last: Option<&Arc<Labels>>) -> Result<Observation, RowProblem> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    let outcome = line.outcome()?;
    let labels = match last {
        Some(last) if line.is_labelled(last) => Arc::clone(last),
        _ => Arc::new(line.labels(header)),
    };
    let sample = Sample {
        seq: line.seq,
        intended_ns: line.intended_ns,
        started_ns: line.started_ns,
        ended_ns: line.ended_ns,
        bytes: line.bytes,
        value: line.value,
        outcome,
        trace: line.trace,
    };
    Ok(Observation { labels, sample, node: line.node })
}

impl Line<'_> {
    fn outcome(&self) -> Result<Outcome, RowProblem> {
        let unknown = |column, found: &str| RowProblem::UnknownName { column, found: found.to_owned() };
        let class = names::class_of_name(&self.outcome).ok_or_else(|| unknown("outcome", &self.outcome))?;
        match (class, self.culprit.as_deref()) {
            (None, None) => Ok(Outcome::Ok),
            (Some(class), Some(name)) => {
                let culprit = names::culprit(name).ok_or_else(|| unknown("culprit", name))?;
                Ok(Outcome::Failed { class, culprit })
            }
            (_, culprit) => {
                Err(RowProblem::Culprit { outcome: self.outcome.to_string(), culprit: culprit.map(str::to_owned) })
            }
        }
    }

    fn is_labelled(&self, labels: &Labels) -> bool {
        let Labels { series, op, phase } = labels;
        let texts = [
            (&self.kind, &series.kind),
            (&self.observer, &series.observer),
            (&self.subject, &series.subject),
            (&self.observer_region, &series.observer_region),
            (&self.subject_region, &series.subject_region),
            (&self.environment, &series.environment),
            (&self.op, op),
            (&self.phase, phase),
        ];
        self.class == series.class && self.unit == series.unit && texts.into_iter().all(|(own, other)| own == other)
    }

    fn labels(&self, header: &Header) -> Labels {
        Labels {
            series: Series {
                schema: header.series_schema,
                run: header.run.clone(),
                kind: self.kind.to_string(),
                class: self.class,
                observer: self.observer.to_string(),
                subject: self.subject.to_string(),
                observer_region: self.observer_region.to_string(),
                subject_region: self.subject_region.to_string(),
                unit: self.unit,
                environment: self.environment.to_string(),
            },
            op: self.op.to_string(),
            phase: self.phase.to_string(),
        }
    }
}
