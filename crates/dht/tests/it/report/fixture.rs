//! Rows and traces of two weeks, written as schedulers and servers write them.

use std::net::Ipv4Addr;

use peermark_core::Seed;
use peermark_dht::report::{ReportOptions, Span};
use peermark_store::dht::{DhtStore, MeasurementRow, NewNode, NodeId, RoundRows, SchedulerId, Trace, TraceHop};
use rand::{Rng, RngExt};
use tempfile::TempDir;

/// 2026-01-08 00:00:00 UTC.
pub(crate) const FROM_MS: u64 = 1_767_830_400_000;
pub(crate) const DAY_MS: u64 = 86_400_000;
pub(crate) const WEEK_MS: u64 = 7 * DAY_MS;

/// What a server of the fixture measures.
pub(crate) struct Place {
    pub(crate) fleet: &'static str,
    pub(crate) region: &'static str,
    /// Median of its lookups, milliseconds, in the week before and in the week.
    pub(crate) median_ms: (f64, f64),
    /// One lookup in so many fails; 0 for none.
    pub(crate) fails_every: usize,
}

/// Three regions of one fleet, of which one became slower and one fails now and then, and a second fleet in one region.
pub(crate) const PLACES: [Place; 4] = [
    Place { fleet: "default", region: "af-south-1", median_ms: (620.0, 620.0), fails_every: 25 },
    Place { fleet: "default", region: "eu-central-1", median_ms: (240.0, 240.0), fails_every: 0 },
    Place { fleet: "default", region: "us-east-2", median_ms: (300.0, 480.0), fails_every: 0 },
    Place { fleet: "optprov", region: "eu-central-1", median_ms: (230.0, 230.0), fails_every: 0 },
];

/// Lookups of one server in one week.
pub(crate) const LOOKUPS: usize = 640;
/// Provides of one server in one week.
pub(crate) const PROVIDES: usize = 160;

/// A store with rows.
pub(crate) struct Filled {
    pub(crate) store: DhtStore,
    /// Everything that was written, with its fleet and region; provides first.
    pub(crate) rows: Vec<(bool, &'static str, &'static str, MeasurementRow)>,
    _directory: TempDir,
}

impl Filled {
    /// The rows of the week (or the week before) of one place.
    pub(crate) fn of(&self, provide: bool, place: &Place, before: bool) -> impl Iterator<Item = &MeasurementRow> {
        self.rows.iter().filter_map(move |(kind, fleet, region, row)| {
            let right = *kind == provide && *fleet == place.fleet && *region == place.region;
            (right && (row.created_ms < FROM_MS) == before).then_some(row)
        })
    }
}

pub(crate) fn week() -> ReportOptions {
    let mut options = ReportOptions::new(Span::new(FROM_MS, FROM_MS + WEEK_MS).expect("a week"));
    options.place = "fixture.db".to_owned();
    options
}

/// Two weeks of all places; servers on public addresses, or all on loopback.
pub(crate) async fn filled(is_lab: bool) -> Filled {
    let directory = tempfile::tempdir().expect("a directory");
    let store = DhtStore::open_sqlite(&directory.path().join("fixture.db")).await.expect("opens");
    let scheduler = scheduler(&store).await;
    let mut rows = Vec::new();
    for (index, place) in PLACES.iter().enumerate() {
        let host = if is_lab { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(192, 0, 2, index as u8 + 1) };
        let node = server(&store, place.fleet, place.region, host).await;
        for (week, median_ms) in [(0, place.median_ms.0), (1, place.median_ms.1)] {
            let start_ms = FROM_MS - WEEK_MS + week * WEEK_MS;
            let mut draw = Seed(7).stream_at("rows", index as u64 * 2 + week);
            let lookups: Vec<_> = (0..LOOKUPS)
                .map(|number| {
                    let failed = place.fails_every > 0 && number % place.fails_every == 3;
                    row(&mut draw, node, at(start_ms, number, LOOKUPS), median_ms, failed.then_some("not found"))
                })
                .collect();
            let provides: Vec<_> = (0..PROVIDES)
                .map(|number| {
                    let failed = (number % 40 == 7).then_some("context deadline exceeded");
                    let mut row = row(&mut draw, node, at(start_ms, number, PROVIDES), 9_000.0, failed);
                    row.step = "provide".to_owned();
                    row
                })
                .collect();
            rows.extend(provides.iter().map(|row| (true, place.fleet, place.region, row.clone())));
            rows.extend(lookups.iter().map(|row| (false, place.fleet, place.region, row.clone())));
            let batch = format!("{index}-{week}");
            let round = RoundRows { batch, provides, retrievals: lookups, offline: Vec::new() };
            assert!(store.write_round(scheduler, &round).await.expect("written").now);
        }
    }
    Filled { store, rows, _directory: directory }
}

