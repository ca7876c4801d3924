//! What the default tasks say in a day: how often each runs by its schedule, and results of the shape and length of theirs.

use peermark_core::{Culprit, FailureClass, Seed, Unit};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::attempt::{Said, Status, Trigger};
use crate::history::NewAttempt;
use crate::history::open::DAY_MS;

/// Name, unit, every how many milliseconds, result.
type Simulated = (&'static str, Unit, u64, fn(&mut Numbers) -> Value);

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

const TASKS: [Simulated; 12] = [
    ("public-ip-validation", Unit::Count, 6 * HOUR_MS, public_ip),
    ("cpu-benchmark", Unit::Nanoseconds, 6 * HOUR_MS, cpu_benchmark),
    ("healthcheck", Unit::Count, 15 * MINUTE_MS, healthcheck),
    ("iperf", Unit::BitsPerSecond, 6 * HOUR_MS, iperf),
    ("cpu-suite", Unit::Count, 30 * DAY_MS, cpu_suite),
    ("reachability", Unit::Count, HOUR_MS, reachability),
    ("disk", Unit::Nanoseconds, 6 * HOUR_MS, disk),
    ("latency", Unit::Nanoseconds, 5 * MINUTE_MS, latency),
    ("clock", Unit::Nanoseconds, HOUR_MS, clock),
    ("host", Unit::PartsPerMillion, 5 * MINUTE_MS, host),
    ("process", Unit::PartsPerMillion, 5 * MINUTE_MS, process),
    ("node-self-test", Unit::Nanoseconds, 30 * MINUTE_MS, node_self_test),
];

/// Makes attempts, the same ones every time.
pub(super) struct Source(Numbers);

/// Numbers that do not repeat.
struct Numbers(ChaCha8Rng);

impl Source {
    pub(super) fn new() -> Self {
        Self(Numbers(Seed(4).stream("footprint")))
    }

    /// Everything of the day that begins at `day_ms`, in order.
    pub(super) fn day(&mut self, day_ms: u64) -> Vec<NewAttempt> {
        let mut due: Vec<(u64, Simulated)> = Vec::new();
        for task in TASKS {
            let first = day_ms.div_ceil(task.2) * task.2;
            due.extend(
                (first..day_ms + DAY_MS).step_by(usize::try_from(task.2).unwrap_or(usize::MAX)).map(|at| (at, task)),
            );
        }
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(at, task)| self.attempt(at, task)).collect()
    }

    /// One in a hundred fails, one in two hundred is skipped, one in fifty finds something.
    fn attempt(&mut self, intended_ms: u64, (task, unit, _, result): Simulated) -> NewAttempt {
        let numbers = &mut self.0;
        let said = |code: &str| Said {
            code: code.into(),
            class: FailureClass::Timeout,
            culprit: Culprit::Peer,
            detail: "203.0.113.17:4001 did not answer within 10 s".into(),
        };
        let lot = numbers.below(200);
        let status = if lot < 2 {
            Status::Failed
        } else if lot < 3 {
            Status::Skipped
        } else {
            Status::Ok
        };
        let ok = status == Status::Ok;
        let started_ms = intended_ms + numbers.below(60_000);
        let duration_ns = 1_000_000 + numbers.below(900_000_000);
        NewAttempt {
            task: task.into(),
            unit,
            trigger: Trigger::Schedule,
            attempt: 1,
            intended_ms,
            started_ms,
            ended_ms: started_ms + duration_ns / 1_000_000,
            duration_ns,
            status,
            failure: (status == Status::Failed).then(|| said("no_answer")),
            skipped: (status == Status::Skipped).then(|| "the host is busy: 87 % of its CPU time is used".into()),
            findings: if ok && lot > 195 { vec![said("peer_slow")] } else { Vec::new() },
            value: ok.then(|| numbers.signed(1_000_000_000)),
            bytes: numbers.below(100_000),
            result: ok.then(|| result(numbers)),
        }
    }
}

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn signed(&mut self, bound: i64) -> i64 {
        (self.0.next_u64() % bound.unsigned_abs()).cast_signed() - bound / 50
    }
}

/// As [`crate::tasks::latency::Distribution`].
fn distribution(n: &mut Numbers) -> Value {
    let p50 = 10_000_000 + n.below(5_000_000);
    json!({"min_ns": p50 - n.below(3_000_000), "p50_ns": p50, "p90_ns": p50 + n.below(9_000_000),
        "max_ns": p50 + n.below(90_000_000), "jitter_ns": n.below(3_000_000)})
}

/// As [`crate::tasks::machine::Machine`]: the same in every result.
fn machine() -> Value {
    json!({"cpu": "AMD EPYC 7302P 16-Core Processor", "features": ["aes", "avx", "avx2", "bmi2", "pclmulqdq", "sha_ni", "sse4_2"],
        "logical_cpus": 32, "physical_cores": 16, "quota_cpus": null, "mhz": 2_994.375, "governor": "performance",
        "thermal_throttles": 0, "virtual_machine": false})
}

