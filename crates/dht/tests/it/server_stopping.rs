//! Callers that hang up, operations that do not end, and the stop of a server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_dht::evidence::{Evidence, Finished};
use peermark_dht::operation::OperationKind;
use peermark_store::dht::{DhtStore, MeasuredFilter};
use peermark_store::{RunFilter, RunState, Store};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server_measure::Script;
use crate::server_rig::{PATIENCE, Rig, Setup, as_go, ask, post, until};

async fn stored() -> (Store, Rig, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("s.db")).await.unwrap();
    let dht = DhtStore::of(&store);
    let evidence = Evidence { observations: Some(store.clone()), traces: Some(dht.clone()), linked: true };
    let setup = Setup { store: Some(dht), evidence: Some(evidence), ..Setup::default() };
    (store, setup.start().await.unwrap(), directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_caller_hangs_up_goes_on_and_is_stored() {
    let (store, Rig { server, measure, .. }, _directory) = stored().await;
    measure.follow(Script::Wait);
    let api = server.api_address();
    let mut stream = TcpStream::connect(api).await.unwrap();
    stream.write_all(&as_go(api, "/provide", "{}")).await.unwrap();
    until("it runs", async || measure.begun.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    // A caller that comes later is served: the server has seen the connection end or will.
    assert_eq!(ask(api, "GET", "/readiness").await.status, 200);
    measure.gate.add_permits(1);
    until("it is counted", async || {
        let page = ask(server.telemetry_address(), "GET", "/metrics").await.body;
        page.contains(
            "parsec_durations_count{type=\"provide_duration\",success=\"true\",scheduler=\"default,rust\"} 1\n",
        )
    })
    .await;
    assert_eq!(server.shutdown().await, Some(Finished { written: 1, dropped: 0 }));
    let run = &store.runs(&RunFilter::default()).await.unwrap()[0];
    let series = store.series_of(&run.record.id).await.unwrap();
    let provides = series.iter().find(|series| series.series.kind == OperationKind::Provide.as_str()).unwrap();
    assert_eq!(store.observations(provides.id, 0..9, 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_run_at_the_stop_are_answered_and_stored_as_canceled() {
    let (store, Rig { server, measure, .. }, _directory) = stored().await;
    measure.follow(Script::Hang);
    let api = server.api_address();
    let call = tokio::spawn(async move { post(api, "/provide", "{}").await });
    until("it runs", async || measure.begun.load(Ordering::SeqCst) == 1).await;
    let finished = tokio::time::timeout(PATIENCE, server.shutdown()).await.unwrap();
    assert_eq!(finished, Some(Finished { written: 1, dropped: 0 }));
    let answer = call.await.unwrap();
    assert_eq!((answer.status, &answer.json()["Measurements"][0]["Error"]), (200, &"context canceled".into()));
    let all = MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() };
    let traces = DhtStore::of(&store).traces(&all, 9).await.unwrap();
    assert_eq!((traces.len(), traces[0].error.as_str(), traces[0].hit.as_str()), (1, "context canceled", "failed"));
    assert!(TcpStream::connect(api).await.is_err(), "nothing listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_ends_with_the_server() {
    let (store, Rig { server, .. }, _directory) = stored().await;
    let state = async || store.runs(&RunFilter::default()).await.unwrap()[0].state;
    assert_eq!(state().await, RunState::Started);
    server.shutdown().await;
    assert!(matches!(state().await, RunState::Ended(peermark_store::Ending::Succeeded)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_ignores_its_deadline_is_ended() {
    let mut setup = Setup::default();
    setup.config.retrieve_timeout_ms = 50;
    let Rig { server, measure, .. } = setup.start().await.unwrap();
    measure.follow(Script::Hang);
    let path = "/retrieve/QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";
    let call = tokio::time::timeout(Duration::from_secs(20), post(server.api_address(), path, "{}"));
    assert_eq!(call.await.unwrap().json()["Measurements"][0]["Error"], "context deadline exceeded");
}
