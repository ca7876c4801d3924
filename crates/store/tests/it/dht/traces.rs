//! Operations and their hops.

use peermark_store::dht::{Cursor, DhtStore, MAX_HOPS, MAX_TRACES, MeasuredFilter, Trace, TraceHop};
use peermark_store::{Store, StoreError};

use crate::dht::{Bed, NOW, everything, on_both};
use crate::fixture::{sample, store_with_series};

on_both!(
    traces_read_back_equal,
    the_same_slice_is_stored_once,
    writers_meet_the_same_new_peers,
    pages_and_filters,
    a_batch_is_one_short_transaction,
    what_does_not_fit_is_refused_whole,
);

const RPCS: [&str; 4] = ["find_node", "get_providers", "add_provider", "confirm"];

/// An operation whose every field follows from its number.
pub(crate) fn trace(number: u64, hops: u64, peers: u64) -> Trace {
    let hop = |seq: u64| {
        let at = (number * 31 + seq * 7) % peers;
        TraceHop {
            peer: peer(at),
            rpc: RPCS[(seq % 4) as usize].to_owned(),
            common_bits: (seq % 40) as u16,
            parent: (seq > 2).then(|| seq as u32 - 3),
            queued_ns: seq * 61_234_567,
            dial_ns: 40_123_456 + seq,
            handshake_ns: 80_456_789,
            sent_ns: seq * 61_234_567 + 120_580_245,
            ended_ns: seq * 61_234_567 + 191_234_567,
            learnt: (seq * 3 % 20) as u16,
            providers: (seq % 3) as u16,
            failure: (seq % 5 == 4).then(|| "timeout".to_owned()),
            wasted: seq % 2 == 1,
            critical: seq.is_multiple_of(3),
            rtt_ns: (!seq.is_multiple_of(4)).then_some(39_876_543),
        }
    };
    Trace {
        observer: peer(number % 7),
        started_wall_ms: NOW + number / 3,
        kind: ["dht.provide", "dht.retrieve"][(number % 2) as usize].to_owned(),
        variant: ["default", "optprov", "fullrt"][(number % 3) as usize].to_owned(),
        fleet: ["default", "optprov"][(number % 2) as usize].to_owned(),
        region: "eu-central-1".to_owned(),
        key: (0..34).map(|byte| (number + byte) as u8).collect(),
        duration_ns: 1_234_567_890 + number,
        stored_ns: number.is_multiple_of(2).then_some(987_654_321),
        stored: (number % 21) as u16,
        hit: ["local", "remote", "miss", "failed"][(number % 4) as usize].to_owned(),
        error: if number % 4 == 3 { "no peer answered".to_owned() } else { String::new() },
        rt_size: 200 + number as u32,
        observation: None,
        hops: (0..hops).map(hop).collect(),
    }
}

fn peer(number: u64) -> String {
    format!("12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1N{number:08}")
}

pub(crate) fn batch(from: u64, count: u64, peers: u64) -> Vec<Trace> {
    (from..from + count).map(|number| trace(number, 12, peers)).collect()
}

async fn all(store: &DhtStore) -> Vec<Trace> {
    store.traces(&everything(), MAX_TRACES as u32).await.unwrap()
}

async fn traces_read_back_equal(bed: &Bed) {
    let mut traces = batch(0, 25, 40);
    traces[3].hops.clear();
    traces[4].region.clear();
    traces[5].hops[1].sent_ns = i64::MAX.unsigned_abs();
    traces[6].hops = trace(6, 300, 40).hops;
    bed.store.put_traces(&traces[..10]).await.unwrap();
    bed.store.put_traces(&traces[10..]).await.unwrap();
    bed.store.put_traces(&[]).await.unwrap();
    assert_eq!(all(&bed.store).await, traces);
}

async fn the_same_slice_is_stored_once(bed: &Bed) {
    let traces = batch(0, 5, 40);
    let tries = (0..4).map(|_| {
        let (store, traces) = (bed.store.clone(), traces.clone());
        tokio::spawn(async move { store.put_traces(&traces).await })
    });
    for one in tries.collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    assert_eq!(all(&bed.store).await, traces);
    bed.store.put_traces(&traces[1..2]).await.unwrap();
    assert_eq!(all(&bed.store).await.len(), 6, "another slice is another measurement");
}

