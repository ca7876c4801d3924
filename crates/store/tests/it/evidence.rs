//! Series, observations, histograms, events: what goes in comes out, written once.

use peermark_core::event::Tick;
use peermark_core::{Event, EventKind, EvidenceClass, FailureClass, Histogram, Unit};
use peermark_store::{MAX_BATCH_ROWS, Party, PartyKind, SeriesId, StoreError};

use crate::fixture::{environment, sample, series, store_with_series};

#[tokio::test]
async fn a_series_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, first) = store_with_series(directory.path()).await;
    let described = series("r1", "block.get");
    assert_eq!(store.add_series(&described).await.unwrap(), first);
    let warm = store.add_series_in_phase(&described, "warm").await.unwrap();
    assert_ne!(warm, first);
    let mut other = series("r1", "cpu.single");
    (other.class, other.unit) = (EvidenceClass::SelfReport, Unit::PartsPerMillion);
    let other_id = store.add_series(&other).await.unwrap();

    let stored = store.series_of("r1").await.unwrap();
    let seen: Vec<_> = stored.iter().map(|one| (one.id, one.phase.as_str(), &one.series)).collect();
    assert_eq!(seen, [(first, "", &described), (warm, "warm", &described), (other_id, "", &other)]);

    assert!(matches!(store.add_series(&series("r9", "x")).await, Err(StoreError::NoSuchRun { .. })));
    let mut stranger = series("r1", "x");
    stranger.environment = "unheard of".into();
    assert!(matches!(store.add_series(&stranger).await, Err(StoreError::NoSuchEnvironment { .. })));
}

#[tokio::test]
async fn parties_appear_with_series_and_can_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, _) = store_with_series(directory.path()).await;
    assert_eq!(store.party("network").await.unwrap().unwrap().kind, PartyKind::Network);
    assert_eq!(store.party("lab").await.unwrap().unwrap().kind, PartyKind::Unknown);
    let named = Party { id: "lab".into(), kind: PartyKind::Process, name: "the laboratory".into() };
    store.put_party(&named).await.unwrap();
    store.add_series(&series("r1", "again")).await.unwrap();
    assert_eq!(store.party("lab").await.unwrap(), Some(named));
    assert_eq!(store.party("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn observations_come_back_as_they_went_in() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, id) = store_with_series(directory.path()).await;
    let samples: Vec<_> = (0..1000).map(sample).collect();
    store.put_observations(id, &samples[..300]).await.unwrap();
    store.put_observations(id, &samples[300..]).await.unwrap();
    store.put_observations(id, &[]).await.unwrap();
    assert_eq!(store.observations(id, 0..u64::MAX, u32::MAX).await.unwrap(), samples);
    assert_eq!(store.observations(id, 10..20, 5).await.unwrap(), samples[10..15]);
    assert_eq!(store.observations(id, 998..5000, 50).await.unwrap(), samples[998..]);
    assert_eq!(store.latest_observation(id).await.unwrap(), samples.last().copied());
    let empty = store.add_series(&series("r1", "nothing")).await.unwrap();
    assert_eq!(store.latest_observation(empty).await.unwrap(), None);
}

#[tokio::test]
async fn extremes_survive_and_what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, id) = store_with_series(directory.path()).await;
    let mut extreme = sample(3);
    extreme.seq = i64::MAX as u64 - 1;
    (extreme.intended_ns, extreme.started_ns, extreme.ended_ns) = (0, 0, i64::MAX as u64);
    (extreme.value, extreme.trace, extreme.bytes) = (i64::MIN, u64::MAX, i64::MAX as u64);
    store.put_observations(id, &[extreme]).await.unwrap();
    assert_eq!(store.observations(id, 0..u64::MAX, 9).await.unwrap(), [extreme]);
    let mut beyond = sample(1);
    beyond.bytes = i64::MAX as u64 + 1;
    let error = store.put_observations(id, &[sample(0), beyond]).await.unwrap_err();
    assert!(matches!(error, StoreError::DoesNotFit { what: "bytes", .. }), "{error:?}");
    assert_eq!(store.observations(id, 0..2, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, id) = store_with_series(directory.path()).await;
    store.put_observations(id, &[sample(500)]).await.unwrap();
    let batch: Vec<_> = (0..1000).map(sample).collect();
    let error = store.put_observations(id, &batch).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyStored { series, .. } if series == id), "{error:?}");
    assert_eq!(store.observations(id, 0..u64::MAX, 9).await.unwrap(), [sample(500)]);
    let error = store.put_observations(SeriesId(99), &batch).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchSeries { series: SeriesId(99) }), "{error:?}");
    let error = store.put_observations(id, &vec![sample(0); MAX_BATCH_ROWS + 1]).await.unwrap_err();
    assert!(matches!(error, StoreError::TooMany { .. }), "{error:?}");
}

