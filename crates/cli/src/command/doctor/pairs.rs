//! The comparison held against itself: arms of one binary, with real runs, called better or worse how often?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use peermark_core::Seed;
use peermark_lab::compare::{compare, default_min_effect};
use peermark_lab::result::RunResult;
use peermark_lab::run::{Afterwards, RunOptions, run};
use peermark_lab::scenario::{HumanDuration, Workload};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::MAX_FALSE_ALARMS;
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

/// Runs per arm: the fewest that a verdict is given for.
const RUNS_PER_ARM: usize = 3;

/// Small runs at a fixed rate, so that forty pairs fit into half an hour.
const NODES: u32 = 3;
const RATE: f64 = 60.0;
const LOAD: HumanDuration = HumanDuration::from_secs(2);

/// Runs the pairs, the runs of both arms in turn, and prints per metric how often identical arms were told apart.
pub(super) fn compare_runs(seed: u64, pairs: u32, format: Format) -> Result<bool, ExpectedError> {
    let scratch = std::env::temp_dir().join(format!("peermark-pairs-{}", std::process::id()));
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let mut alarms: BTreeMap<String, u32> = BTreeMap::new();
    for pair in 0..pairs {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for number in 0..RUNS_PER_ARM * 2 {
            let seed = Seed(seed + u64::from(pair) * 100 + number as u64);
            let result = runtime.block_on(one(&scratch, &program, seed))?;
            if number % 2 == 0 { a.push(result) } else { b.push(result) }
        }
        let compared =
            compare(&a, &b, default_min_effect(), false).map_err(|error| ExpectedError::Runs(error.to_string()))?;
        for metric in compared.metrics {
            let told_apart = matches!(metric.verdict, "better" | "worse");
            *alarms.entry(metric.metric).or_default() += u32::from(told_apart);
        }
        output::talk(&format!("pair {} of {pairs}: {} alarms so far", pair + 1, alarms.values().sum::<u32>()));
        // Only the verdicts are of use.
        drop(std::fs::remove_dir_all(&scratch));
    }
    print(&alarms, pairs, format)
}

async fn one(scratch: &Path, program: &Path, seed: Seed) -> Result<RunResult, ExpectedError> {
    let mut scenario = Workload::Fetch.scenario();
    scenario.resize(NODES);
    scenario.duration = LOAD;
    scenario.phases.iter_mut().for_each(|phase| phase.rate = Some(RATE));
    let options = RunOptions {
        scenario,
        seed,
        run_id: format!("pair-{seed}"),
        out: scratch.to_owned(),
        store: scratch.join("pairs.db"),
        program: program.to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("PEERMARK_COMMIT").into(),
        afterwards: Afterwards::Stop,
        samples_cap_bytes: 16 << 20,
        urls: Vec::new(),
    };
    std::fs::create_dir_all(scratch).map_err(|source| ExpectedError::Read { path: PathBuf::from(scratch), source })?;
    let (result, _) = run(options, |_| (), CancellationToken::new()).await?;
    Ok(result)
}

fn print(alarms: &BTreeMap<String, u32>, pairs: u32, format: Format) -> Result<bool, ExpectedError> {
    let rate = |count: u32| f64::from(count) / f64::from(pairs);
    let ok = alarms.values().all(|count| rate(*count) <= MAX_FALSE_ALARMS);
    let text = match format {
        Format::Json => {
            let rows: Vec<_> = alarms
                .iter()
                .map(|(metric, count)| json!({ "metric": metric, "false_alarm_ratio": rate(*count) }))
                .collect();
            json!({ "schema": "peermark.doctor/1", "check": "compare", "pairs": pairs, "runs_per_arm": RUNS_PER_ARM, "rows": rows, "ok": ok })
                .to_string()
        }
        Format::Text => {
            let head =
                format!("{pairs} pairs of identical arms, {RUNS_PER_ARM} runs an arm; told apart (at most 5 %):");
            let line = |(metric, count): (&String, &u32)| {
                format!("{metric:<28} {count:>3} of {pairs}  {:>5.1} %", rate(*count) * 100.0)
            };
            std::iter::once(head).chain(alarms.iter().map(line)).collect::<Vec<_>>().join("\n")
        }
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ok)
}
