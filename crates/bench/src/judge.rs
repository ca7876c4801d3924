//! `judge.*`: a million reports to verdicts on one core.

mod regions;
mod world;

use std::time::Duration;

use peermark_core::{Clock, Seed};
use peermark_judge::Fixed;
use peermark_judge::robust::{Epoch, Evaluation, History, Observation, Settings, evaluate};
use peermark_judge::verdict::{ShareFinding, Side, Tally, Terms, Verdict, level, share};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::ProcessSampler;
use world::World;

use crate::BenchError;
use crate::figure::{Figure, Hold, median};

/// Rounds, each with the estimate and the reference in turn.
const ROUNDS: usize = 3;

/// Longest time for a million reports.
const LONGEST: Duration = Duration::from_secs(10);

/// Most memory that the process may ever have held.
const MOST_BYTES: f64 = 1_073_741_824.0;

/// What is promised of every hoster: 20 of 21 probes within the limit, judged from at least six groups.
const TERMS: Terms = Terms { guarantee_ppm: 950_000, minimum_groups: 6, icc_floor_ppm: 0 };

/// Everything that is stated about one epoch.
#[derive(PartialEq)]
struct Stated {
    evaluation: Evaluation,
    history: History,
    levels: Vec<Verdict>,
    shares: Vec<ShareFinding>,
}

/// A million admitted reports to verdicts, beside a plain median of the same reports; peak memory; identical results for reports in
/// another order; and the match of plans' regions against a million hosters. One thread, nothing else: signatures were checked before.
///
/// # Errors
/// [`BenchError`] where the evidence is refused or the system does not tell how much memory the process holds.
pub fn judge() -> Result<Vec<Figure>, BenchError> {
    let clock = MonotonicClock::new();
    // Forgets the peak of what ran before in this process (proc_pid_clear_refs(5)); where that is refused, the figure is too high.
    let forgotten = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let world = World::new(Seed(7));
    let shuffled = world.shuffled(Seed(8));
    let (mut robust, mut plain, mut equal) = (Vec::new(), Vec::new(), Vec::new());
    let mut first: Option<Stated> = None;
    for round in 0..ROUNDS {
        let reports = if round % 2 == 0 { &world.reports } else { &shuffled };
        let started_ns = clock.now_ns();
        let stated = stated(&world, reports)?;
        robust.push(rate(reports.len(), clock.now_ns() - started_ns));
        let started_ns = clock.now_ns();
        let medians = medians(&world, reports);
        plain.push(rate(reports.len(), clock.now_ns() - started_ns));
        std::hint::black_box(medians);
        match &first {
            Some(first) => equal.push(f64::from(u8::from(*first == stated))),
            None => first = Some(stated),
        }
    }
    let peak = ProcessSampler::start(std::process::id()).and_then(|sampler| sampler.peak_resident_bytes());
    let peak = peak.ok_or_else(|| BenchError::subject("reading the peak memory", "the system does not tell"))?;
    let mut figures = figures(&world, first.as_ref(), [&robust, &plain, &equal], (peak as f64, forgotten));
    figures.extend(regions::region_match_of_a_million());
    Ok(figures)
}

fn figures(
    world: &World,
    first: Option<&Stated>,
    [robust, plain, equal]: [&[f64]; 3],
    (peak, forgotten): (f64, bool),
) -> Vec<Figure> {
    let hold = Hold::AtLeast(1e6 / LONGEST.as_secs_f64());
    let mut speed = Figure::of_values("judge.reports_per_s", "1/s", robust, hold);
    speed.reference = "a plain median per hoster over the same reports".into();
    speed.reference_value = Some(median(plain));
    speed.ratio = Some(median(robust) / median(plain));
    speed.notes.push(world.shape());
    let meets = |verdicts: &dyn Fn(&Stated) -> usize| first.map_or(0, verdicts);
    speed.notes.push(format!(
        "{} of {} levels and {} shares kept, {} groups flagged",
        meets(&|stated| stated.levels.iter().filter(|verdict| **verdict == Verdict::Meets).count()),
        world.hosters,
        meets(&|stated| stated.shares.iter().filter(|found| found.verdict == Verdict::Meets).count()),
        meets(&|stated| stated.evaluation.flags.len()),
    ));
    let mut memory = Figure::of_values("judge.peak_bytes", "bytes", &[peak], Hold::AtMost(MOST_BYTES));
    memory.notes.push("peak resident memory of the whole process, the reports in both orders included".into());
    if !forgotten {
        memory.notes.push("the system does not reset peaks: it may be that of another benchmark".into());
    }
    let mut same = Figure::of_values("judge.permuted_equal", "ratio", equal, Hold::AtLeast(1.0));
    same.notes.push("share of the later rounds, reports shuffled or not, that state exactly what the first did".into());
    vec![speed, memory, same]
}

fn rate(reports: usize, ns: u64) -> f64 {
    reports as f64 * 1e9 / ns.max(1) as f64
}

/// The estimate of every hoster and both kinds of verdict.
fn stated(world: &World, reports: &[(Observation, Tally)]) -> Result<Stated, BenchError> {
    let settings = Settings::default();
    let observations: Vec<Observation> = reports.iter().map(|report| report.0).collect();
    let epoch = Epoch {
        number: 0,
        hosters: world.hosters,
        groups: &world.groups,
        barred: &[],
        exact: true,
        observations: &observations,
    };
    let mut history = History::default();
    let evaluation = evaluate(&mut history, &epoch, &settings)
        .map_err(|error| BenchError::subject("evaluating a million reports", error))?;
    let disputed = evaluation.dispute.is_some();
    let promised = Fixed::log2(world::PROMISED_BITS_PER_S).unwrap_or_default();
    let levels = evaluation
        .hosters
        .iter()
        .map(|hoster| level(hoster.pooled.as_ref(), Side::AtLeast, promised, settings.minimum_groups, disputed))
        .collect();
    // One committee after the other, as its tallies lie in the ledger.
    let mut tallies: Vec<(u32, Tally)> = reports.iter().map(|report| (report.0.hoster, report.1)).collect();
    tallies.sort_unstable();
    let mut committee = Vec::new();
    let counts = |group: u32| evaluation.groups[group as usize].weight_ppm > 0;
    let shares = tallies
        .chunk_by(|one, other| one.0 == other.0)
        .map(|chunk| {
            committee.clear();
            committee.extend(chunk.iter().map(|tally| tally.1));
            share(&committee, counts, &TERMS, disputed)
        })
        .collect();
    Ok(Stated { evaluation, history, levels, shares })
}

/// The plain median of every hoster's reports.
fn medians(world: &World, reports: &[(Observation, Tally)]) -> Vec<Option<Fixed>> {
    let mut values = vec![Vec::new(); world.hosters as usize];
    for (observation, _) in reports {
        values[observation.hoster as usize].push(observation.value);
    }
    let middle = |values: &mut Vec<Fixed>| {
        let middle = values.len().checked_sub(1)? / 2;
        Some(*values.select_nth_unstable(middle).1)
    };
    values.iter_mut().map(middle).collect()
}
