use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::policy::CapacityPolicy;

fn run(n: u64) -> Run {
    Run { cpu_ms: n, rss_peak_bytes: 1_000 * n, net_out_bytes: 100 * n, wall_ms: 10 * n, ..Run::default() }
}

fn policy() -> CapacityPolicy {
    CapacityPolicy::default()
}

fn record(job: JobKind, run: Run) -> CostRecord {
    CostRecord { job, runs: 20, p50: run, p95: run }
}

/// R8, R9, R10, R11, R12: duration and resources of a single job, for every role.
#[test]
fn a_cost_needs_twenty_runs_of_any_role() {
    let runs: Vec<Run> = (1..=20).map(run).collect();
    for job in [
        JobKind::Encode,
        JobKind::AttestContract,
        JobKind::AttestStorage,
        JobKind::AttestPerformance,
        JobKind::HostContract,
        JobKind::Store,
        JobKind::Serve(SwarmSize::UpTo10),
        JobKind::ProveStorage,
        JobKind::AnswerPerformance,
    ] {
        assert_eq!(cost(job, &runs, &policy()), Ok(CostRecord { job, runs: 20, p50: run(10), p95: run(19) }));
    }
    assert_eq!(cost(JobKind::Encode, &runs[1..], &policy()), Err(CostError { runs: 19, needed: 20 }));
}

/// R13: serving is bucketed by the size of the swarm.
#[test]
fn swarms_have_four_sizes() {
    let sizes = [0, 1, 10, 11, 50, 51, u64::MAX].map(SwarmSize::of);
    use SwarmSize::{Nobody, Over50, UpTo10, UpTo50};
    assert_eq!(sizes, [Nobody, UpTo10, UpTo10, UpTo50, UpTo50, Over50, Over50]);
}

