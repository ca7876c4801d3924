//! Records of a ledger as series.

use std::collections::BTreeMap;

use peermark_core::sealed::Sealed;
use peermark_core::{EvidenceClass, FailureClass, Histogram, Outcome, Sample, Series, Unit};
use peermark_judge::histogram::{BUCKETS, Scale, SparseHistogram};
use peermark_judge::outcome::ProbeOutcome;
use peermark_ledger::Id;
use peermark_ledger::item::record::{Body, Record, SelfReportShort};
use peermark_ledger::item::{Item, Region, User};
use peermark_ledger::state::State;
use peermark_ledger::transaction::Transaction;
use peermark_ledger::transaction::report::{HosterPerformance, Measured};

use crate::ledger::Loaded;

/// A series and what was observed of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What is measured by whom about whom.
    pub series: Series,
    /// By beginning, since the first block, and class of failure; `None` where the data came.
    pub hists: Hists,
    /// Single values.
    pub samples: Vec<Sample>,
}

/// By beginning and class of failure.
pub type Hists = BTreeMap<(u64, Option<FailureClass>), Histogram>;

/// Which series something belongs to: kind, class, observer, subject, region of the observer.
type Name = (&'static str, EvidenceClass, Id, Id, String);

/// All measurements that the ledger admitted, by series. `run` and `environment` are what the series name.
pub fn observed(loaded: &Loaded, run: &str, environment: &str) -> Vec<Observed> {
    let state = loaded.checked.replay.machine().state();
    let mut gathered = Gathered { state, series: BTreeMap::new() };
    let entries = entries(loaded);
    let items = (0..state.storage().len()).filter_map(|id| state.storage().get(id));
    for record in items.filter_map(|item| if let Item::Record(record) = item { Some(record) } else { None }) {
        gathered.add(record, &entries);
    }
    let parts = gathered.series.into_iter();
    parts
        .map(|(name, (hists, samples))| Observed { series: series(state, name, run, environment), hists, samples })
        .collect()
}

/// The entries of a ledger by their hash: records name theirs.
fn entries(loaded: &Loaded) -> BTreeMap<[u8; 32], &[u8]> {
    let decoded =
        loaded.evidence.records.iter().filter_map(|bytes| Some((Sealed::decode(bytes).ok()?.hash(), &**bytes)));
    decoded.collect()
}

fn series(state: &State, (kind, class, observer, subject, region): Name, run: &str, environment: &str) -> Series {
    let unit = match kind {
        RATE => Unit::BitsPerSecond,
        SELF => Unit::Bytes,
        _ => Unit::Nanoseconds,
    };
    Series {
        schema: Series::SCHEMA,
        run: run.to_owned(),
        kind: kind.to_owned(),
        class,
        observer: address(state, observer),
        subject: address(state, subject),
        observer_region: region,
        subject_region: place(state, subject),
        unit,
        environment: environment.to_owned(),
    }
}

const GET: &str = "block.get";
const RATE: &str = "block.rate";
const EXCUSED: &str = "block.get.excused";
const SELF: &str = "self.egress";

/// A user that is gone keeps its last address.
fn last_user(state: &State, user: Id) -> Option<&User> {
    let versions = state.storage().versions(user).iter().rev();
    versions.flatten().find_map(|item| if let Item::User(user) = &**item { Some(user) } else { None })
}

fn address(state: &State, user: Id) -> String {
    last_user(state, user).map_or_else(|| format!("user {user}"), |user| user.address.to_string())
}

fn place(state: &State, user: Id) -> String {
    let region = last_user(state, user).and_then(|user| state.item::<Region>(user.form.as_ref()?.region).ok());
    region.and_then(|region| region.geohashes.first()).map_or_else(String::new, |cell| cell.to_string())
}

struct Gathered<'s> {
    state: &'s State,
    series: BTreeMap<Name, (Hists, Vec<Sample>)>,
}

