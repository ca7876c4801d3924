//! What the facts mean. The limits stand here and nowhere else.

use super::{Check, CheckStanding, Facts, Fix};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Below this a database that grows stops soon.
const LEAST_FREE_BYTES: u64 = GIB;
const LEAST_FREE_SHARE: f64 = 0.05;

/// A spinning disk makes a write durable in about 10 ms; what is slower holds up every acknowledged upload.
const SLOW_FSYNC_NS: u64 = 20_000_000;

const LEAST_MEMORY_SHARE: f64 = 0.08;
const MOST_PRESSURE: f64 = 0.10;

/// A node with a few hundred connections and a database.
const LEAST_FILES: u64 = 4096;

const MOST_STEAL: f64 = 0.05;

/// As `docs/METHODOLOGY.md` says: above this a run is CPU-bound.
const MOST_BUSY: f64 = 0.85;

const LEAST_SOMAXCONN: u64 = 1024;

/// What QUIC needs for one fast connection: 100 Mbit/s over 200 ms.
const LEAST_BUFFER: u64 = 2_500_000;

/// Routing tables below this do not find much.
const LEAST_PEERS: usize = 4;

const MOST_FULL: f64 = 0.95;

/// Every check, in the order in which they are listed.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks =
        vec![clock(facts), space(facts), fsync(facts), memory(facts), files(facts), cpu(facts), governor(facts)];
    checks.extend([queue(facts), buffers(facts)]);
    if let Some(node) = &facts.node {
        checks.extend(node_checks(node));
    }
    checks
}

fn good(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, found: found.into(), standing: CheckStanding::Good }
}

fn unknown(name: &'static str) -> Check {
    Check { name, found: "the system does not tell".into(), standing: CheckStanding::Unknown }
}

fn bad(
    name: &'static str,
    found: impl Into<String>,
    severity: u8,
    why: &'static str,
    command: impl Into<String>,
) -> Check {
    let fix = Fix { severity, why, command: command.into() };
    Check { name, found: found.into(), standing: CheckStanding::Bad(fix) }
}

fn clock(facts: &Facts) -> Check {
    const NAME: &str = "clock";
    match facts.clock_synchronised {
        Some(true) => good(NAME, "kept by a time service"),
        Some(false) => bad(
            NAME,
            "no time service keeps it",
            70,
            "certificates, schedules and reports of other machines do not fit a clock that drifts",
            "timedatectl set-ntp true",
        ),
        None => unknown(NAME),
    }
}

fn space(facts: &Facts) -> Check {
    const NAME: &str = "disk space";
    let (Some(free), Some(all)) = (facts.disk_free_bytes, facts.disk_bytes) else { return unknown(NAME) };
    let share = free as f64 / all.max(1) as f64;
    let found = format!("{:.1} GiB of {:.1} GiB free", free as f64 / GIB as f64, all as f64 / GIB as f64);
    if free < LEAST_FREE_BYTES || share < LEAST_FREE_SHARE {
        let path = facts.directory.display();
        let command =
            format!("du --one-file-system --max-depth=2 --human-readable '{path}' | sort --human-numeric-sort | tail");
        return bad(NAME, found, 95, "a full disk stops uploads and can damage databases", command);
    }
    good(NAME, found)
}

fn fsync(facts: &Facts) -> Check {
    const NAME: &str = "durable writes";
    match &facts.fsync_ns {
        None => unknown(NAME),
        Some(Ok(ns)) => {
            let found = format!("{:.2} ms for 4 KiB (median)", *ns as f64 / 1e6);
            if *ns <= SLOW_FSYNC_NS {
                return good(NAME, found);
            }
            let why = "every acknowledged upload waits for the disk";
            bad(NAME, found, 60, why, "iostat -x 1 5   # another program may keep the disk busy")
        }
        Some(Err(error)) => {
            let command = format!("ls -ld '{}' && mount | grep ' ro[,)]'", facts.directory.display());
            bad(NAME, error.clone(), 90, "nothing can be stored where nothing can be written", command)
        }
    }
}

fn memory(facts: &Facts) -> Check {
    const NAME: &str = "memory";
    let (Some(available), Some(all)) = (facts.memory_available_bytes, facts.memory_bytes) else { return unknown(NAME) };
    let pressure = facts.memory_pressure.unwrap_or(0.0);
    let found = format!(
        "{} MiB of {} MiB available, tasks wait {:.0} % of the time",
        available / MIB,
        all / MIB,
        pressure * 100.0
    );
    if (available as f64) < LEAST_MEMORY_SHARE * all as f64 || pressure > MOST_PRESSURE {
        let why = "the kernel ends processes where memory runs out, and slows all of them before that";
        return bad(NAME, found, 85, why, "ps -eo pid,rss,comm --sort=-rss | head");
    }
    good(NAME, found)
}

