//! Whatever fits reads back equal.

use peermark_core::FailureClass;
use peermark_store::dht::{Trace, TraceHop};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::dht::{Bed, everything};

const MAX: u64 = i64::MAX.unsigned_abs();

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

fn hop() -> impl Strategy<Value = TraceHop> {
    let who = (
        "[1-9A-HJ-NP-Za-km-z]{1,52}",
        text(&["find_node", "get_providers", "add_provider", "confirm"]),
        any::<u16>(),
        of(0..10_000_u32),
        of(select(&FailureClass::ALL).prop_map(|class| class.as_str().to_owned())),
    );
    let times = (0..=MAX, 0..=MAX, 0..=MAX, 0..=MAX, 0..=MAX, of(0..=MAX));
    let rest = (any::<u16>(), any::<u16>(), any::<bool>(), any::<bool>());
    (who, times, rest).prop_map(|(who, times, rest)| TraceHop {
        peer: who.0,
        rpc: who.1,
        common_bits: who.2,
        parent: who.3,
        queued_ns: times.0,
        dial_ns: times.1,
        handshake_ns: times.2,
        sent_ns: times.3,
        ended_ns: times.4,
        learnt: rest.0,
        providers: rest.1,
        failure: who.4,
        wasted: rest.2,
        critical: rest.3,
        rtt_ns: times.5,
    })
}

fn trace() -> impl Strategy<Value = Trace> {
    let who = ("\\PC{0,20}", "\\PC{0,20}", "\\PC{0,20}", "\\PC{0,40}", vec(any::<u8>(), 0..=128));
    let what = (
        text(&["dht.provide", "dht.retrieve"]),
        text(&["default", "optprov", "fullrt"]),
        text(&["local", "remote", "miss", "failed"]),
    );
    let numbers = (0..253_402_300_799_999_u64, 0..=MAX, of(0..=MAX), any::<u16>(), any::<u32>());
    (who, what, numbers, vec(hop(), 0..20)).prop_map(|(who, what, numbers, hops)| Trace {
        observer: who.0,
        started_wall_ms: numbers.0,
        kind: what.0,
        variant: what.1,
        fleet: who.1,
        region: who.2,
        key: who.4,
        duration_ns: numbers.1,
        stored_ns: numbers.2,
        stored: numbers.3,
        hit: what.2,
        error: who.3,
        rt_size: numbers.4,
        observation: None,
        hops,
    })
}

fn whatever_fits_reads_back_equal(bed: &Bed) {
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let mut stored = Vec::new();
    let store = bed.store.clone();
    let runtime = tokio::runtime::Handle::current();
    let check = std::cell::RefCell::new(&mut stored);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&vec(trace(), 1..4), |traces| {
            runtime.block_on(store.put_traces(&traces)).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            check.borrow_mut().extend(traces);
            // Ascending by start, then by the order of writing.
            let mut expected = check.borrow().clone();
            expected.sort_by_key(|trace| trace.started_wall_ms);
            let read = runtime.block_on(store.traces(&everything(), 1000));
            prop_assert_eq!(read.map_err(|error| TestCaseError::fail(format!("{error:?}")))?, expected);
            Ok(())
        })
    });
    outcome.unwrap();
    assert!(stored.len() >= 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    whatever_fits_reads_back_equal(&Bed::sqlite().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    whatever_fits_reads_back_equal(&Bed::postgres().await);
}
