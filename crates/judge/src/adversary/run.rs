//! Trials of one setting.

use peermark_core::Seed;

use super::metric::{Figures, Outcome};
use super::report::Reporter;
use super::{Attack, Contender, Findings, Kind, Noise, Round, World};

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// How true rates are drawn.
    pub kind: Kind,
    /// What liars do.
    pub attack: Attack,
    /// Share of the pool that lies, 0 to 1; [`Attack::Takeover`] has its own.
    pub liar_share: f64,
    /// Attesters drawn for each hoster in each epoch.
    pub committee: u32,
    /// Attesters in the pool.
    pub attesters: u32,
    /// Hosters.
    pub hosters: u32,
    /// Epochs, at least 1; figures are about the last.
    pub epochs: u32,
    /// Honest noise.
    pub noise: Noise,
}

impl Setting {
    /// The setting of the gates: 31 of 120 attesters about each of 30 hosters, 20 epochs, one third of liars.
    pub fn usual(kind: Kind, attack: Attack) -> Self {
        Self {
            kind,
            attack,
            liar_share: 1.0 / 3.0,
            committee: 31,
            attesters: 120,
            hosters: 30,
            epochs: 20,
            noise: Noise::default(),
        }
    }

    /// Share of the pool that really lies.
    pub fn share(&self) -> f64 {
        self.attack.fixed_share().unwrap_or(self.liar_share)
    }
}

/// How one estimator did in one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was simulated.
    pub setting: Setting,
    /// Which estimator.
    pub contender: Contender,
    /// Independent trials.
    pub trials: u32,
    /// What came out.
    pub figures: Figures,
}

/// Runs `trials` independent trials of a setting on `threads` threads, each estimator on the same reports. The same seed gives the
/// same rows on any number of threads.
pub fn measure(setting: &Setting, contenders: &[Contender], trials: u32, seed: Seed, threads: usize) -> Vec<Row> {
    let threads = threads.clamp(1, trials.max(1) as usize) as u32;
    let share = |of: u32| -> Vec<Vec<Outcome>> {
        (of..trials).step_by(threads as usize).map(|trial| run_trial(setting, contenders, seed, trial)).collect()
    };
    let mut by_thread: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|of| scope.spawn(move || share(of))).collect();
        started.into_iter().map(join).map(Vec::into_iter).collect()
    });
    // Back into the order of the trials: sums of floats depend on it.
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::with_capacity(trials as usize); contenders.len()];
    for trial in 0..trials {
        let of_trial = by_thread[(trial % threads) as usize].next().unwrap_or_default();
        outcomes.iter_mut().zip(of_trial).for_each(|(all, outcome)| all.push(outcome));
    }
    let row = |(&contender, outcomes): (&Contender, &Vec<Outcome>)| Row {
        setting: *setting,
        contender,
        trials,
        figures: Figures::of(outcomes),
    };
    contenders.iter().zip(&outcomes).map(row).collect()
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One outcome per contender.
fn run_trial(setting: &Setting, contenders: &[Contender], seed: Seed, trial: u32) -> Vec<Outcome> {
    let world = World::draw(setting, seed, u64::from(trial));
    let mut reporter = Reporter::new(setting, &world, seed, u64::from(trial));
    let mut running: Vec<_> = contenders
        .iter()
        .map(|contender| (contender.start(), vec![None; world.attesters()], Findings::default()))
        .collect();
    for epoch in 0..setting.epochs {
        let observations = reporter.epoch(epoch);
        let round = Round {
            epoch,
            observations: &observations,
            hosters: setting.hosters,
            attesters: setting.attesters,
            groups: &world.groups,
            threshold_mbit: world.threshold_mbit,
        };
        for (estimator, first_flagged, last) in &mut running {
            *last = estimator.round(&round);
            for &attester in &last.flagged {
                if let Some(first) = first_flagged.get_mut(attester as usize) {
                    first.get_or_insert(epoch);
                }
            }
        }
    }
    running.iter().map(|(_, first_flagged, last)| Outcome::of(&world, last, first_flagged)).collect()
}