#[tokio::test]
async fn histograms_are_kept_per_slice_and_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, id) = store_with_series(directory.path()).await;
    let mut histogram = Histogram::new();
    (1..=5000).for_each(|value| histogram.record(value * 1000));
    store.put_hist(id, 0, 10, None, &histogram).await.unwrap();
    store.put_hist(id, 10, 20, Some(FailureClass::Timeout), &Histogram::new()).await.unwrap();
    store.put_hist(id, 10, 20, None, &histogram).await.unwrap();

    let all = store.hists(id, 0..u64::MAX).await.unwrap();
    let seen: Vec<_> = all.iter().map(|hist| (hist.t0_ns, hist.t1_ns, hist.class, hist.histogram.len())).collect();
    assert_eq!(seen, [(0, 10, None, 5000), (10, 20, None, 5000), (10, 20, Some(FailureClass::Timeout), 0)]);
    assert_eq!(all[0].histogram.encode(), histogram.encode());
    assert_eq!(store.hists(id, 1..11).await.unwrap().len(), 2);

    let twice = store.put_hist(id, 0, 10, None, &histogram).await.unwrap_err();
    assert!(matches!(twice, StoreError::AlreadyStored { what: "histogram", .. }), "{twice:?}");
    let backward = store.put_hist(id, 10, 9, None, &histogram).await.unwrap_err();
    assert!(matches!(backward, StoreError::BackwardSlice { .. }), "{backward:?}");
    let nowhere = store.put_hist(SeriesId(99), 0, 1, None, &histogram).await.unwrap_err();
    assert!(matches!(nowhere, StoreError::NoSuchSeries { .. }), "{nowhere:?}");
}

#[tokio::test]
async fn events_come_back_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, _) = store_with_series(directory.path()).await;
    let started = Event { seq: 0, at_ns: 1, kind: EventKind::RunStarted { run: "r1".into(), nodes: 3 } };
    let tick = Event { seq: 1, at_ns: 2, kind: EventKind::Tick(Tick { progress: 0.25, ..Tick::default() }) };
    store.put_events("r1", &[tick.clone(), started.clone()]).await.unwrap();
    assert_eq!(store.events("r1", 0, 10).await.unwrap(), [started.clone(), tick.clone()]);
    assert_eq!(store.events("r1", 1, 10).await.unwrap(), [tick]);

    let twice = store.put_events("r1", std::slice::from_ref(&started)).await.unwrap_err();
    assert!(matches!(twice, StoreError::EventAlreadyStored { .. }), "{twice:?}");
    assert!(matches!(store.put_events("r9", &[started]).await, Err(StoreError::NoSuchRun { .. })));
    let nan = Tick { progress: f64::NAN, ..Tick::default() };
    let unreadable = store.put_events("r1", &[Event { seq: 2, at_ns: 3, kind: EventKind::Tick(nan) }]).await;
    assert!(matches!(unreadable, Err(StoreError::Json { .. })), "{unreadable:?}");
}

#[tokio::test]
async fn one_environment_serves_every_version() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, _) = store_with_series(directory.path()).await;
    let mut later = environment();
    (later.version, later.commit) = ("0.2.0".into(), "def".into());
    assert_eq!(store.put_environment(&later).await.unwrap(), environment().fingerprint());
    let mut record = crate::fixture::run("r2", 9);
    (record.version, record.commit) = ("0.2.0".into(), "def".into());
    store.begin_run(&record).await.unwrap();
    assert_eq!(store.environment_of("r1").await.unwrap(), environment());
    assert_eq!(store.environment_of("r2").await.unwrap(), later);
}