fn load(n: &mut Numbers) -> Value {
    json!({"one_minute": n.below(3_200) as f64 / 100.0, "runnable": n.below(32)})
}

fn public_ip(n: &mut Numbers) -> Value {
    let observed = ["stun1.example.net:3478", "stun2.example.net:3478"]
        .map(|server| json!({"server": server, "address": format!("198.51.100.{}", n.below(250)), "error": null}));
    json!({"198.51.100.7/24": {"state": "valid", "reason": "", "cause": "", "observed": observed, "leader": 11}})
}

fn cpu_benchmark(n: &mut Numbers) -> Value {
    json!({"single": n.below(1 << 40) as f64 / 1e9, "multi": n.below(1 << 40) as f64 / 1e9, "threads": 8, "workloads": n.below(4),
        "kernel": "pclmulqdq", "multi_mean": n.below(1 << 40) as f64 / 1e9, "contention": n.below(1 << 40) as f64 / 1e12,
        "load_before": load(n), "load_after": load(n), "steal_ppm": n.below(9_000), "machine": machine(), "build": "release"})
}

/// Two lists that are empty where all is well.
fn healthcheck(n: &mut Numbers) -> Value {
    let down = "api.example.net: connection refused";
    json!({"cache": [], "network": if n.below(20) == 0 { vec![down] } else { Vec::new() }})
}

fn iperf(n: &mut Numbers) -> Value {
    let mut float = |bound: u64| n.below(bound << 20) as f64 / f64::from(1 << 20);
    let mut cpu = || {
        json!({"host_total": float(100), "host_user": float(100), "host_system": float(100), "remote_total": float(100),
            "remote_user": float(100), "remote_system": float(100)})
    };
    let cpus: Vec<Value> = (0..12).map(|_| cpu()).collect();
    let mut flow = |at: usize| {
        json!({"bits_per_second": float(10_000_000_000), "sent_bits_per_second": float(10_000_000_000), "seconds": float(11),
            "bytes": float(12_500_000_000).floor() as u64, "retransmits": float(900).floor() as u64, "jitter_ms": float(3),
            "lost_packets": 0, "packets": float(9_000).floor() as u64, "loss_percent": float(2), "bottleneck": null,
            "cpu": cpus[at]})
    };
    let flows: Vec<Value> = (0..8).map(&mut flow).collect();
    let mut row = |at: usize, test_type: &str| {
        json!({"upload_speed": float(10_000_000_000), "download_speed": float(10_000_000_000),
            "server_host": "node-7.example.net", "server_ip": "203.0.113.17", "server_port": 5201, "node_id": 11,
            "node_ip": "198.51.100.7", "test_type": test_type, "error": "", "cpu_report": cpus[8 + at], "status": "ok",
            "target": "node-7.example.net:5201", "upload": flows[2 * at], "download": flows[2 * at + 1], "failures": []})
    };
    json!([row(0, "tcp"), row(1, "udp"), row(2, "tcp"), row(3, "udp")])
}

fn cpu_suite(n: &mut Numbers) -> Value {
    let kinds = ["integer", "float", "hash", "crypto", "memory_bandwidth", "memory_latency"];
    json!({"score": n.below(1 << 40) as f64 / 1e9, "kernels": kinds.map(|kind| json!({"kernel": kind, "single": distribution(n),
        "all": distribution(n)})), "load_before": load(n), "load_after": load(n), "machine": machine(), "build": "release"})
}

fn reachability(n: &mut Numbers) -> Value {
    let paths = [("tcp", "ip4"), ("quic", "ip4"), ("tcp", "ip6"), ("quic", "ip6")];
    let addresses = paths.map(|(transport, family)| {
        json!({"address": "/ip4/198.51.100.7/tcp/4001", "family": family, "transport": transport, "reachable": true,
            "handshake_ns": n.below(90_000_000), "reasons": []})
    });
    let helpers = ["https://node-7.example.net:8090", "https://node-9.example.net:8090"].map(|url| {
        json!({"url": url, "node": "12D3KooWByByByByByByByByByByByByByByByByByByByByByBy", "seen_from": "198.51.100.7", "error": null})
    });
    json!({"addresses": addresses, "kinds": {"ip4": true, "ip6": true, "tcp": true, "quic": true}, "helpers": helpers})
}

