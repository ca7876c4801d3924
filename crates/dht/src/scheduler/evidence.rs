//! Calls as observations: also those of which parsec's tables keep nothing, because they failed before there was a measurement.

use std::collections::HashMap;

use peermark_core::{Culprit, EvidenceClass, FailureClass, MonotonicNs, Outcome, Sample, Series, Unit};
use peermark_store::dht::LiveNode;
use peermark_store::{SeriesId, Store, StoreError};

use super::target::Called;
use super::wire::Measurement;

/// Kind of the series of the moment at which a record is visible.
pub const VISIBLE: &str = "dht.visible";

/// The subject of a series about no single node.
const NETWORK: &str = "network";

/// Begins the subject of a series about the servers of one region. `subject_region` takes geohashes only, which the names that operators
/// give to regions are not.
const REGION: &str = "region:";

/// One operation that a scheduler asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which series it belongs to.
    pub about: About,
    /// When the scheduler asked.
    pub started_ns: MonotonicNs,
    /// When it had the answer, or gave up.
    pub ended_ns: MonotonicNs,
    /// What was measured, in nanoseconds; of a failure without a measurement the time until it was known.
    pub value_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Number of the round, which names its content.
    pub trace: u64,
    /// Its number in its series, once it was tried to be written: every try writes the same.
    pub seq: Option<u64>,
}

/// What tells the series of one scheduler apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct About {
    /// `dht.provide`, `dht.retrieve` or [`VISIBLE`].
    pub kind: &'static str,
    /// Peer id of the server; `region:` and a name for what a region saw, `network` for what all of them did.
    pub subject: String,
}

impl About {
    /// What a server did.
    pub fn server(kind: &'static str, node: &LiveNode) -> Self {
        Self { kind, subject: node.peer_id.clone() }
    }

    /// When a region saw a record.
    pub fn visible_in(region: &str) -> Self {
        Self { kind: VISIBLE, subject: format!("{REGION}{region}") }
    }

    /// When the last of all regions saw a record.
    pub fn visible() -> Self {
        Self { kind: VISIBLE, subject: NETWORK.to_owned() }
    }
}

/// How a step ended by what the server says of it. The words are parsec's convention; others are a failure of the server.
pub fn outcome_of(step: &Measurement) -> Outcome {
    let (class, culprit) = match step.error.as_str() {
        "" => return Outcome::Ok,
        "not found" | "Did not find any providers" => (FailureClass::NotFound, Culprit::Path),
        "context deadline exceeded" => (FailureClass::Timeout, Culprit::Path),
        "failed to find any peer in table" => (FailureClass::ConnectFailed, Culprit::Peer),
        _ => (FailureClass::ServerError, Culprit::Peer),
    };
    Outcome::failed(class, culprit)
}

/// How a call ended: as its first failing step, or as whatever kept it from having any.
pub fn outcome_of_call(called: &Called) -> Outcome {
    match &called.answer {
        Ok(answer) => answer.measurements.iter().map(outcome_of).find(|step| !step.is_ok()).unwrap_or(Outcome::Ok),
        Err(error) => {
            let (class, culprit) = error.failure();
            Outcome::failed(class, culprit)
        }
    }
}

/// A call as an observation of the server that was called.
pub fn observed(kind: &'static str, node: &LiveNode, called: &Called, trace: u64) -> Observed {
    let waited_ns = called.ended_ns.saturating_sub(called.started_ns);
    // Steps are cumulative where there are several, so the last one is the operation.
    let last = called.answer.as_ref().ok().and_then(|answer| answer.measurements.last());
    Observed {
        about: About::server(kind, node),
        started_ns: called.started_ns,
        ended_ns: called.ended_ns,
        value_ns: last.map_or(waited_ns, |step| step.duration_ns),
        outcome: outcome_of_call(called),
        trace,
        seq: None,
    }
}

/// Where observations of one scheduler go: a run of an evidence store, which exists already.
#[derive(Clone, Debug)]
pub struct EvidenceRun {
    /// The store.
    pub store: Store,
    /// The run.
    pub run: String,
    /// Fingerprint of the environment.
    pub environment: String,
    /// Who measures.
    pub observer: String,
}

/// Writes observations. One writer per run, which therefore numbers them.
#[derive(Debug)]
pub(super) struct EvidenceWriter {
    to: EvidenceRun,
    series: HashMap<About, SeriesId>,
    /// Number of the next observation of each series.
    next: HashMap<About, u64>,
}

impl EvidenceWriter {
    pub(super) fn new(to: EvidenceRun) -> Self {
        Self { to, series: HashMap::new(), next: HashMap::new() }
    }

