//! A phase of dissemination: datasets on a few nodes, fetched through all others at once.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peermark_core::EventKind;
use rand::Rng;

use super::{MAX_PREPARING, PREPARING, Run, Runner, outcomes};
use crate::executor::{ExecuteError, Limits};
use crate::load::LoadError;
use crate::load::outcome::{Note, OperationOutcome};
use crate::load::plan::Phase;
use crate::schedule::Schedule;
use crate::workload::{Content, ListDriver, Op, Seeded, Task, Then};

impl<F: FnMut(EventKind) + Send> Runner<F> {
    pub(super) async fn run_dissemination(
        &mut self,
        phase: &Phase,
        seeders: u32,
        rounds: u32,
        every: Duration,
    ) -> Result<Vec<OperationOutcome>, LoadError> {
        let (datasets, failed) = self.seed_datasets(phase, seeders, rounds).await?;
        let mut notes = Vec::new();
        if failed > 0 {
            notes.push(Note::NoStock { failed });
        }
        let nodes = self.worker.nodes();
        let leechers = u32::try_from(nodes).unwrap_or(u32::MAX).saturating_sub(seeders);
        let tasks: VecDeque<Task> = datasets
            .iter()
            .flat_map(|dataset| {
                let is_leecher = |node: &usize| !dataset.seeders.contains(node);
                let content = &dataset.content;
                (0..nodes).filter(is_leecher).map(move |node| Task::Fetch { node, content: Arc::clone(content) })
            })
            .collect();
        self.announce(phase, None);
        let schedule = Schedule::Bursts {
            size: NonZeroU32::new(leechers).unwrap_or(NonZeroU32::MIN),
            every,
            rounds: NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN),
        };
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: None,
            operations: Some(tasks.len() as u64),
            timeout: phase.timeout,
            max_in_flight: self.in_flight,
        };
        let run = Run { phase: &phase.name, schedule, limits, is_measured: true };
        let mut driver = ListDriver { worker: self.worker.clone(), op: Op::Disseminate, tasks };
        let done = self.execute(run, &mut driver).await?;
        Ok(outcomes(phase, &[(Op::Disseminate, 1)], schedule, None, done, notes))
    }

    /// Uploads each dataset to its seeders. A dataset that not all of them took is left out; returns how many uploads failed.
    async fn seed_datasets(
        &mut self,
        phase: &Phase,
        seeders: u32,
        rounds: u32,
    ) -> Result<(Vec<Dataset>, u64), ExecuteError> {
        let mut stream = self.seed().stream_at("datasets", self.executions);
        let seeded: Seeded = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = VecDeque::new();
        let mut wanted = Vec::new();
        for _ in 0..rounds {
            let payload = self.payloads.next(phase.sizes.draw(&mut stream));
            // A random run of neighbours: every node is a seeder equally often, whatever its number.
            let first = stream.next_u64() as usize % self.worker.nodes();
            let nodes: Vec<usize> = (0..seeders as usize).map(|step| (first + step) % self.worker.nodes()).collect();
            let upload = |node| Task::Upload { node, payload, then: Then::Seed(Arc::clone(&seeded)), body: None };
            tasks.extend(nodes.iter().copied().map(upload));
            wanted.push((payload.id, nodes));
        }
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: Some(MAX_PREPARING),
            operations: None,
            timeout: phase.timeout,
            max_in_flight: PREPARING.get() as usize,
        };
        let schedule = Schedule::Closed { concurrency: PREPARING };
        let run = Run { phase: &phase.name, schedule, limits, is_measured: false };
        let mut driver = ListDriver { worker: self.worker.clone(), op: Op::Upload, tasks };
        let (_, records) = self.execute(run, &mut driver).await?;
        let failed = records.iter().map(|record| record.censored).sum();
        let seeded = seeded.lock().unwrap_or_else(PoisonError::into_inner);
        let datasets = wanted.into_iter().filter_map(|(id, seeders)| {
            let copies: Vec<&Content> = seeded.iter().filter(|content| content.payload.id == id).collect();
            let content = copies.first().filter(|_| copies.len() == seeders.len())?;
            Some(Dataset { content: Arc::new((*content).clone()), seeders })
        });
        Ok((datasets.collect(), failed))
    }
}

/// Content on several nodes.
struct Dataset {
    content: Arc<Content>,
    seeders: Vec<usize>,
}