fn files(facts: &Facts) -> Check {
    const NAME: &str = "open files";
    match facts.open_files {
        None => unknown(NAME),
        Some(u64::MAX) => good(NAME, "no limit"),
        Some(limit) if limit >= LEAST_FILES => good(NAME, format!("{limit} may be open")),
        Some(limit) => bad(
            NAME,
            format!("{limit} may be open"),
            55,
            "every connection is a file: peers are turned away at the limit",
            "ulimit -n 16384   # for a service: systemctl edit, LimitNOFILE=16384",
        ),
    }
}

fn cpu(facts: &Facts) -> Check {
    const NAME: &str = "CPU";
    let throttled = facts.throttled.unwrap_or(0);
    let found = format!(
        "{:.0} % busy, {:.0} % taken by other machines of the host, throttled {throttled} times",
        facts.cpu_busy * 100.0,
        facts.cpu_steal * 100.0
    );
    match () {
        () if throttled > 0 => bad(
            NAME,
            found,
            65,
            "a hot CPU slows down: latencies are the fan's",
            "sensors   # clean the fan, or move the machine",
        ),
        () if facts.cpu_steal > MOST_STEAL => bad(
            NAME,
            found,
            58,
            "the host is overbooked: latencies are its other guests'",
            "top -b -n 1 | head -3   # the field st; ask the provider",
        ),
        () if facts.cpu_busy > MOST_BUSY => bad(
            NAME,
            found,
            62,
            "whatever is measured now waits for the CPU",
            "ps -eo pid,pcpu,comm --sort=-pcpu | head",
        ),
        () => good(NAME, found),
    }
}

fn governor(facts: &Facts) -> Check {
    const NAME: &str = "CPU frequency";
    match facts.governor.as_deref() {
        None => unknown(NAME),
        Some("powersave" | "conservative") => bad(
            NAME,
            facts.governor.clone().unwrap_or_default(),
            30,
            "the CPU may be slow when work begins: short operations look longer than they are",
            "cpupower frequency-set --governor performance",
        ),
        Some(other) => good(NAME, other),
    }
}

fn queue(facts: &Facts) -> Check {
    const NAME: &str = "waiting connections";
    match facts.somaxconn {
        None => unknown(NAME),
        Some(most) if most >= LEAST_SOMAXCONN => good(NAME, format!("up to {most}")),
        Some(most) => bad(
            NAME,
            format!("up to {most}"),
            20,
            "connections that come at once are dropped",
            format!("sysctl -w net.core.somaxconn={}", 4 * LEAST_SOMAXCONN),
        ),
    }
}

fn buffers(facts: &Facts) -> Check {
    const NAME: &str = "UDP buffers";
    let (Some(receive), Some(send)) = (facts.rmem_max, facts.wmem_max) else { return unknown(NAME) };
    let found = format!("{receive} bytes to receive, {send} to send");
    if receive.min(send) >= LEAST_BUFFER {
        return good(NAME, found);
    }
    let command = "sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000";
    bad(NAME, found, 40, "QUIC loses packets on fast links where the buffers are small", command)
}

fn node_checks(node: &super::NodeFacts) -> Vec<Check> {
    let url = node.url.trim_end_matches('/');
    if let Some(error) = node.error.as_ref().filter(|_| node.wants_token) {
        let command = format!("peermark doctor --node-api '{url}' --token-file FILE   # with the node's token");
        return vec![bad("node", error.clone(), 100, "the node asks for a token that it was not given", command)];
    }
    if let Some(error) = &node.error {
        let command = format!("curl --fail --show-error --max-time 5 '{url}/health'   # is it running?");
        return vec![bad("node", error.clone(), 100, "the node does not answer", command)];
    }
    let peers = format!("{} in the routing table, {} addresses announced", node.routing_peers, node.announced);
    let mut checks = vec![if node.routing_peers < LEAST_PEERS {
        let why = "a node that knows nobody finds nothing and is not found";
        let command = "peermark node run --bootstrap MULTIADDR   # of a peer that is up";
        bad("node's peers", peers, 80, why, command)
    } else {
        good("node's peers", peers)
    }];
    if let (Some(quota), Some(used)) = (node.quota_bytes, node.used_bytes) {
        let found = format!("{} of {} MiB used", used / MIB, quota / MIB);
        checks.push(if used as f64 > MOST_FULL * quota as f64 {
            let command = format!("peermark node run --quota {}GiB   # or delete datasets", (2 * quota).div_ceil(GIB));
            bad("node's quota", found, 75, "the node refuses uploads when its quota is used up", command)
        } else {
            good("node's quota", found)
        });
    }
    checks
}
