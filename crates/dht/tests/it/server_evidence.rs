//! Operations as they are found in the databases afterwards.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, EvidenceClass, FailureClass};
use peermark_dht::evidence::{Evidence, EvidenceOptions, Finished, Recorder, RecorderEnd, RunFacts};
use peermark_dht::key::RecordKey;
use peermark_dht::operation::{Operation, OperationKind};
use peermark_store::dht::{DhtStore, MeasuredFilter, Trace};
use peermark_store::{RunFilter, Store, Validity};
use peermark_testkit::fake_clock::START_WALL_MS;
use peermark_testkit::{FakeClock, Postgres};

use crate::server_measure::{Script, TOOK_NS, operation};
use crate::server_rig::{Setup, environment, post, until};
use crate::server_rows::connect;

const CID: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

fn all() -> MeasuredFilter {
    MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() }
}

async fn traces(store: &DhtStore) -> Vec<Trace> {
    store.traces(&all(), 1000).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_an_observation_and_a_trace_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("s.db")).await.unwrap();
    let dht = DhtStore::of(&store);
    let evidence = Evidence { observations: Some(store.clone()), traces: Some(dht.clone()), linked: true };
    let clock = Arc::new(FakeClock::new());
    clock.advance(Duration::from_secs(5));
    let setup = Setup { evidence: Some(evidence), clock: clock.clone(), ..Setup::default() };
    let rig = setup.start().await.unwrap();
    clock.advance(Duration::from_secs(10));
    let api = rig.server.api_address();
    for _ in 0..3 {
        post(api, "/provide", r#"{"Content":"AQL/"}"#).await;
    }
    rig.measure.follow(Script::Fail(FailureClass::NotFound, "not found"));
    for _ in 0..2 {
        post(api, &format!("/retrieve/{CID}"), "{}").await;
    }
    assert_eq!(rig.server.shutdown().await, Some(Finished { written: 5, dropped: 0 }));

    let runs = store.runs(&RunFilter { kind: Some("dht".into()), ..RunFilter::default() }).await.unwrap();
    assert_eq!((runs.len(), runs[0].record.name.as_str(), runs[0].validity), (1, "rust", Some(Validity::Valid)));
    assert_eq!(runs[0].record.started_wall_ms, START_WALL_MS + 5_000);
    let series = store.series_of(&runs[0].record.id).await.unwrap();
    assert_eq!(series.len(), 2);
    for stored in &series {
        assert_eq!(stored.series.class, EvidenceClass::Raw);
        assert_eq!(
            (stored.series.observer.clone(), stored.series.subject.as_str()),
            (rig.peer_id.to_base58(), "network")
        );
    }
    let of = |kind: &str| series.iter().find(|stored| stored.series.kind == kind).unwrap().id;
    let provides = store.observations(of("dht.provide"), 0..10, 10).await.unwrap();
    let retrieves = store.observations(of("dht.retrieve"), 0..10, 10).await.unwrap();
    assert_eq!((provides.len(), retrieves.len()), (3, 2));
    let first = provides[0];
    assert_eq!((first.started_ns, first.intended_ns, first.service_ns()), (10_000_000_000, 10_000_000_000, TOOK_NS));
    assert_eq!((first.value, first.outcome.is_ok()), (TOOK_NS as i64, true));
    assert_eq!(retrieves[1].outcome.class(), Some(FailureClass::NotFound));

    let traces = traces(&dht).await;
    assert_eq!(traces.len(), 5);
    let mut links: Vec<(i64, u64)> = traces.iter().map(|trace| trace.observation.unwrap()).collect();
    links.sort_unstable();
    let mut expected: Vec<(i64, u64)> = (0..3).map(|seq| (of("dht.provide").0, seq)).collect();
    expected.extend((0..2).map(|seq| (of("dht.retrieve").0, seq)));
    expected.sort_unstable();
    assert_eq!(links, expected);
    let provide = traces.iter().find(|trace| trace.kind == "dht.provide").unwrap();
    assert_eq!((provide.started_wall_ms, provide.duration_ns), (START_WALL_MS + 15_000, TOOK_NS));
    assert_eq!((provide.stored_ns, provide.stored, provide.rt_size), (Some(TOOK_NS + 5), 20, 231));
    assert_eq!(
        (provide.fleet.as_str(), provide.region.as_str(), provide.hit.as_str()),
        ("rust", "eu-central-1", "remote")
    );
    assert_eq!(provide.key, RecordKey::of_content(&[1, 2, 255]).0.as_bytes());
    let [sent, failed] = provide.hops.as_slice() else { panic!("two hops") };
    assert_eq!(
        (sent.rpc.as_str(), sent.sent_ns, sent.ended_ns, sent.rtt_ns),
        ("get_providers", 3_000, 40_000_000, Some(900))
    );
    assert_eq!((&sent.failure, failed.failure.as_deref()), (&None, Some("connect_failed")));
    let missed = traces.iter().find(|trace| trace.kind == "dht.retrieve").unwrap();
    assert_eq!((missed.hit.as_str(), missed.error.as_str()), ("miss", "not found"));
}

