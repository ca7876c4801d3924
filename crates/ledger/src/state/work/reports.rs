//! What users say about themselves. It may lower a score, never raise it; what can be checked is checked.

use peermark_judge::coordinates::Cell;

use super::super::State;
use super::{EpochSpan, Lag, Subject};
use crate::item::hosting::RawReason;
use crate::item::record::{Body, Record, SelfReportShort};
use crate::item::{Contract, User};
use crate::outcome::Refusal;
use crate::transaction::{Coordinates, ReportChange, SelfReport};
use crate::{Digest, Id};

/// Most chunks that a self report names: more than any contract has.
const MOST_CHUNKS: usize = 1024;

/// Most intervals of availability, and most delays of a coordinate.
const MOST_PARTS: usize = 64;

/// Longest note, bytes.
const MOST_NOTE_BYTES: usize = 200;

/// Farthest that a coordinate moves in an epoch, microseconds.
const MOST_MOVE_US: i128 = 50_000;

impl State {
    /// A hoster's report about one contract in one epoch: the running one or the one before, once (R38-R42, R53-R58).
    pub(super) fn self_report(&mut self, user: Id, entry: Digest, report: &SelfReport) -> Result<Vec<Id>, Refusal> {
        if !self.hostings.contains(&(user, report.contract)) {
            return Err(Refusal::not_allowed("only a hoster of the contract reports about it"));
        }
        let now = self.epoch();
        if report.epoch > now || report.epoch.saturating_add(1) < now {
            return Err(Refusal::not_now("only about this epoch or the one before"));
        }
        let key = (report.epoch, report.contract, user);
        if self.self_reports.contains(&key) {
            return Err(Refusal::Exists { what: "a report about this contract and epoch".into() });
        }
        self.check_self_report(report)?;
        let up_blocks = self.up_blocks(report)?;
        let body = Body::SelfReport(SelfReportShort {
            contract: report.contract,
            epoch: report.epoch,
            ingress: report.ingress,
            egress: report.egress,
            per_index: report.per_index.iter().map(|(chunk, count, _)| (*chunk, *count)).collect(),
            up_blocks,
            resources: report.resources,
            metrics_root: report.metrics_root,
        });
        let record =
            self.create(Record { subject: user, observer: Some(user), at: self.height, entry: Some(entry), body });
        self.self_reports.put(key, record);
        Ok(vec![record])
    }