    /// Writes observations series by series and takes out of `observed` what is written. Numbers are given before the first try and
    /// once: a try that arrived although it failed has used them up, and others may be written before it is repeated.
    pub(super) async fn write(&mut self, observed: &mut Vec<Observed>) -> Result<(), StoreError> {
        self.number(observed);
        while let Some(first) = observed.first() {
            let about = first.about.clone();
            let series = self.series(&about).await?;
            let samples: Vec<Sample> =
                observed.iter().filter(|one| one.about == about).filter_map(|one| Some(one.sample(one.seq?))).collect();
            match self.to.store.put_observations(series, &samples).await {
                // An earlier try had arrived although it failed: nothing else has these numbers.
                Ok(()) | Err(StoreError::AlreadyStored { .. }) => {}
                Err(error) => return Err(error),
            }
            observed.retain(|one| one.about != about);
        }
        Ok(())
    }

    fn number(&mut self, observed: &mut [Observed]) {
        for one in observed.iter_mut().filter(|one| one.seq.is_none()) {
            let next = self.next.entry(one.about.clone()).or_default();
            one.seq = Some(*next);
            *next += 1;
        }
    }

    async fn series(&mut self, about: &About) -> Result<SeriesId, StoreError> {
        if let Some(known) = self.series.get(about) {
            return Ok(*known);
        }
        let series = Series {
            schema: Series::SCHEMA,
            run: self.to.run.clone(),
            kind: about.kind.to_owned(),
            class: EvidenceClass::Raw,
            observer: self.to.observer.clone(),
            subject: about.subject.clone(),
            observer_region: String::new(),
            subject_region: String::new(),
            unit: Unit::Nanoseconds,
            environment: self.to.environment.clone(),
        };
        let id = self.to.store.add_series(&series).await?;
        self.series.insert(about.clone(), id);
        Ok(id)
    }
}

impl Observed {
    fn sample(&self, seq: u64) -> Sample {
        Sample {
            seq,
            intended_ns: self.started_ns,
            started_ns: self.started_ns,
            ended_ns: self.ended_ns,
            bytes: 0,
            value: i64::try_from(self.value_ns).unwrap_or(i64::MAX),
            outcome: self.outcome,
            trace: self.trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::Seed;
    use peermark_store::RunRecord;

    use super::*;

    async fn run(store: &Store) -> EvidenceRun {
        let environment = peermark_probe::environment::environment("0", "test");
        let environment = store.put_environment(&environment).await.unwrap();
        let record = RunRecord {
            id: "run".into(),
            kind: "dht".into(),
            name: "run".into(),
            scenario_fingerprint: String::new(),
            seed: Seed(1),
            version: "0".into(),
            commit: "test".into(),
            environment: environment.clone(),
            started_wall_ms: 1,
        };
        store.begin_run(&record).await.unwrap();
        EvidenceRun { store: store.clone(), run: record.id, environment, observer: "scheduler".into() }
    }

    fn round(number: u64) -> Vec<Observed> {
        let one = |value_ns| Observed {
            about: About::visible_in("eu-central-1"),
            started_ns: number,
            ended_ns: number + 1,
            value_ns,
            outcome: Outcome::Ok,
            trace: number,
            seq: None,
        };
        vec![one(10 * number), one(10 * number + 1)]
    }

    #[tokio::test]
    async fn a_try_that_arrived_although_it_failed_costs_and_repeats_nothing() {
        let store = Store::open_memory().await.unwrap();
        let to = run(&store).await;
        let mut writer = EvidenceWriter::new(to.clone());
        let (mut first, mut second) = (round(1), round(2));
        // The try is broken off after its commit: what it held is left as it was when it began.
        writer.number(&mut first);
        let mut arrived = first.clone();
        EvidenceWriter::new(to).write(&mut arrived).await.unwrap();
        writer.write(&mut second).await.unwrap();
        writer.write(&mut first).await.unwrap();
        assert!(first.is_empty() && second.is_empty());

        let series = store.series_of("run").await.unwrap();
        assert_eq!(series.len(), 1);
        let (subject, region) = (&series[0].series.subject, &series[0].series.subject_region);
        assert_eq!((subject.as_str(), region.as_str()), ("region:eu-central-1", ""));
        let stored = store.observations(series[0].id, 0..10, 10).await.unwrap();
        let values: Vec<_> = stored.iter().map(|sample| (sample.seq, sample.value)).collect();
        assert_eq!(values, [(0, 10), (1, 11), (2, 20), (3, 21)]);
    }
}
