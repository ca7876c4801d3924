//! Measurements of a user while it is idle: at its registration, when it says that something changed, or when the ledger asks (R15-R21).

use super::super::State;
use super::super::agenda::Task;
use super::cycle::Begun;
use super::{Cycle, Subject};
use crate::Id;
use crate::item::User;
use crate::item::hosting::{PerformanceChallenge, RawReason, RawRequest};
use crate::item::record::{Body, RawBenchmark, RawShort, Record, Spread};
use crate::outcome::Refusal;
use crate::select::Terms;
use crate::statement;

/// Weight of these tasks in the queue: after everything that is hosted.
const RAW_IMPORTANCE: u32 = 0;

impl State {
    /// Asks for a measurement of an idle user, unless one waits or is under way, or the last one is too recent, whoever asks: at most one
    /// re-run a day (R17, R21).
    pub(crate) fn request_raw(&mut self, user: Id, reason: RawReason) -> Result<(), Refusal> {
        let subject = Subject::Raw(user);
        if self.cycles.contains(&subject) {
            return Ok(());
        }
        if self.was_measured_lately(user)? {
            return Ok(());
        }
        self.cycles.put(subject, Cycle::Queued);
        self.enqueue(RAW_IMPORTANCE, Task::RawBenchmark { user, reason });
        Ok(())
    }

    /// Whether a user's last measurement is too recent for another one.
    pub(super) fn was_measured_lately(&self, user: Id) -> Result<bool, Refusal> {
        let Some(record) = self.baselines.get(&user) else { return Ok(false) };
        let last = self.item::<Record>(*record)?.at;
        Ok(self.height < last.saturating_add(self.policy().raw_pause_blocks))
    }

    /// A user registered for work, for the first time or again with another form: who was never measured is now (R15, R16).
    pub(crate) fn registered_for_work(&mut self, user: Id) -> Result<(), Refusal> {
        if self.baselines.contains(&user) { Ok(()) } else { self.request_raw(user, RawReason::Registration) }
    }

    /// Draws a committee for it. A user that hosts is idle when it is not being challenged.
    pub(super) fn staff_raw(&mut self, user: Id, reason: RawReason) -> Result<bool, Refusal> {
        let subject = Subject::Raw(user);
        if self.cycles.get(&subject) != Some(&Cycle::Queued) {
            return Ok(true);
        }
        if self.item::<User>(user).is_err() {
            self.cycles.take(&subject);
            return Ok(true);
        }
        let busy = matches!(self.cycles.get(&Subject::Storage(user)), Some(Cycle::Live(_)));
        if busy || self.is_paused(user) {
            return Ok(false);
        }
        let raw = RawRequest { reason, blob_seed: statement::blob_seed(&self.beacon, user, reason) };
        match self.begin_measuring(user, None, Some(raw), vec![user], Terms::default())? {
            Begun::Live(challenge) => {
                self.cycles.put(subject, Cycle::Live(challenge));
                Ok(true)
            }
            // No plan pays for it.
            Begun::Waits | Begun::Unpaid | Begun::Nothing => Ok(false),
        }
    }

    /// The committee's result becomes the user's baseline; the ones before stay in the storage.
    pub(super) fn settle_raw(
        &mut self,
        id: Id,
        challenge: &PerformanceChallenge,
        raw: RawRequest,
    ) -> Result<(), Refusal> {
        let Some(user) = challenge.hosters.first().copied() else { return Ok(()) };
        let mut parts: Vec<RawShort> = Vec::new();
        for record in challenge.reveals.values() {
            if let Body::Raw(part) = &self.item::<Record>(*record)?.body {
                parts.push(part.clone());
            }
        }
        // Who deleted its account meanwhile needs no baseline.
        let Ok(measured) = self.item::<User>(user) else { return Ok(()) };
        let roles = measured.roles.iter().copied().collect();
        let body = Body::RawBenchmark(RawBenchmark {
            roles,
            reason: raw.reason,
            blob_seed: raw.blob_seed,
            attesters: challenge.reveals.keys().copied().collect(),
            latency_us: middle(parts.iter().filter_map(|part| part.latency_us)),
            egress_bps: middle(parts.iter().filter_map(|part| part.egress_bps)),
            host_load_ppm: low_median(parts.iter().filter_map(|part| part.host_load_ppm)),
        });
        let record = self.create(Record { subject: user, observer: None, at: self.height, entry: None, body });
        self.baselines.put(user, record);
        self.emit("measuredAtRegistration", &[id, user, record]);
        Ok(())
    }
}

/// Quantile by quantile the low median over attesters, so that a minority cannot move any of them out of what the others saw.
fn middle(spreads: impl Iterator<Item = Spread>) -> Option<Spread> {
    let spreads: Vec<Spread> = spreads.collect();
    let of = |quantile: fn(&Spread) -> u64| low_median(spreads.iter().map(quantile));
    Some(Spread {
        p50: of(|spread| spread.p50)?,
        p90: of(|spread| spread.p90)?,
        p95: of(|spread| spread.p95)?,
        p99: of(|spread| spread.p99)?,
        n: spreads.iter().map(|spread| spread.n).fold(0, u64::saturating_add),
    })
}

fn low_median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