pub(crate) async fn scheduler(store: &DhtStore) -> SchedulerId {
    store.insert_scheduler(&["default".to_owned()], &serde_json::json!({}), FROM_MS).await.expect("stored")
}

pub(crate) async fn server(store: &DhtStore, fleet: &str, region: &str, ip_address: Ipv4Addr) -> NodeId {
    let node = NewNode {
        cpu: 2,
        memory: 4096,
        peer_id: "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X".to_owned(),
        region: region.to_owned(),
        cmd: "peermark dht server".to_owned(),
        fleet: fleet.to_owned(),
        dependencies: serde_json::json!({}),
        ip_address,
        server_port: 7070,
        peer_port: 4001,
    };
    let id = store.insert_node(&node, FROM_MS - WEEK_MS).await.expect("stored");
    store.heartbeat(id, FROM_MS + WEEK_MS).await.expect("stored");
    id
}

fn at(start_ms: u64, number: usize, of: usize) -> u64 {
    start_ms + (number as u64 * WEEK_MS) / of as u64
}

/// Latencies with a factor of about two between quartiles and a long tail.
fn row(draw: &mut impl Rng, node: NodeId, created_ms: u64, median_ms: f64, error: Option<&str>) -> MeasurementRow {
    let normal: f64 = (0..12).map(|_| draw.random::<f64>()).sum::<f64>() - 6.0;
    MeasurementRow {
        node,
        rt_size: 195 + (created_ms / 1000 % 20) as i32,
        duration_ns: (median_ms * 1e6 * (0.5 * normal).exp()) as u64,
        cid: "QmSnuWmxptJZdLJpKRarxBMS2Ju2oANVrgbr2xWbie9b2D".to_owned(),
        error: error.map(str::to_owned),
        step: String::new(),
        created_ms,
    }
}

/// One RPC of `ms` milliseconds in all: a tenth of it dialling, a fifth in the handshake, half of it the question.
pub(crate) fn hop(ms: u64, critical: bool, wasted: bool) -> TraceHop {
    let part = |tenths: u64| ms * tenths * 100_000;
    TraceHop {
        peer: "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X".to_owned(),
        rpc: "get_providers".to_owned(),
        common_bits: 3,
        parent: None,
        queued_ns: 0,
        dial_ns: part(1),
        handshake_ns: part(2),
        sent_ns: part(5),
        ended_ns: part(10),
        learnt: 4,
        providers: 0,
        failure: wasted.then(|| "timeout".to_owned()),
        wasted,
        critical,
        rtt_ns: critical.then_some(part(2)),
    }
}

/// A trace of one operation `number`, minutes apart.
pub(crate) fn trace(kind: &str, number: u64, region: &str, hit: &str, ms: u64) -> Trace {
    let provide = kind == "dht.provide";
    Trace {
        observer: "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X".to_owned(),
        started_wall_ms: FROM_MS + number * 60_000 + if provide { 0 } else { 30_000 },
        kind: kind.to_owned(),
        variant: "default".to_owned(),
        fleet: "default".to_owned(),
        region: region.to_owned(),
        key: number.to_be_bytes().to_vec(),
        duration_ns: ms * 1_000_000,
        stored_ns: provide.then_some(ms * 2_000_000),
        stored: if provide { 18 } else { 0 },
        hit: hit.to_owned(),
        error: match hit {
            "miss" => "not found".to_owned(),
            _ => String::new(),
        },
        rt_size: 210,
        observation: None,
        hops: if hit == "local" { Vec::new() } else { vec![hop(ms, true, false), hop(ms / 2, false, true)] },
    }
}

/// 200 provides in Europe, each looked up from two other regions; every tenth lookup from Africa misses, and 20 more are local hits.
pub(crate) async fn put_traces(store: &DhtStore) {
    let mut traces = Vec::new();
    for number in 0..200 {
        traces.push(trace("dht.provide", number, "eu-central-1", "remote", 9_000 + number));
        let hit = if number % 10 == 0 { "miss" } else { "remote" };
        traces.push(trace("dht.retrieve", number, "af-south-1", hit, 600));
        traces.push(trace("dht.retrieve", number, "us-east-2", "remote", 300));
    }
    for number in 0..20 {
        traces.push(trace("dht.retrieve", number, "us-east-2", "local", 1));
    }
    for page in traces.chunks(500) {
        store.put_traces(page).await.expect("stored");
    }
}