/// Several servers of one database crawl the same network: none waits for another in a circle, and every name has one number.
async fn writers_meet_the_same_new_peers(bed: &Bed) {
    let writers = (0..8).map(|writer| {
        let store = bed.store.clone();
        tokio::spawn(async move {
            for part in 0..4 {
                store.put_traces(&batch(writer * 1000 + part * 10, 10, 60 + part * 60)).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut expected: Vec<_> = (0..8)
        .flat_map(|writer| (0..4).flat_map(move |part| batch(writer * 1000 + part * 10, 10, 60 + part * 60)))
        .collect();
    let mut read = all(&bed.store).await;
    for traces in [&mut expected, &mut read] {
        traces.sort_by_key(|trace| (trace.started_wall_ms, trace.rt_size));
    }
    assert_eq!(read, expected);
    assert_eq!(bed.count(if bed.is_postgres() { "peermark.dht_peer" } else { "dht_peer" }).await, 240);
}

async fn pages_and_filters(bed: &Bed) {
    let traces = batch(0, 30, 40);
    bed.store.put_traces(&traces).await.unwrap();
    for size in [1, 4, 29] {
        let (mut filter, mut pages) = (everything(), Vec::<(Cursor, Trace)>::new());
        loop {
            let page = bed.store.traces_with_cursors(&filter, size).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            filter.after = Some(*last);
            pages.extend(page);
        }
        let read: Vec<_> = pages.into_iter().map(|(_, trace)| trace).collect();
        assert_eq!(read, traces, "pages of {size}");
    }
    let of = async |fleets: &[&str], from_ms, until_ms| {
        let fleets = fleets.iter().map(|fleet| (*fleet).to_owned()).collect();
        bed.store.traces(&MeasuredFilter { fleets, from_ms, until_ms, after: None }, 100).await.unwrap()
    };
    assert_eq!(of(&["optprov"], 0, u64::MAX).await.len(), 15);
    assert!(of(&["none"], 0, u64::MAX).await.is_empty());
    assert_eq!(of(&[], NOW + 1, NOW + 2).await, traces[3..6]);
}

/// A scheduler's load is a few operations per second; the bench writes a hundred with every hop, each second.
#[expect(clippy::print_stdout, reason = "the figure that the test is about")]
async fn a_batch_is_one_short_transaction(bed: &Bed) {
    let begun = tokio::time::Instant::now();
    const BATCHES: u32 = 5;
    for number in 0..BATCHES {
        bed.store.put_traces(&batch(u64::from(number) * 100, 100, 500)).await.unwrap();
    }
    let each = begun.elapsed() / BATCHES;
    println!("postgres={}: 100 operations with 12 hops each in {} ms", bed.is_postgres(), each.as_millis());
    assert!(each.as_millis() < 500, "{} ms", each.as_millis());
    assert_eq!(bed.count(if bed.is_postgres() { "peermark.dht_batch" } else { "dht_batch" }).await, 5);
}

async fn what_does_not_fit_is_refused_whole(bed: &Bed) {
    type Change = fn(&mut Trace);
    let cases: [(Change, &str); 9] = [
        (|trace| trace.kind = "dht.other".to_owned(), "unknown kind of operation: \"dht.other\""),
        (|trace| trace.hops[2].rpc = String::new(), "unknown RPC: \"\""),
        (|trace| trace.hops[2].failure = Some("bad luck".to_owned()), "unknown failure class: \"bad luck\""),
        (|trace| trace.hops[2].parent = Some(MAX_HOPS as u32), "parent does not fit: 10000 is above 9999"),
        (
            |trace| trace.hops[2].rtt_ns = Some(u64::MAX),
            "rtt_ns does not fit: 18446744073709551615 is above 9223372036854775807",
        ),
        (|trace| trace.key = vec![0; 129], "too many bytes of a key: 129, at most 128 in one call"),
        (|trace| trace.fleet = "f".repeat(1025), "name of a peer, fleet or region too long: 1025 bytes, at most 1024"),
        (
            |trace| trace.hops = self::trace(0, 10_001, 5).hops,
            "too many hops of an operation: 10001, at most 10000 in one call",
        ),
        (
            |trace| trace.started_wall_ms = 253_402_300_800_000,
            "started_wall_ms does not fit: 253402300800000 is above 253402300799999",
        ),
    ];
    for (change, expected) in cases {
        let mut traces = batch(0, 2, 5);
        change(&mut traces[1]);
        let error = bed.store.put_traces(&traces).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let many = vec![trace(0, 0, 1); MAX_TRACES + 1];
    assert!(matches!(bed.store.put_traces(&many).await, Err(StoreError::TooMany { .. })));
    assert!(all(&bed.store).await.is_empty());
}

#[tokio::test]
async fn a_trace_is_linked_to_its_observation() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, series) = store_with_series(directory.path()).await;
    store.put_observations(series, &[sample(4), sample(5)]).await.unwrap();
    let dht = DhtStore::of(&store);
    let mut traces = batch(0, 2, 5);
    traces[0].observation = Some((series.0, 5));
    dht.put_traces(&traces).await.unwrap();
    traces[1].observation = Some((series.0, 6));
    let error = dht.put_traces(&traces).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchObservation), "{error:?}");
    traces[1].observation = None;
    assert_eq!(all(&dht).await, traces);
    assert!(store.verify().await.unwrap().is_clean());
    // Peers, fleets and hops are rows that refer to each other: the check covers them.
    drop(dht);
    let again = Store::open_existing(&directory.path().join("peermark.db")).await.unwrap();
    assert_eq!(all(&DhtStore::of(&again)).await, traces);
}
