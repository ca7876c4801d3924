//! The lookup engine in private networks of real hosts.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, FailureClass, Seed};
use peermark_dht::engine::preflight::{Depth, Verdict};
use peermark_dht::engine::{EngineConfig, EngineError};
use peermark_dht::key::RecordKey;
use peermark_dht::measure::Measure;
use peermark_dht::operation::{Hit, Operation, Rpc, Variant};
use peermark_dht::private::{PrivateConfig, PrivateNetwork};
use peermark_probe::clock::MonotonicClock;

const K: usize = 5;

async fn network(servers: usize) -> (PrivateNetwork, Arc<dyn Clock>) {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let config = PrivateConfig { servers, k: K, idle_timeout: Duration::from_secs(60), seed: Seed(7) };
    (PrivateNetwork::start(config, Arc::clone(&clock)).await.unwrap(), clock)
}

fn engine(variant: Variant) -> EngineConfig {
    EngineConfig { alpha: 3, k: K, crawl_parallelism: 8, ..EngineConfig::of(variant) }
}

fn key(number: u32) -> RecordKey {
    RecordKey::of_content(&number.to_be_bytes()).0
}

/// What must hold of every trace, whatever the operation.
fn check_trace(operation: &Operation) {
    for (number, hop) in operation.hops.iter().enumerate() {
        assert!(hop.queued_ns >= operation.started_ns, "{hop:?}");
        assert!(hop.sent_ns >= hop.queued_ns && hop.ended_ns >= hop.sent_ns, "{hop:?}");
        assert!(hop.parent.is_none_or(|parent| (parent as usize) < number), "{hop:?}");
        let span = hop.sent_ns - hop.queued_ns;
        assert!(hop.dial_ns + hop.handshake_ns <= span, "a dial is part of the way to the question: {hop:?}");
        assert!(!hop.critical || hop.rpc == Rpc::AddProvider || hop.queued_ns <= operation.returned_ns, "{hop:?}");
    }
    if !operation.hops.is_empty() && operation.outcome.is_ok() {
        assert!(
            operation.rtt_multiple().is_none_or(|multiple| multiple >= 1.0),
            "faster than its round trips: {operation:?}"
        );
        let critical: Vec<_> = operation.hops.iter().filter(|hop| hop.critical).collect();
        assert_eq!(critical.last().unwrap().ended_ns, operation.returned_ns, "the end waits for the last critical hop");
        for pair in critical.windows(2) {
            assert!(pair[1].queued_ns >= pair[0].ended_ns, "critical hops follow each other: {pair:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_variant_publishes_and_finds() {
    let (network, clock) = network(30).await;
    for server in network.servers() {
        assert!(server.engine.table_len() >= 8, "{} peers known", server.engine.table_len());
    }
    let finder = network.measurer(100, engine(Variant::Default)).await.unwrap();
    for (number, variant) in [Variant::Default, Variant::OptProv, Variant::FullRt].into_iter().enumerate() {
        let publisher = network.measurer(number as u64, engine(variant)).await.unwrap();
        for round in 0..8_u32 {
            let deadline = clock.now_ns() + 20_000_000_000;
            let key = key(number as u32 * 100 + round);
            let before = network.records_received();
            let provide = publisher.engine.provide(key.clone(), deadline).await;
            assert!(provide.outcome.is_ok(), "{variant:?}: {provide:?}");
            assert_eq!(provide.error, "");
            check_trace(&provide);
            let sends = provide.hops.iter().filter(|hop| hop.rpc == Rpc::AddProvider).count();
            // The protocol does not answer ADD_PROVIDER: what the confirmations claim is what the servers counted.
            assert_eq!(network.records_received() - before, sends as u64, "{variant:?}");
            assert_eq!(usize::from(provide.stored), sends);
            assert!(sends >= K, "{variant:?}: {sends} records");
            assert!(provide.stored_ns.unwrap() >= provide.hops.iter().map(|hop| hop.queued_ns).min().unwrap());
            let retrieve = finder.engine.retrieve(key.clone(), deadline).await;
            check_trace(&retrieve);
            assert_eq!((retrieve.hit, &retrieve.providers), (Hit::Remote, &vec![publisher.engine.host().peer_id()]));
            let own = publisher.engine.retrieve(key, deadline).await;
            assert_eq!((own.hit, own.hops.len()), (Hit::Local, 0));
        }
        if variant == Variant::FullRt {
            assert_eq!(publisher.engine.table_len(), 30, "the crawl found every server");
        }
        if variant == Variant::OptProv {
            let size = publisher.engine.network_size().unwrap();
            assert!((10.0..90.0).contains(&size), "30 servers estimated as {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_and_failures_are_told_apart() {
    let (network, clock) = network(12).await;
    for variant in [Variant::Default, Variant::FullRt] {
        let finder = network.measurer(variant as u64, engine(variant)).await.unwrap();
        let miss = finder.engine.retrieve(key(1), clock.now_ns() + 20_000_000_000).await;
        check_trace(&miss);
        assert_eq!((miss.hit, miss.error.as_str()), (Hit::Miss, "not found"));
        assert!(miss.hops.len() >= K, "the closest were asked: {}", miss.hops.len());
        let late = finder.engine.retrieve(key(1), clock.now_ns()).await;
        assert_eq!((late.hit, late.error.as_str()), (Hit::Failed, "context deadline exceeded"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preflight_holds_in_a_sound_network_and_says_what_is_wrong() {
    let (network, _) = network(12).await;
    for variant in [Variant::Default, Variant::FullRt] {
        let measurer = network.measurer(variant as u64, engine(variant)).await.unwrap();
        let checks = measurer.engine.preflight(Depth::Publish(Seed(3))).await;
        assert_eq!(checks.len(), 10, "one for each way to plausible wrong numbers");
        let failed: Vec<_> = checks.iter().filter(|check| check.verdict == Verdict::Fails).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
    // A server in a network that is not larger than k holds every record itself.
    let (small, _) = self::network(4).await;
    let checks = small.servers()[0].engine.preflight(Depth::Publish(Seed(3))).await;
    let local = checks.iter().find(|check| check.name == "answers-are-remote").unwrap();
    assert_eq!(local.verdict, Verdict::Fails, "{local:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_to_ask_is_said() {
    let (lonely, clock) = network(1).await;
    let engine = &lonely.servers()[0].engine;
    let began = clock.now_ns();
    let provide = engine.provide(key(1), began + 20_000_000_000).await;
    assert_eq!((provide.hit, provide.error.as_str()), (Hit::Failed, "failed to find any peer in table"));
    let retrieve = engine.retrieve(key(2), began + 20_000_000_000).await;
    assert_eq!((retrieve.hit, retrieve.error.as_str()), (Hit::Failed, "failed to find any peer in table"));
    assert!(matches!(engine.join(&[]).await, Err(EngineError::NoBootstrap)));
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("/ip4/127.0.0.1/tcp/{free}").parse().unwrap();
    assert!(matches!(engine.join(&[nobody]).await, Err(EngineError::Unreachable { count: 1, .. })));
    let outside = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
    assert!(matches!(engine.join(&[outside]).await, Err(EngineError::Unreachable { .. })), "a lab stays on loopback");
    let checks = engine.preflight(Depth::Publish(Seed(3))).await;
    assert!(checks.iter().any(|check| check.name == "table-is-wired" && check.verdict == Verdict::Fails));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_die_cost_their_own_hops() {
    let (mut network, clock) = network(20).await;
    let publisher = network.measurer(0, engine(Variant::Default)).await.unwrap();
    let finder = network.measurer(1, engine(Variant::Default)).await.unwrap();
    let deadline = || clock.now_ns() + 20_000_000_000;
    for number in 0..5 {
        assert!(publisher.engine.provide(key(number), deadline()).await.outcome.is_ok());
    }
    let dead: Vec<_> = network.servers()[14..].iter().map(|server| server.engine.host().peer_id()).collect();
    network.kill(6);
    let mut failed = 0;
    for number in 0..20 {
        // Of the first five, a record may have been with dead servers only; the others were never published.
        let retrieve = finder.engine.retrieve(key(number), deadline()).await;
        check_trace(&retrieve);
        assert!(matches!(retrieve.hit, Hit::Remote | Hit::Miss), "{retrieve:?}");
        for hop in retrieve.hops.iter().filter(|hop| dead.contains(&hop.peer)) {
            let class = hop.outcome.class().expect("the dead do not answer");
            assert!(!matches!(class, FailureClass::Timeout), "a closed port is noticed at once: {hop:?}");
            failed += u32::from(class != FailureClass::Abandoned);
        }
        let living = retrieve.hops.iter().filter(|hop| !dead.contains(&hop.peer));
        assert!(
            living.filter(|hop| hop.outcome.class() != Some(FailureClass::Abandoned)).all(|hop| hop.outcome.is_ok())
        );
    }
    assert!(failed > 0, "nobody asked the dead");
    let provide = publisher.engine.provide(key(100), deadline()).await;
    assert!(provide.outcome.is_ok(), "{provide:?}");
    let found = finder.engine.retrieve(key(100), deadline()).await;
    assert_eq!(found.hit, Hit::Remote);
}

/// Accepts connections and never says a word.
async fn silent_listener() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (port, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_costs_its_deadline_and_nothing_else() {
    let (lonely, clock) = network(1).await;
    let (port, task) = silent_listener().await;
    let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let began_ns = clock.now_ns();
    let error = lonely.servers()[0].engine.join(&[address]).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
    assert!(clock.now_ns() - began_ns < 30_000_000_000);
    task.abort();
}