impl Gathered<'_> {
    fn add(&mut self, record: &Record, entries: &BTreeMap<[u8; 32], &[u8]>) {
        let t0_ns = self.ns(record.at);
        match (&record.body, record.observer) {
            (Body::SelfReport(said), Some(observer)) => self.add_self_report(said, observer, t0_ns),
            (Body::Working(_) | Body::Raw(_), Some(observer)) => {
                let bytes = record.entry.and_then(|entry| entries.get(&entry.0));
                let entry = bytes.and_then(|bytes| Sealed::decode(bytes).ok());
                let Some(Ok(Transaction::RevealPerformance(reveal))) = entry.map(|entry| Transaction::of(&entry))
                else {
                    return;
                };
                match reveal.report {
                    Measured::Working(report) => {
                        for seen in &report.hoster_performances {
                            let region = report.region.to_string();
                            self.add_measured(EvidenceClass::Working, observer, &region, seen, t0_ns);
                        }
                    }
                    Measured::Raw(report) => {
                        let region = report.region.to_string();
                        self.add_measured(EvidenceClass::Raw, observer, &region, &report.performance, t0_ns);
                    }
                }
            }
            _ => {}
        }
    }

    fn add_measured(&mut self, class: EvidenceClass, observer: Id, region: &str, seen: &HosterPerformance, t0_ns: u64) {
        let name = |kind| (kind, class, observer, seen.hoster, region.to_owned());
        let gets = &mut self.series.entry(name(GET)).or_default().0;
        add(gets, t0_ns, None, &seen.latency);
        for outcome in ProbeOutcome::ALL.into_iter().filter(|outcome| outcome.is_failed()) {
            fail(gets, t0_ns, outcome, seen.outcomes.get(outcome));
        }
        if !seen.egress.is_empty() {
            add(&mut self.series.entry(name(RATE)).or_default().0, t0_ns, None, &seen.egress);
        }
        for outcome in [ProbeOutcome::AttesterFault, ProbeOutcome::RegionPartition] {
            let count = seen.outcomes.get(outcome);
            if count > 0 {
                fail(&mut self.series.entry(name(EXCUSED)).or_default().0, t0_ns, outcome, count);
            }
        }
    }

    fn add_self_report(&mut self, said: &SelfReportShort, observer: Id, t0_ns: u64) {
        let name = (SELF, EvidenceClass::SelfReport, observer, observer, place(self.state, observer));
        let samples = &mut self.series.entry(name).or_default().1;
        samples.push(Sample {
            seq: samples.len() as u64,
            intended_ns: t0_ns,
            started_ns: t0_ns,
            ended_ns: t0_ns,
            bytes: said.egress.bytes,
            value: i64::try_from(said.egress.bytes).unwrap_or(i64::MAX),
            outcome: Outcome::Ok,
            trace: said.contract,
        });
    }

    fn ns(&self, height: u64) -> u64 {
        let block_ns = u64::from(self.state.policy().block_seconds).saturating_mul(1_000_000_000);
        height.saturating_sub(1).saturating_mul(block_ns)
    }
}

fn add(hists: &mut Hists, t0_ns: u64, class: Option<FailureClass>, seen: &SparseHistogram) {
    let histogram = hists.entry((t0_ns, class)).or_default();
    for (bucket, count) in seen.counts() {
        histogram.record_n(value(seen.scale(), *bucket), u64::from(*count));
    }
}

/// The end of a bucket that is the worse one for who was measured.
fn value(scale: Scale, bucket: u8) -> u64 {
    match scale {
        Scale::LatencyUs => scale.edge(bucket.saturating_add(1).min(BUCKETS)).saturating_mul(1_000),
        Scale::ThroughputBps if bucket == 0 => 0,
        Scale::ThroughputBps => scale.edge(bucket),
    }
}

fn fail(hists: &mut Hists, t0_ns: u64, outcome: ProbeOutcome, count: u64) {
    let class = match outcome {
        ProbeOutcome::NoData => FailureClass::NotFound,
        ProbeOutcome::InvalidProof => FailureClass::WrongBytes,
        ProbeOutcome::ConnectTimeout | ProbeOutcome::RegionPartition => FailureClass::ConnectFailed,
        ProbeOutcome::BlockTimeout => FailureClass::Timeout,
        ProbeOutcome::HosterPaused => FailureClass::Unfit,
        ProbeOutcome::AttesterFault => FailureClass::Abandoned,
        ProbeOutcome::Ok | ProbeOutcome::Slow | ProbeOutcome::Refused => FailureClass::Rejected,
    };
    if count > 0 {
        let beyond = Scale::LatencyUs.edge(BUCKETS).saturating_mul(1_000);
        hists.entry((t0_ns, Some(class))).or_default().record_n(beyond, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_better_than_measured() {
        let mut latency = SparseHistogram::new(Scale::LatencyUs);
        latency.record(40_000);
        latency.record(u64::MAX);
        let mut rate = SparseHistogram::new(Scale::ThroughputBps);
        rate.record(8_000_000);
        let (mut latencies, mut rates) = (Hists::new(), Hists::new());
        add(&mut latencies, 7, None, &latency);
        add(&mut rates, 7, None, &rate);
        let latencies = &latencies[&(7, None)];
        let [first, last] = [1, 2].map(|rank| latencies.value_at_rank(rank).unwrap());
        assert!((40_000_000..=45_500_000).contains(&first) && last >= 65_536_000_000, "{first} {last}");
        let rate = rates[&(7, None)].min();
        assert!((7_000_000..=8_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn each_failure_has_its_class_and_none_is_left_out() {
        let mut hists = Hists::new();
        let failed: Vec<ProbeOutcome> = ProbeOutcome::ALL.into_iter().filter(|outcome| outcome.is_failed()).collect();
        for outcome in &failed {
            fail(&mut hists, 0, *outcome, 3);
        }
        assert_eq!((hists.len(), failed.len()), (6, 6));
        assert!(hists.iter().all(|((_, class), histogram)| class.is_some() && histogram.len() == 3));
    }
}
