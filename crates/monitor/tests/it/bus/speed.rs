//! What a question costs.

use std::sync::Arc;

use peermark_monitor::bus::{Bus, BusError, MeasurePlan, measure};
use peermark_probe::clock::MonotonicClock;
use peermark_testkit::Redis;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::FakeDesk;
use super::caller::NOW;

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_measured_as_often_as_planned() {
    let redis = Redis::start();
    let desk = Arc::new(FakeDesk::new());
    desk.succeed("cpu-benchmark", NOW, json!({"single": 0.881, "multi": 1.8, "threads": 2, "workloads": 0}));
    let clock = Arc::new(MonotonicClock::new());
    let bus = Bus::start(&redis.url(), desk, clock.clone(), &CancellationToken::new()).unwrap();
    let plan = MeasurePlan { rounds: 6, round_trips: 50, warm_up: 20, ..MeasurePlan::default() };
    let samples = measure(&redis.url(), &plan, &*clock).await.unwrap();
    for kind in [&samples.get_ns, &samples.pair_ns, &samples.echo_ns] {
        assert_eq!(kind.len(), 300);
        assert!(kind.iter().all(|ns| *ns > 0));
    }
    let (get, pair, echo) = (median(&samples.get_ns), median(&samples.pair_ns), median(&samples.echo_ns));
    println!("get {get} ns, pair {pair} ns, echo {echo} ns, get/pair {:.2}", get as f64 / pair as f64);
    assert_eq!(bus.counters().figures().answered, 20 + 300);

    // A task without a result is no measurement.
    let plan = MeasurePlan { task: "none".into(), ..plan };
    assert!(
        matches!(measure(&redis.url(), &plan, &*clock).await, Err(BusError::Answer(text)) if text.contains("result not found"))
    );
}