    /// Sums hold, chunks are the contract's, and sizes are those that proofs showed (R57, R58).
    fn check_self_report(&self, report: &SelfReport) -> Result<(), Refusal> {
        let contract = self.item::<Contract>(report.contract)?;
        if report.per_index.len() > MOST_CHUNKS {
            let found = report.per_index.len() as u64;
            return Err(Refusal::TooMany { what: "chunks".into(), found, limit: MOST_CHUNKS as u64 });
        }
        if !report.per_index.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(Refusal::invalid("per_index", "not in the order of the chunks, or one twice"));
        }
        let (mut chunks, mut bytes) = (0_u64, 0_u64);
        for (chunk, count, size) in &report.per_index {
            if !contract.ranges.iter().any(|(first, last)| (first..=last).contains(&chunk)) {
                return Err(Refusal::invalid("per_index", format!("chunk {chunk} is not of this contract")));
            }
            let known = self.proven_bytes(contract.feed, *chunk, *chunk);
            if known.is_some_and(|known| known != *size) {
                return Err(Refusal::invalid("per_index", format!("chunk {chunk} has other bytes than was proved")));
            }
            chunks = chunks.saturating_add(u64::from(*count));
            bytes = bytes.saturating_add(u64::from(*count).saturating_mul(*size));
        }
        if (chunks, bytes) == (report.egress.chunks, report.egress.bytes) {
            return Ok(());
        }
        let why = format!("its parts are {chunks} chunks and {bytes} bytes");
        Err(Refusal::invalid("egress", why))
    }

    /// Blocks in which it says that it was up, within the epoch.
    fn up_blocks(&self, report: &SelfReport) -> Result<u64, Refusal> {
        let span = self.epoch_span(report.epoch);
        let EpochSpan { first, blocks } = span.ok_or_else(|| Refusal::unknown("epoch", report.epoch))?;
        let mut last = first;
        let mut up = 0_u64;
        if report.availability.len() > MOST_PARTS {
            let found = report.availability.len() as u64;
            return Err(Refusal::TooMany { what: "intervals".into(), found, limit: MOST_PARTS as u64 });
        }
        for (from, to) in &report.availability {
            if *from < last || to < from || *to > first.saturating_add(blocks) {
                return Err(Refusal::invalid("availability", "not in order, or outside the epoch"));
            }
            (up, last) = (up.saturating_add(to - from), *to);
        }
        Ok(up)
    }

    /// A user says that something about it changed: it is measured anew (R18-R20).
    pub(super) fn report_change(&mut self, user: Id, entry: Digest, change: &ReportChange) -> Result<Vec<Id>, Refusal> {
        if matches!(change.reason, RawReason::Registration | RawReason::ChainRequest) {
            return Err(Refusal::invalid("reason", "the ledger's own"));
        }
        if change.note.len() > MOST_NOTE_BYTES {
            return Err(Refusal::invalid("note", format!("more than {MOST_NOTE_BYTES} bytes")));
        }
        if self.item::<User>(user)?.form.is_none() {
            return Err(Refusal::not_allowed("it offers no work"));
        }
        // Every report costs a committee its time: it waits for the measurement before.
        if self.cycles.contains(&Subject::Raw(user)) || self.was_measured_lately(user)? {
            return Err(Refusal::not_now("it was measured lately, or is being measured"));
        }
        let body = Body::Change { reason: change.reason, note: change.note.clone() };
        let record =
            self.create(Record { subject: user, observer: Some(user), at: self.height, entry: Some(entry), body });
        self.request_raw(user, change.reason)?;
        Ok(vec![record])
    }

    /// Where a user lies in the space of delays: once an epoch, and never far from where it was (S61-S63).
    pub(super) fn publish_coordinates(
        &mut self,
        user: Id,
        entry: Digest,
        new: &Coordinates,
    ) -> Result<Vec<Id>, Refusal> {
        if new.lags_us.len() > MOST_PARTS {
            let found = new.lags_us.len() as u64;
            return Err(Refusal::TooMany { what: "delays".into(), found, limit: MOST_PARTS as u64 });
        }
        if !new.lags_us.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(Refusal::invalid("lags_us", "not in the order of the users, or one twice"));
        }
        let home = self.home_of(user)?;
        for (other, lag_us) in &new.lags_us {
            self.item::<User>(*other)?;
            let least = home.first().map_or(0, |home| self.least_lag_us(home, *other));
            if u64::from(*lag_us) < least {
                let why = format!("{lag_us} us to {other}, and light takes {least}");
                return Err(Refusal::invalid("lags_us", why));
            }
        }
        if let Some(record) = self.coordinates.get(&user) {
            let record = self.item::<Record>(*record)?;
            if self.epoch_of(record.at) == self.epoch() {
                return Err(Refusal::not_now("once an epoch"));
            }
            if let Body::Coordinates(old) = &record.body
                && moved_squared(old, new) > MOST_MOVE_US * MOST_MOVE_US
            {
                return Err(Refusal::invalid("position_us", "it moved more than 50 ms since its last one"));
            }
        }
        let body = Body::Coordinates(new.clone());
        let record =
            self.create(Record { subject: user, observer: Some(user), at: self.height, entry: Some(entry), body });
        self.coordinates.put(user, record);
        let at_s = self.height.saturating_mul(self.policy().block_seconds.into());
        for (other, lag_us) in &new.lags_us {
            let cell = Cell { lag_us: u64::from(*lag_us), at_s };
            self.note_lag(user, *other, Lag { cell, said: true });
        }
        Ok(vec![record])
    }
}

fn moved_squared(old: &Coordinates, new: &Coordinates) -> i128 {
    let across = old.position_us.iter().zip(&new.position_us).map(|(old, new)| i128::from(*old) - i128::from(*new));
    let up = i128::from(old.height_us) - i128::from(new.height_us);
    across.chain([up]).fold(0_i128, |sum, by| sum.saturating_add(by.saturating_mul(by)))
}
