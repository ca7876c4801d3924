//! The open loop.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::Seed;
use peermark_dht::scheduler::capacity::{CapacityCurve, CapacityOptions, run};
use peermark_dht::scheduler::{CallOptions, Fleets, SchedulerError};
use peermark_probe::schedule::Rate;
use tokio_util::sync::CancellationToken;

use crate::scheduler_fixture::{Cluster, Fault};

fn options() -> CapacityOptions {
    CapacityOptions {
        fleets: Fleets::mixed(vec!["default".into()]),
        rate: Rate::try_new(200.0).unwrap(),
        steps: 2,
        duration: Duration::from_millis(1_000),
        provide_share: 0.2,
        calls: CallOptions { timeout: Duration::from_secs(2), readiness_timeout: Duration::from_secs(2) },
        max_in_flight: 256,
        seed: Seed(3),
    }
}

async fn curve(cluster: &Cluster, options: CapacityOptions) -> Result<CapacityCurve, SchedulerError> {
    run(options, &cluster.tables, Arc::clone(&cluster.clock), CancellationToken::new(), |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_double_and_every_arrival_is_accounted_for() {
    let cluster = Cluster::start(&[
        ("a", "eu", "default", Fault::None),
        ("b", "us", "default", Fault::None),
        ("c", "ap", "default", Fault::Garbage),
    ])
    .await;
    let curve = curve(&cluster, options()).await.unwrap();
    assert_eq!((curve.servers, curve.steps.len(), curve.stopped), (3, 2, false));
    assert_eq!([curve.steps[0].rate, curve.steps[1].rate], [100.0, 200.0]);
    for step in &curve.steps {
        let names: Vec<_> = step.operations.iter().map(|figures| figures.operation.as_str()).collect();
        assert_eq!(names, ["retrieve", "provide"]);
        let arrivals: u64 = step.operations.iter().map(|figures| figures.n).sum();
        // Poisson: within five deviations.
        assert!((arrivals as f64 - step.rate).abs() < 5.0 * step.rate.sqrt(), "{arrivals} at {}", step.rate);
        for figures in &step.operations {
            let failed: u64 = figures.failed.values().sum();
            // A third of the servers answers garbage, of the provides as of the retrieves.
            assert!(failed > 0 && failed < figures.n, "{figures:?}");
            assert!(figures.failed.contains_key("protocol"), "{figures:?}");
            assert!(figures.achieved_per_s < figures.offered_per_s);
        }
    }
    assert!(curve.steps[0].operations[1].p99.value_ns.is_none(), "20 provides support no p99");
    for step in &curve.steps {
        let (line, rate) = (step.to_string(), format!("{:.2}", step.rate));
        assert!(!line.contains('\n') && line.starts_with(&rate), "{line:?}");
        let text = curve.to_string();
        let rows = text.lines().filter(|row| row.split_whitespace().next() == Some(&rate));
        assert_eq!(rows.count(), 2, "both operations say at which rate:\n{text}");
    }
    let (text, json) = (curve.to_string(), serde_json::to_value(&curve).unwrap());
    assert!(text.contains("n/a") && text.contains("protocol"), "{text}");
    assert_eq!(json["schema"], "peermark.dht-capacity/1");
    assert!(cluster.rows().await.is_empty(), "an open loop is no round");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_counts_from_the_intended_start() {
    let slow = Fault::Slow(Duration::from_millis(100));
    let cluster = Cluster::start(&[("a", "eu", "default", slow), ("b", "us", "default", slow)]).await;
    let only = CapacityOptions { steps: 1, rate: Rate::try_new(50.0).unwrap(), ..options() };
    let curve = curve(&cluster, only).await.unwrap();
    let p50 = curve.steps[0].operations[0].p50.value_ns.unwrap();
    assert!(p50 >= 100_000_000, "{p50}");
}

#[tokio::test]
async fn what_cannot_be_measured_is_said() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::None)]).await;
    let error = curve(&cluster, options()).await.unwrap_err();
    assert!(matches!(error, SchedulerError::TooFewServers { ready: 1, .. }), "{error:?}");
    let bad = [
        CapacityOptions { steps: 0, ..options() },
        CapacityOptions { provide_share: 1.5, ..options() },
        CapacityOptions { duration: Duration::ZERO, ..options() },
    ];
    for options in bad {
        assert!(matches!(curve(&cluster, options).await, Err(SchedulerError::Setting { .. })));
    }
    let fault = Fault::CannotPublish;
    let cluster = Cluster::start(&[("a", "eu", "default", fault), ("b", "us", "default", fault)]).await;
    let error = curve(&cluster, options()).await.unwrap_err();
    assert!(matches!(error, SchedulerError::NothingPublished { .. }), "{error:?}");
}