/// R14: costs are exported and read back.
#[test]
fn costs_are_exported() {
    let cost = record(JobKind::Serve(SwarmSize::Over50), run(3));
    let text = serde_json::to_string(&cost).unwrap();
    assert!(text.contains(r#""job":{"serve":"over50"}"#), "{text}");
    assert_eq!(serde_json::from_str::<CostRecord>(&text).unwrap(), cost);
}

fn host() -> Host {
    let capacity = Resources { cpu_milli: 4_000, memory_bytes: 1_000_000, net_out_bps: 10_000, ..Resources::default() };
    Host { capacity, idle: Resources { cpu_milli: 400, ..Resources::default() } }
}

fn load(job: JobKind, runs_per_hour: u64) -> Load {
    Load { job, runs_per_hour, storage_bytes: 0 }
}

/// R89, R90: one more job on top of the baseline, and what it does to the jobs already there.
#[test]
fn one_more_job_is_admitted_up_to_eighty_percent() {
    // 3600 runs an hour of one second of processor each: one processor.
    let costs = [record(JobKind::Encode, Run { cpu_ms: 1_000, wall_ms: 1_000, rss_peak_bytes: 1, ..Run::default() })];
    let one = load(JobKind::Encode, 3_600);
    let found = admit(&host(), &[one], one, &costs, &policy());
    assert!(found.admitted);
    assert_eq!(found.before.utilisation_ppm[0], (Resource::Cpu, 350_000));
    assert_eq!(found.after.utilisation_ppm[0], (Resource::Cpu, 600_000));
    assert_eq!(found.slowdown_ppm, Some(1_625_000), "(1 - 0.35) / (1 - 0.6)");
    let found = admit(&host(), &[one, one], one, &costs, &policy());
    assert!(!found.admitted, "85 %");
    assert_eq!(found.after.busiest, Resource::Cpu);
    let found = admit(&host(), &[one, one, one], one, &costs, &policy());
    assert_eq!(found.slowdown_ppm, None, "the queue would grow without end");
    let unknown = admit(&host(), &[], load(JobKind::Store, 1), &costs, &policy());
    assert_eq!((unknown.admitted, unknown.after.unknown), (false, vec![JobKind::Store]));
    let stored = Load { storage_bytes: 5, ..one };
    assert_eq!(admit(&host(), &[], stored, &costs, &policy()).after.busiest, Resource::Storage, "it has none");
}

/// R86: the projected workload follows the trend and not the odd day.
#[test]
fn the_projected_workload_follows_the_trend() {
    let day = 86_400;
    let mut history: Vec<(u64, u64)> = (0..10).map(|at| (at * day, 100 + 10 * at)).collect();
    history[4].1 = 100_000;
    assert_eq!(projected(&history, 5 * day), Some(240));
    assert_eq!(projected(&history[..2], day), None);
    assert_eq!(projected(&[(0, 50), (1, 40), (2, 30)], 100), Some(0), "never below nothing");
    assert_eq!(projected(&[(0, 5), (0, 5), (0, 5)], 9), None, "one moment has no trend");
}

/// R87, R91: what a change of hardware did, and what it would do.
#[test]
fn other_hardware_is_predicted_and_measured() {
    let costs = [record(JobKind::Encode, Run { cpu_ms: 3_400, wall_ms: 1, ..Run::default() })];
    let jobs = [load(JobKind::Encode, 3_600)];
    let mut larger = host();
    larger.capacity.cpu_milli = 8_000;
    let plan = what_if(&host(), &larger, &jobs, &costs, &policy());
    assert_eq!((plan.before.utilisation_ppm[0].1, plan.after.utilisation_ppm[0].1), (950_000, 475_000));
    assert!(plan.enough);
    let (slow, fast) = (record(JobKind::Encode, run(10)), record(JobKind::Encode, run(5)));
    let effect = effect_of_change(&slow, &fast).unwrap();
    assert_eq!((effect.cpu_ppm, effect.disk_read_ppm), (Some(500_000), None), "nothing was read before: no ratio");
    assert_eq!(effect_of_change(&slow, &record(JobKind::Store, run(5))), None);
}

/// R92: the resources that a workload needs are just enough for it.
#[test]
fn needed_resources_are_just_enough() {
    let costs = [record(JobKind::Encode, run(700))];
    let jobs = [load(JobKind::Encode, 777)];
    let (capacity, unknown) = needed(&host().idle, &jobs, &costs, &policy());
    assert_eq!(unknown, []);
    let enough = Host { capacity, ..host() };
    assert!(what_if(&host(), &enough, &jobs, &costs, &policy()).enough);
    let less = Host { capacity: Resources { cpu_milli: capacity.cpu_milli - 1, ..capacity }, ..host() };
    assert!(!what_if(&host(), &less, &jobs, &costs, &policy()).enough);
}

/// R88: the price draws resources in and lets them go, by at most 12.5 % an epoch.
#[test]
fn the_price_moves_towards_seventy_percent() {
    let next = |utilisation| next_price(1_000_000, utilisation, &policy());
    assert_eq!(next(700_000), (1_000_000, Pressure::Stay));
    assert_eq!(next(1_000_000), (1_125_000, Pressure::Join));
    assert_eq!(next(850_000), (1_062_500, Pressure::Join));
    assert_eq!(next(0), (875_000, Pressure::Leave));
    assert_eq!(next_price(1, 0, &policy()), (1, Pressure::Leave));
    assert_eq!(next_price(3, 700_001, &policy()), (4, Pressure::Join), "at least one");
    assert_eq!(next_price(u64::MAX, 1_000_000, &policy()).0, u64::MAX);
}

/// R7: swarm health by anybody, the worst set named.
#[test]
fn swarm_health_names_the_worst_set() {
    let chunks: BTreeSet<u64> = (0..4).collect();
    let hosted = |reachable, chunks: &[u64]| Hosted { reachable, chunks: chunks.iter().copied().collect() };
    let whole = hosted(true, &[0, 1, 2, 3]);
    let healthy = (chunks.clone(), vec![whole.clone(), whole.clone(), whole.clone()]);
    let poor = (chunks, vec![whole.clone(), hosted(true, &[0, 1]), hosted(false, &[0, 1, 2, 3])]);
    let found = swarm_health(&[healthy, poor]);
    assert_eq!((found.sets[0].health_ppm, found.worst), (1_000_000, Some(1)));
    let expected = SetHealth { reachable: 2, retrievable: 4, chunks: 4, min_replicas: 1, health_ppm: 500_000 };
    assert_eq!(found.sets[1], expected);
    assert_eq!(swarm_health(&[]).worst, None);
}

#[test]
fn the_fit_finds_costs_and_never_a_negative_one() {
    let sample = |a: u64, b: u64, used: u64| Sample { counts: vec![a, b], used };
    let exact: Vec<Sample> =
        (0..20).map(|at| (at % 5, at % 7)).map(|(a, b)| sample(a, b, 1_000 + 250 * a + 40 * b)).collect();
    assert_eq!(fit(&exact), Ok(Fit { base: 1_000, costs: vec![250, 40], explained_ppm: Some(1_000_000) }));
    // The second kind seems to give back: its cost is 0, not less.
    let falling: Vec<Sample> =
        (0..20).map(|at| (at % 5, at % 7)).map(|(a, b)| sample(a, b, 1_000 + 250 * a - 40 * b)).collect();
    assert_eq!(fit(&falling).unwrap().costs[1], 0);
    let refused = |samples: &[Sample]| fit(samples).unwrap_err();
    assert_eq!(refused(&exact[..2]), FitError::TooFew { samples: 2, unknowns: 3 });
    assert_eq!(refused(&[]), FitError::TooFew { samples: 0, unknowns: 1 });
    let mut odd = exact.clone();
    odd[3].counts.pop();
    assert_eq!(refused(&odd), FitError::Shape { sample: 3, kinds: 1, expected: 2 });
    odd[3] = sample(0, u64::MAX, 1);
    assert_eq!(refused(&odd), FitError::TooLarge { sample: 3 });
}

proptest! {
    #[test]
    fn no_other_costs_fit_better(rows in prop::collection::vec((0u64..20, 0u64..20, 0u64..10_000), 3..25), a in 0u64..500, b in 0u64..500, base in 0u64..5_000) {
        let samples: Vec<Sample> = rows.iter().map(|(a, b, used)| Sample { counts: vec![*a, *b], used: *used }).collect();
        let found = fit(&samples).unwrap();
        let error = |base: u64, a: u64, b: u64| -> u128 {
            rows.iter().map(|(x, y, used)| (base + a * x + b * y).abs_diff(*used)).map(|off| u128::from(off * off)).sum()
        };
        // The costs are rounded to whole numbers: half a unit of each, at most.
        let slack = rows.iter().map(|(x, y, used)| u128::from((1 + x + y) * (used + 40_000))).sum::<u128>();
        prop_assert!(error(found.base, found.costs[0], found.costs[1]) <= error(base, a, b) + slack);
    }
}