async fn recorder(traces: DhtStore, options: EvidenceOptions, clock: &FakeClock) -> (Recorder, RecorderEnd) {
    let facts = RunFacts {
        run: "r".into(),
        observer: libp2p::PeerId::random().to_base58(),
        fleet: "rust".into(),
        region: String::new(),
        environment: environment(),
    };
    let evidence = Evidence { observations: None, traces: Some(traces), linked: false };
    evidence.begin(facts, options, clock).await.unwrap()
}

fn numbered(number: u32) -> Arc<Operation> {
    let key = RecordKey::of_content(&number.to_be_bytes()).0;
    Arc::new(operation(OperationKind::Retrieve, key, 0, number))
}

async fn sizes(store: &DhtStore) -> Vec<u32> {
    let mut sizes: Vec<u32> = traces(store).await.iter().map(|trace| trace.rt_size).collect();
    sizes.sort_unstable();
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back_gets_everything_once() {
    let mut postgres = Postgres::start();
    let store = connect(&postgres).await;
    let clock = FakeClock::new();
    let (recorder, end) = recorder(store.clone(), EvidenceOptions::default(), &clock).await;
    (0..100).for_each(|number| recorder.record(numbered(number), &clock));
    until("the first are written", async || recorder.written() == 100).await;
    postgres.stop();
    (100..300).for_each(|number| recorder.record(numbered(number), &clock));
    until("an attempt fails", async || recorder.failed_attempts() > 0).await;
    (300..400).for_each(|number| recorder.record(numbered(number), &clock));
    assert_eq!((recorder.queued(), recorder.dropped()), (300, 0), "they wait");
    postgres.start_again();
    until("the rest is written", async || recorder.written() == 400).await;
    assert_eq!(end.finish().await, Finished { written: 400, dropped: 0 });
    assert_eq!(sizes(&store).await, (0..400).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_queue_while_the_database_is_gone_is_counted() {
    let mut postgres = Postgres::start();
    let store = connect(&postgres).await;
    let clock = FakeClock::new();
    let options =
        EvidenceOptions { queue: 10, batch: 5, finish_within: Duration::from_secs(1), ..EvidenceOptions::default() };
    let (recorder, end) = recorder(store.clone(), options, &clock).await;
    postgres.stop();
    recorder.record(numbered(0), &clock);
    until("an attempt fails", async || recorder.failed_attempts() > 0).await;
    (1..=30).for_each(|number| recorder.record(numbered(number), &clock));
    assert_eq!((recorder.queued(), recorder.dropped()), (11, 20));
    let finished = tokio::time::timeout(Duration::from_secs(25), end.finish()).await.expect("the end is bounded");
    assert_eq!(finished, Finished { written: 0, dropped: 31 }, "nothing is lost without being counted");
    postgres.start_again();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_with_more_hops_than_a_row_takes_does_not_cost_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = DhtStore::open_sqlite(&directory.path().join("s.db")).await.unwrap();
    let clock = FakeClock::new();
    let (recorder, end) = recorder(store.clone(), EvidenceOptions::default(), &clock).await;
    let mut crawl = Operation::clone(&numbered(1));
    let hop = crawl.hops[0].clone();
    crawl.hops = (0..10_500).map(|_| hop.clone()).collect();
    recorder.record(Arc::new(crawl), &clock);
    recorder.record(numbered(2), &clock);
    assert_eq!(end.finish().await, Finished { written: 2, dropped: 0 });
    let traces = traces(&store).await;
    assert_eq!(traces.iter().map(|trace| trace.hops.len()).max(), Some(peermark_store::dht::MAX_HOPS));
    assert_eq!(clock.now_ns(), 0);
}
