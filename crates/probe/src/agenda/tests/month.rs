//! Thirty days of the five tasks of zos on 200 nodes.

use super::run::{Runs, SteppedClock, takes};
use super::*;

const NODES: usize = 200;
const DAYS: u32 = 30;

/// Name, expression, jitter in seconds, classes, seconds that a run takes. The first four are zos's, the fifth stands for its fifth,
/// which starts virtual machines.
const TASKS: [(&str, &str, u64, Classes, u64); 5] = [
    ("public-ip-validation", "0 0 */6 * * *", 600, Classes::NONE, 20),
    ("cpu-benchmark", "0 0 */6 * * *", 0, Classes::CPU, 30),
    ("healthcheck", "0 */15 * * * *", 0, Classes::NONE, 2),
    ("iperf", "0 0 */6 * * *", 1_200, Classes::NETWORK, 90),
    ("disk", "0 30 */6 * * *", 600, Classes::DISK, 60),
];

fn plans() -> Vec<Plan> {
    let plan = |(name, cron, jitter_s, needs, _): (&str, &str, u64, Classes, u64)| Plan {
        jitter: Duration::from_secs(jitter_s),
        needs,
        ..fresh(name, cron)
    };
    TASKS.map(plan).into()
}

/// Per window of a minute, the most nodes that began `plan` in it, of all windows after the first day.
fn busiest(begins: &[Vec<u64>]) -> usize {
    let mut all: Vec<u64> = begins.iter().flatten().copied().filter(|at_s| *at_s > 86_400).collect();
    all.sort_unstable();
    (0..all.len()).map(|first| all[first..].iter().take_while(|at_s| **at_s < all[first] + 60).count()).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_nodes_do_not_start_together() {
    let nodes: Vec<Runs> = (0..NODES)
        .map(|node| {
            let clock = SteppedClock::new(MIDNIGHT_MS + 60_000);
            let options = AgendaOptions {
                node_id: format!("node-{node}"),
                seed: Seed(node as u64),
                // No step is looked for here, and a month has 518 million seconds of nodes.
                look_every: HOUR,
                ..options(&clock)
            };
            Runs::start_with(plans(), options, clock, |job| takes(Duration::from_secs(TASKS[job.plan].4)))
        })
        .collect();
    nodes[0].until(DAYS * 24 * HOUR).await;
    for (plan, (name, _, jitter_s, ..)) in TASKS.into_iter().enumerate() {
        let begins: Vec<Vec<u64>> = nodes.iter().map(|node| node.begins_s(plan)).collect();
        let per_day = if name == "healthcheck" { 96 } else { 4 };
        for begins in &begins {
            assert_eq!(begins[0], 60, "{name} at the start");
            assert_eq!(begins.len(), 1 + 30 * per_day - if begins.len() == 30 * per_day { 1 } else { 0 }, "{name}");
        }
        if jitter_s == 0 {
            continue;
        }
        // Evenly over the jitter 200 nodes are 10 a minute for 20 minutes, 20 for 10. Phase and random part make a sum of two: up to
        // twice that in the middle, and as much again by chance, in the worst of 3,500 minutes.
        let even = NODES * 60 / jitter_s as usize;
        let busiest = busiest(&begins);
        assert!(busiest < even * 4, "{name}: {busiest} of {NODES} within a minute");
        spread_is_the_jitter(&begins, jitter_s, name);
    }
    for node in &nodes {
        no_overlap(node);
    }
}

/// Over the fleet, lateness fills the jitter from end to end and never leaves it.
fn spread_is_the_jitter(begins: &[Vec<u64>], jitter_s: u64, name: &str) {
    let base = if name == "disk" { 1_800 } else { 0 };
    let late = |at_s: &u64| (*at_s - base) % 21_600;
    let all: Vec<u64> = begins.iter().flat_map(|begins| &begins[1..]).map(late).collect();
    let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
    assert!(most < jitter_s && least < jitter_s / 10 && most > jitter_s * 9 / 10, "{name}: {least}..{most}");
    for begins in begins {
        // On one node the phase is fixed: it stays within half of the jitter.
        let own: Vec<u64> = begins[1..].iter().map(late).collect();
        let span = own.iter().max().unwrap() - own.iter().min().unwrap();
        assert!(span <= jitter_s / 2, "{name}: {span}");
    }
}

fn no_overlap(node: &Runs) {
    let seen = node.seen();
    for plan in 0..TASKS.len() {
        let runs: Vec<_> = seen.iter().filter(|seen| seen.job.plan == plan).collect();
        for pair in runs.windows(2) {
            assert!(pair[0].end.is_some_and(|end| end.ended_ns <= pair[1].at_ns), "{pair:?}");
        }
        assert_eq!(node.handle.counts(plan).dropped, 0);
    }
}
