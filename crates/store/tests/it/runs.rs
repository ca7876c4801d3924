//! Runs: begin, finish, list, find, delete.

use peermark_store::{Ending, RunEnd, RunFilter, RunState, Store, StoreError, Validity};

use crate::fixture::{environment, run, sample, series};

async fn memory() -> Store {
    let store = Store::open_memory().await.unwrap();
    store.put_environment(&environment()).await.unwrap();
    store
}

fn end(ending: Ending) -> RunEnd {
    RunEnd { ending, validity: Some(Validity::Suspect), duration_ns: 5, result_json: Some("{\"a\": 1}".into()) }
}

#[tokio::test]
async fn a_run_begins_and_ends_once() {
    let store = memory().await;
    store.begin_run(&run("r1", 7)).await.unwrap();
    let begun = store.run("r1").await.unwrap();
    assert_eq!((begun.record, begun.state, begun.duration_ns), (run("r1", 7), RunState::Started, None));
    assert_eq!(store.result_json("r1").await.unwrap(), None);

    store.finish_run("r1", &end(Ending::Failed)).await.unwrap();
    let ended = store.run("r1").await.unwrap();
    assert_eq!((ended.state, ended.validity), (RunState::Ended(Ending::Failed), Some(Validity::Suspect)));
    assert_eq!(ended.duration_ns, Some(5));
    assert_eq!(store.result_json("r1").await.unwrap().as_deref(), Some("{\"a\": 1}"));

    let again = store.finish_run("r1", &end(Ending::Succeeded)).await.unwrap_err();
    assert!(matches!(again, StoreError::AlreadyEnded { state: RunState::Ended(Ending::Failed), .. }));
}

#[tokio::test]
async fn bad_runs_are_refused() {
    let store = memory().await;
    store.begin_run(&run("r1", 1)).await.unwrap();
    assert!(matches!(store.begin_run(&run("r1", 2)).await, Err(StoreError::DuplicateRun { .. })));
    assert!(matches!(store.begin_run(&run("../r2", 2)).await, Err(StoreError::BadRunId { .. })));
    let mut stranger = run("r2", 2);
    stranger.environment = "unheard of".into();
    assert!(matches!(store.begin_run(&stranger).await, Err(StoreError::NoSuchEnvironment { .. })));
    let mut endless = run("r3", 2);
    endless.name = "x".repeat(2000);
    assert!(matches!(store.begin_run(&endless).await, Err(StoreError::TooLong { limit: 1024, .. })));
    let late = store.begin_run(&run("r4", u64::MAX)).await.unwrap_err();
    assert!(matches!(late, StoreError::DoesNotFit { value: u64::MAX, .. }), "{late:?}");

    assert!(matches!(store.finish_run("r9", &end(Ending::Failed)).await, Err(StoreError::NoSuchRun { .. })));
    let mut torn = end(Ending::Succeeded);
    torn.result_json = Some("{\"a\": ".into());
    assert!(matches!(store.finish_run("r1", &torn).await, Err(StoreError::Json { .. })));
    assert_eq!(store.run("r1").await.unwrap().state, RunState::Started);
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap().len(), 1, "nothing of the refused runs is there");
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let store = memory().await;
    for (id, at) in [("a", 10), ("b", 30), ("c", 20), ("d", 30)] {
        store.begin_run(&run(id, at)).await.unwrap();
    }
    let mut other = run("e", 40);
    (other.kind, other.name) = ("monitor".into(), "cpu".into());
    store.begin_run(&other).await.unwrap();
    let list = async |filter: RunFilter| {
        let runs = store.runs(&filter).await.unwrap();
        runs.into_iter().map(|run| run.record.id).collect::<Vec<_>>().join("")
    };
    assert_eq!(list(RunFilter::default()).await, "edbca");
    assert_eq!(list(RunFilter { limit: 2, ..RunFilter::default() }).await, "ed");
    assert_eq!(list(RunFilter { kind: Some("lab".into()), ..RunFilter::default() }).await, "dbca");
    assert_eq!(list(RunFilter { name: Some("cpu".into()), ..RunFilter::default() }).await, "e");
    assert_eq!(list(RunFilter { since_wall_ms: Some(30), ..RunFilter::default() }).await, "edb");
    assert_eq!(list(RunFilter { limit: 0, ..RunFilter::default() }).await, "");
}

#[tokio::test]
async fn the_latest_run_is_the_newest_that_came_to_its_end() {
    let store = memory().await;
    assert_eq!(store.latest_run("lab", "load").await.unwrap(), None);
    for (id, at) in [("old", 10), ("new", 30), ("stopped", 40), ("running", 50)] {
        store.begin_run(&run(id, at)).await.unwrap();
    }
    assert_eq!(store.latest_run("lab", "load").await.unwrap(), None);
    store.finish_run("old", &end(Ending::Succeeded)).await.unwrap();
    store.finish_run("new", &end(Ending::Failed)).await.unwrap();
    store.finish_run("stopped", &end(Ending::Aborted)).await.unwrap();
    assert_eq!(store.latest_run("lab", "load").await.unwrap().unwrap().record.id, "new");
    assert_eq!(store.latest_run("lab", "other").await.unwrap(), None);
}

#[tokio::test]
async fn a_unique_prefix_finds_a_run() {
    let store = memory().await;
    for (id, at) in [("2026-a", 1), ("2026-b", 2), ("2026-b1", 3), ("2025_x", 4)] {
        store.begin_run(&run(id, at)).await.unwrap();
    }
    assert_eq!(store.resolve_run("2025").await.unwrap(), "2025_x");
    assert_eq!(store.resolve_run("2026-b").await.unwrap(), "2026-b", "a full id wins over longer ones");
    let error = store.resolve_run("2026").await.unwrap_err();
    assert_eq!(error.to_string(), "run prefix \"2026\" is ambiguous: 2026-b1, 2026-b, 2026-a");
    for absent in ["2024", "", "2025%", "____", "2025_x1"] {
        assert!(matches!(store.resolve_run(absent).await, Err(StoreError::NoSuchRun { .. })), "{absent}");
    }
    for number in 0..20 {
        store.begin_run(&run(&format!("many-{number:02}"), number)).await.unwrap();
    }
    match store.resolve_run("many").await.unwrap_err() {
        StoreError::AmbiguousRun { candidates, more, .. } => {
            assert_eq!((candidates.len(), candidates[0].as_str(), more), (10, "many-19", 10));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn deleting_a_run_takes_its_evidence_and_nothing_else() {
    let store = memory().await;
    let mut ids = Vec::new();
    for id in ["r1", "r2"] {
        store.begin_run(&run(id, 1)).await.unwrap();
        let series = store.add_series(&series(id, "block.get")).await.unwrap();
        store.put_observations(series, &(0..300).map(sample).collect::<Vec<_>>()).await.unwrap();
        ids.push(series);
    }
    store.delete_run("r1").await.unwrap();
    assert!(matches!(store.run("r1").await, Err(StoreError::NoSuchRun { .. })));
    assert!(matches!(store.series_of("r1").await, Err(StoreError::NoSuchRun { .. })));
    assert!(store.observations(ids[0], 0..u64::MAX, 1000).await.unwrap().is_empty());
    assert_eq!(store.observations(ids[1], 0..u64::MAX, 1000).await.unwrap().len(), 300);
    assert!(matches!(store.delete_run("r1").await, Err(StoreError::NoSuchRun { .. })));
    assert!(store.verify().await.unwrap().is_clean());
}