fn disk(n: &mut Numbers) -> Value {
    json!({"sync_p50_ns": n.below(9_000_000), "sync_p99_ns": n.below(90_000_000), "sync_max_ns": n.below(900_000_000), "syncs": 200,
        "write_mb_per_second": n.below(1 << 31) as f64 / 1e6, "read_mb_per_second": n.below(1 << 31) as f64 / 1e6,
        "file_bytes": 268_435_456, "direct": true, "free_bytes": n.below(1 << 40), "total_bytes": 1u64 << 40,
        "free_inodes": n.below(1 << 26), "days_to_full": {"days": n.below(1 << 40) as f64 / 1e9, "reason": null,
        "free_bytes_per_day": n.signed(1 << 30), "points": 24}, "smart": {"device": "/dev/nvme0n1",
        "model": "SAMSUNG MZVL2512HCJQ", "healthy": true, "temperature_c": 30 + n.below(9)}})
}

fn latency(n: &mut Numbers) -> Value {
    let targets = ["node-7.example.net:4001", "node-8.example.net:4001", "node-9.example.net:4001"].map(|target| {
        json!({"target": target, "address": "203.0.113.17:4001", "dns_ns": n.below(9_000_000), "n": 10, "lost": n.below(2),
            "latency": distribution(n), "connect": distribution(n), "error": null})
    });
    json!(targets)
}

fn clock(n: &mut Numbers) -> Value {
    let servers = ["ntp1.example.net", "ntp2.example.net", "ntp3.example.net"].map(|server| {
        json!({"server": server, "offset_ns": n.signed(90_000_000), "delay_ns": n.below(90_000_000), "stratum": 2, "error": null})
    });
    json!({"state": "in_sync", "offset_ns": n.signed(90_000_000), "answered": 3, "agreed": 3, "quorum": 2, "servers": servers})
}

/// A share or rate with as many digits as there are.
fn rate(n: &mut Numbers) -> f64 {
    n.below(100_000_000) as f64 / 997.0
}

/// As [`crate::tasks::host`] and [`crate::tasks::process`] have them: the same four groups.
fn usage(n: &mut Numbers) -> [Value; 4] {
    [
        json!({"active_jobs": {"process_count": n.below(400), "thread_count": n.below(4_000)}, "interrupt_time_percent": rate(n),
            "privileged_time_percent": rate(n), "processor_time_percent": rate(n), "user_time_percent": rate(n)}),
        json!({"total_physical_memory_bytes": 32u64 << 30, "free_memory_bytes": n.below(32 << 30), "page_faults_per_second": rate(n),
            "page_reads_per_second": rate(n), "page_writes_per_second": rate(n), "pages_output_per_second": rate(n),
            "pool_non_paged_bytes": n.below(1 << 30), "pool_paged_bytes": n.below(1 << 30)}),
        json!({"disk_free_percent": rate(n), "disk_free_bytes": n.below(1 << 40), "disk_reads_per_second": rate(n),
            "disk_writes_per_second": rate(n), "disk_read_bytes_per_second": rate(n), "disk_write_bytes_per_second": rate(n),
            "disk_transfers_per_second": rate(n)}),
        json!({"output_queue_length_bytes": n.below(9_000), "packets_outbound_errors": 0, "packets_received_errors": n.below(9),
            "kilobytes_received_per_second": rate(n), "kilobytes_sent_per_second": rate(n)}),
    ]
}

fn host(n: &mut Numbers) -> Value {
    let [cpu, mem, hdd, net] = usage(n);
    json!({"at_ms": 1_767_225_600_000 + n.below(1 << 34), "period_s": 1.0 + n.below(9_000_000) as f64 / 1e9, "cpu": cpu, "mem": mem,
        "hdd": hdd, "net": net, "summary": {"cpu_percent": (0..8).map(|_| rate(n)).collect::<Vec<_>>(), "gpu_percent": [],
        "mem_percent": rate(n), "hdd_percent": rate(n), "net": {"egress_bits_per_second": n.below(1 << 30),
        "ingress_bits_per_second": n.below(1 << 30), "latency_ns": n.below(90_000_000)}}})
}

fn process(n: &mut Numbers) -> Value {
    let [cpu, mem, hdd, net] = usage(n);
    json!({"pid": 4_211, "name": "peermark", "at_ms": 1_767_225_600_000 + n.below(1 << 34),
        "period_s": 1.0 + n.below(9_000_000) as f64 / 1e9, "cpu": cpu, "mem": mem, "hdd": hdd, "net": net,
        "resident_bytes": n.below(1 << 30), "private_bytes": n.below(1 << 30), "swap_bytes": 0, "open_files": n.below(900),
        "open_files_limit": 1_048_576})
}

fn node_self_test(n: &mut Numbers) -> Value {
    let mut step = |bound: u64| json!({"ns": n.below(bound), "reason": null});
    let steps: Vec<Value> = (0..7).map(|_| step(900_000_000)).collect();
    json!({"api": "http://127.0.0.1:8080", "bytes": 65_536,
        "cid": format!("zDvZRwzm{:016x}{:016x}", n.below(u64::MAX), n.below(u64::MAX)), "put": steps[0], "get": steps[1],
        "exists": steps[2], "get_network": steps[3], "provide": steps[4], "find": steps[5], "delete": steps[6]})
}
