//! Figures of traces, derived again from what was written.

use peermark_dht::report;

use super::fixture::{filled, put_traces, week};

#[tokio::test]
async fn answers_are_told_apart() {
    let filled = filled(false).await;
    assert!(report::read(&filled.store, &week()).await.unwrap().hits.is_empty());
    put_traces(&filled.store).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    assert_eq!(report.rows.traces, 620);
    let counts: Vec<_> = report.hits.iter().map(|hit| (hit.operation.as_str(), hit.hit.as_str(), hit.n)).collect();
    let expected =
        [("provide", "remote", 200), ("retrieve", "local", 20), ("retrieve", "miss", 20), ("retrieve", "remote", 380)];
    assert_eq!(counts, expected);
    assert_eq!(report.hits[3].share, 380.0 / 420.0);
    // 180 of them took 600 ms, 200 took 300: the median is among the latter.
    let p50 = report.hits[3].p50.unwrap().value;
    assert!((300_000_000..304_000_000).contains(&p50), "{p50}");
}

#[tokio::test]
async fn the_time_of_lookups_is_taken_apart() {
    let filled = filled(false).await;
    put_traces(&filled.store).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    let lookups = report.anatomy.iter().find(|row| row.operation == "retrieve").unwrap();
    // Local hits asked nobody.
    assert_eq!((lookups.n, lookups.rpcs, lookups.rpcs_p50), (400, 800, Some(2)));
    assert_eq!(lookups.wasted_share, Some(0.5));
    assert_eq!(lookups.failed_rpcs, [("timeout".to_owned(), 400)].into());
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
    assert!(near(lookups.dial_share, 0.1) && near(lookups.handshake_share, 0.2));
    assert!(near(lookups.question_share, 0.5) && near(lookups.rest_share, 0.2));
    // The only hop that the end waited for has a fifth of the time as its round trip.
    assert_eq!(lookups.floor_n, 400);
    assert!((lookups.floor_p50.unwrap() - 5.0).abs() < 0.05);
}

#[tokio::test]
async fn a_provide_has_three_moments() {
    let filled = filled(false).await;
    put_traces(&filled.store).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    let [moments] = report.moments.as_slice() else { panic!("{:?}", report.moments) };
    assert_eq!((moments.n, moments.stored_n, moments.stored_peers_p50), (200, 200, Some(18)));
    let near = |found: Option<report::Percentile>, ms: u64| {
        let value = found.unwrap().value as f64 / 1e6;
        (value / ms as f64 - 1.0).abs() < 0.011
    };
    assert!(near(moments.returned_p50, 9_099) && near(moments.stored_p50, 2 * 9_099));
    // Where Africa missed, the record was not seen from everywhere; its lookups end 30.6 s after the provide began.
    assert_eq!(moments.visible_n, 180);
    assert!(near(moments.visible_p50, 30_600));
}
