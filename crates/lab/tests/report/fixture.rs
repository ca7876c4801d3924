//! Runs to report: a large one with everything that can go wrong, and one that ended before it began.

use std::collections::BTreeMap;

use peermark_core::calibration::{BytesPerSecond, FdatasyncNs};
use peermark_core::{Calibration, Culprit, Environment, Seed, Unit};
use peermark_lab::result::{
    Arrivals, Exchange, FaultResult, HostUse, NodeCounts, NodeResources, RunResult, SCHEMA, SelfTestProblem,
    SelfTestResult, SelfTestValues, ThresholdResult, Validity, Verdict,
};

use crate::load::{Draw, Plan, SECOND};

/// 50 nodes, one of them foreign; four operations in four phases; a node that is killed and comes back; a percentile among the
/// failures, percentiles without enough values, a slice without values, a threshold that is missed and one without a number.
pub(crate) fn network() -> RunResult {
    let fill =
        Plan { phase: "fill", op: "upload", rate: 20.0, start_s: 0, length_s: 20, median_ns: 8.4e6, spread: 0.45 };
    let steady =
        Plan { phase: "steady", op: "fetch", rate: 60.0, start_s: 22, length_s: 40, median_ns: 21.0e6, spread: 0.6 };
    let warm = Plan {
        phase: "warm",
        op: "read_warm",
        rate: 400.0,
        start_s: 63,
        length_s: 20,
        median_ns: 0.62e6,
        spread: 0.35,
    };
    let spread = Plan {
        phase: "spread",
        op: "disseminate",
        rate: 0.8,
        start_s: 84,
        length_s: 15,
        median_ns: 1.4e9,
        spread: 0.3,
    };
    let mut fetch = steady.measure(|at_s| (17.0..20.5).contains(&at_s));
    // Nothing was scheduled for three seconds: a gap, not a zero.
    fetch.timeline.retain(|slice| !(30.0..33.0).contains(&slice.at_s));
    let mut read = warm.measure(|_| false);
    (read.arrivals, read.knee_rate) = (Arrivals::Uniform, Some(412.0));
    let mut disseminate = spread.measure(|_| false);
    (disseminate.arrivals, disseminate.target_rate) = (Arrivals::Closed, None);
    RunResult {
        schema: SCHEMA.to_owned(),
        run_id: "2026-01-31-093012-7f3a".to_owned(),
        started_wall_ms: 1_769_851_812_000,
        duration_ns: 104 * SECOND,
        seed: Seed(42),
        scenario: "default-50".to_owned(),
        scenario_fingerprint: "5f0c2b9e7a61d3488c1e02fb94d7a350".to_owned(),
        validity: Validity {
            verdict: Verdict::Suspect,
            reasons: vec![
                "CPU-bound: the host was 91 % busy during the load, more than 85 %".to_owned(),
                "slip: the generator started disseminate/spread late, p99 180 ms".to_owned(),
            ],
        },
        environment: environment(),
        nodes: NodeCounts { started: 50, ready: 49, failed: 1, ready_after_ns: Some(3_210_000_000), connections: 203 },
        operations: vec![fill.measure(|_| false), fetch, read, disseminate],
        exchange: Exchange {
            blocks_sent: Some(12_840),
            blocks_received: Some(12_840),
            bytes_sent: Some(12_840 * 65_536),
            bytes_received: Some(12_840 * 65_536),
            unexplained: Some(0),
            unpaid_wants: Some(0),
            reason: None,
        },
        resources: (0..50).map(node).collect(),
        thresholds: thresholds(),
        calibration: calibration(210_000, 1_480_000_000, 2_900_000_000),
        calibration_after: calibration(236_000, 1_465_000_000, 2_760_000_000),
        host: HostUse { busy: 0.914, steal: 0.0031, generator_cpu_seconds: 12.34, throttled: Some(0) },
        faults: vec![fault("kill", 39 * SECOND), fault("restart", 42 * SECOND + SECOND / 2)],
        self_tests: self_tests(),
        warnings: vec![
            "One machine: network latency between nodes is that of the loopback interface.".to_owned(),
            "The foreign node 49 (kubo) shows no disk use and no count of peers.".to_owned(),
        ],
    }
}

