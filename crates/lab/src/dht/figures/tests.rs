use std::time::Duration;

use peermark_core::Seed;
use peermark_dht::key::RecordKey;
use peermark_store::dht::{
    DhtStore, MeasuredFilter, MeasurementRow, NewNode, NodeId, RoundRows, SchedulerId, Trace, TraceHop,
};

use super::*;
use crate::dht::evidence::{Round, Seen, Unanswered};
use crate::dht::plan::DhtPlan;

const MS: u64 = 1_000_000;

/// A store with one node and one scheduler, as a run leaves it.
struct Rig {
    _directory: std::path::PathBuf,
    tables: DhtStore,
    node: NodeId,
    scheduler: SchedulerId,
}

impl Rig {
    async fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("peermark-dht-figures-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("store.db");
        drop(std::fs::remove_file(&path));
        let tables = DhtStore::open_sqlite(&path).await.unwrap();
        let node = NewNode {
            cpu: 1,
            memory: 1,
            peer_id: "peer".into(),
            region: "region-a".into(),
            cmd: String::new(),
            fleet: "default".into(),
            dependencies: serde_json::json!({}),
            ip_address: std::net::Ipv4Addr::LOCALHOST,
            server_port: 1,
            peer_port: 1,
        };
        let node = tables.insert_node(&node, 1_000).await.unwrap();
        tables.heartbeat(node, 1_000).await.unwrap();
        let scheduler = tables.insert_scheduler(&["default".into()], &serde_json::json!({}), 1_000).await.unwrap();
        Self { _directory: directory, tables, node, scheduler }
    }

    fn row(&self, content: &[u8], duration_ns: u64, error: Option<&str>, created_ms: u64) -> MeasurementRow {
        MeasurementRow {
            node: self.node,
            rt_size: 20,
            duration_ns,
            cid: RecordKey::of_content(content).1.to_string(),
            error: error.map(str::to_owned),
            step: String::new(),
            created_ms,
        }
    }
}

fn trace(content: &[u8], kind: &str, hit: &str, started_wall_ms: u64, hops: [bool; 2]) -> Trace {
    let hop = |wasted| TraceHop {
        peer: "other".into(),
        rpc: "get_providers".into(),
        common_bits: 1,
        parent: None,
        queued_ns: 0,
        dial_ns: 0,
        handshake_ns: 0,
        sent_ns: 1,
        ended_ns: 2,
        learnt: 0,
        providers: 1,
        failure: None,
        wasted,
        critical: !wasted,
        rtt_ns: None,
    };
    Trace {
        observer: "peer".into(),
        started_wall_ms,
        kind: kind.into(),
        variant: "default".into(),
        fleet: "default".into(),
        region: "region-a".into(),
        key: RecordKey::of_content(content).0.as_bytes().to_vec(),
        duration_ns: 5 * MS,
        stored_ns: Some(9 * MS),
        stored: K as u16,
        hit: hit.into(),
        error: String::new(),
        rt_size: 20,
        observation: None,
        hops: hops.map(hop).to_vec(),
    }
}

#[tokio::test]
async fn rows_get_their_traces_and_questions_about_visibility_are_no_lookups() {
    let rig = Rig::new("join").await;
    let plan = DhtPlan::new(8, &[Variant::Default], Seed(1)).unwrap();
    let rows = RoundRows {
        batch: "1".into(),
        provides: vec![rig.row(b"a", 5 * MS, None, 1_010), rig.row(b"b", MS, Some("context deadline exceeded"), 1_020)],
        retrievals: vec![
            rig.row(b"c", 3 * MS, None, 1_030),
            rig.row(b"d", MS, None, 1_040),
            rig.row(b"e", 7 * MS, Some("not found"), 1_050),
        ],
        offline: Vec::new(),
    };
    rig.tables.write_round(rig.scheduler, &rows).await.unwrap();
    let mut short = trace(b"b", "dht.provide", "failed", 1_019, [false; 2]);
    short.stored = 1;
    let traces = [
        trace(b"a", "dht.provide", "remote", 1_005, [false, false]),
        short,
        trace(b"c", "dht.retrieve", "remote", 1_027, [false, true]),
        // Asked again by whoever watched for visibility, and of nobody's round.
        trace(b"c", "dht.retrieve", "miss", 1_035, [true, true]),
        trace(b"z", "dht.retrieve", "miss", 1_036, [true, true]),
        trace(b"d", "dht.retrieve", "local", 1_039, [false, false]),
    ];
    rig.tables.put_traces(&traces).await.unwrap();
    let members = rig.tables.live_nodes(&["default".into()], 1_000).await.unwrap();
    let mut seen = Seen { count: 2, ..Seen::default() };
    let fleet = Some("default".to_owned());
    seen.rounds.push(Round {
        fleet: fleet.clone(),
        visible_ns: Some(Some(12 * MS)),
        is_complete: true,
        at_wall_ms: 1_015,
    });
    seen.rounds.push(Round { fleet, visible_ns: Some(None), is_complete: false, at_wall_ms: 1_060 });
    seen.unanswered.push(Unanswered { call: "/retrieve", peer_id: "peer".into(), at_wall_ms: 1_055 });
    seen.unanswered.push(Unanswered { call: "/readiness", peer_id: "peer".into(), at_wall_ms: 1_056 });
    let schedule = ScheduleSeen { plan: plan.schedules().remove(0), id: rig.scheduler, unwritten: 0, seen };
    let mut collected = Collected {
        schedules: vec![schedule],
        members,
        begun_wall_ms: 1_000,
        lasted_ns: Duration::from_secs(1).as_nanos() as u64,
        ..Collected::default()
    };
    collected.read_rows(&rig.tables, &plan).await.unwrap();
    collected.read_traces(&rig.tables, &plan).await.unwrap();
    let all = MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() };
    assert_eq!(rig.tables.measured(&all, 100).await.unwrap().len(), collected.operations.len());
    let (schedules, notes) = schedules(&collected);
    assert_eq!((schedules[0].rounds, schedules[0].complete), (2, 1));
    let provide = schedules[0].fleets[0].provide.as_ref().unwrap();
    assert_eq!((provide.count, provide.ok, provide.failed["timeout"]), (2, 1, 1));
    assert_eq!((provide.returned_ns.n, provide.confirmed_ns.n, provide.visible_ns.n), (2, 2, 2));
    assert_eq!(provide.returned_ns.max, Some(DEADLINE_NS), "a failure counts at the deadline");
    assert_eq!(provide.visible_ns.max, Some(VISIBLE_DEADLINE_NS));
    let lookup = schedules[0].fleets[0].lookup.as_ref().unwrap();
    assert_eq!((lookup.count, lookup.ok, lookup.local), (4, 2, 1));
    assert_eq!((lookup.failed["not_found"], lookup.failed[NO_ANSWER]), (1, 1));
    assert_eq!(lookup.duration_ns.n, 3, "local hits are apart");
    assert_eq!((lookup.rpcs.operations, lookup.rpcs.sent, lookup.rpcs.wasted), (1, 2, 1));
    assert!(lookup.duration_ns.p50.is_none() && notes.iter().any(|note| note.contains("too few values")), "{notes:?}");
}