/// A run that was stopped while its nodes started.
pub(crate) fn aborted() -> RunResult {
    RunResult {
        run_id: "2026-01-31-094500-0001".to_owned(),
        duration_ns: 5 * SECOND,
        validity: Validity {
            verdict: Verdict::Suspect,
            reasons: vec!["aborted: interrupted while the nodes started".to_owned()],
        },
        nodes: NodeCounts { started: 3, ready: 1, failed: 0, ready_after_ns: None, connections: 0 },
        operations: Vec::new(),
        exchange: Exchange {
            blocks_sent: None,
            blocks_received: None,
            bytes_sent: None,
            bytes_received: None,
            unexplained: None,
            unpaid_wants: None,
            reason: Some("no load was run".to_owned()),
        },
        resources: Vec::new(),
        thresholds: Vec::new(),
        host: HostUse::default(),
        faults: Vec::new(),
        self_tests: Vec::new(),
        warnings: Vec::new(),
        ..network()
    }
}

fn node(node: u32) -> NodeResources {
    let mut draw = Draw(u64::from(node) + 99);
    let foreign = node == 49;
    let mode = match node {
        49 => "foreign",
        n if n % 3 == 0 => "marketplace",
        _ => "altruistic",
    };
    NodeResources {
        node,
        kind: if foreign { "kubo" } else { "peermark" }.to_owned(),
        mode: mode.to_owned(),
        peer_id: (!foreign).then(|| format!("12D3KooW{:016x}{:016x}{node:04}", draw.next(), draw.next())),
        private_bytes: Some(((if foreign { 92.0 } else { 19.0 } + 5.0 * draw.uniform()) * 1_048_576.0) as u64),
        cpu_seconds: Some(1.1 + draw.uniform()),
        disk_bytes: (!foreign).then(|| 18_000_000 + draw.next() % 9_000_000),
        net_bytes: (!foreign).then(|| 31_000_000 + draw.next() % 22_000_000),
        peers: (!foreign).then(|| 8 + draw.next() % 9),
        state: if node == 31 { "exited" } else { "up" }.to_owned(),
    }
}

fn thresholds() -> Vec<ThresholdResult> {
    let threshold = |name: &str, limit: f64, value: Option<f64>, ok: bool| ThresholdResult {
        name: name.to_owned(),
        limit,
        value,
        ok,
    };
    vec![
        threshold("upload.p99<50ms", 50e6, Some(31.2e6), true),
        threshold("fetch.p99<500ms", 500e6, Some(10e9), false),
        threshold("fetch.failed<1%", 0.01, Some(0.0175), false),
        threshold("read_warm.rate>=350/s", 350.0, Some(398.6), true),
        threshold("disseminate.p99<5s", 5e9, None, false),
    ]
}

fn environment() -> Environment {
    Environment {
        version: "0.1.0".to_owned(),
        commit: "ae6a80a7+".to_owned(),
        kernel: "Linux 6.12.9".to_owned(),
        cpu: "AMD EPYC 9354 32-Core Processor".to_owned(),
        cores: 8,
        memory_bytes: 33_554_432_000,
        governor: None,
        build: "release".to_owned(),
    }
}

fn calibration(p50_ns: u64, hash: u64, tcp: u64) -> Calibration {
    Calibration {
        fdatasync: FdatasyncNs { p50_ns },
        hash: BytesPerSecond { bytes_per_second: hash },
        plain_tcp: BytesPerSecond { bytes_per_second: tcp },
    }
}

fn fault(action: &str, at_ns: u64) -> FaultResult {
    let detail = match action {
        "kill" => "the process was gone 3 ms after SIGKILL; 49 nodes lost a connection within 1.2 s",
        _ => "the node answered again after 1.31 s with 8 peers",
    };
    FaultResult { action: action.to_owned(), node: 17, at_ns, verified: true, detail: detail.to_owned() }
}

/// One test with nothing to mend, one with a finding and a failure.
fn self_tests() -> Vec<SelfTestResult> {
    let problem = |node, code: &str, advice: Option<&str>| SelfTestProblem {
        node,
        code: code.into(),
        culprit: Culprit::Observer,
        detail: "/data: 2.1 % of 40 GiB free <b>now</b>".into(),
        advice: advice.map(Into::into),
    };
    let test = |task: &str, unit, value: &str| SelfTestResult {
        task: task.into(),
        unit,
        value: value.into(),
        nodes: 50,
        ok: 6,
        failed: 0,
        skipped: 1,
        values: Some(SelfTestValues { n: 6, low: 0, median: 1_240_000, high: 2_480_000 }),
        problems_by_code: BTreeMap::new(),
        problems: Vec::new(),
    };
    vec![
        SelfTestResult {
            failed: 1,
            problems_by_code: BTreeMap::from([("space_low".into(), 2), ("timeout".into(), 1)]),
            problems: vec![
                problem(1, "space_low", Some("free some space: du -xh / | sort -h")),
                problem(2, "timeout", None),
            ],
            ..test("healthcheck", Unit::Count, "problems found")
        },
        test("node-self-test", Unit::Nanoseconds, "time of all steps"),
    ]
}
