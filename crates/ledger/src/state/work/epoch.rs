//! The end of an epoch.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::State;
use super::super::agenda::Action;
use crate::outcome::Refusal;
use crate::{Height, Id};

/// Epochs whose observations and reports are kept in the tables; records stay for good.
const KEPT_EPOCHS: u64 = 2;

/// Epochs whose blocks are remembered.
const KEPT_SPANS: u64 = 64;

/// Blocks of an epoch. Epochs are counted, not computed from heights, so that rules may change how long they are from the next one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSpan {
    /// Its first block.
    pub first: Height,
    /// How many blocks it is meant to have, by the rules of its first one.
    pub blocks: u64,
}

impl State {
    /// Ends an epoch: sets the prices of the next one, judges, says which hosters did not report about themselves, and forgets what is old.
    pub(super) fn end_epoch(&mut self) -> Result<(), Refusal> {
        self.schedule(self.policy().epoch_blocks, Action::Epoch {});
        self.set_prices()?;
        let ended = self.epoch();
        self.begin_epoch(ended.saturating_add(1));
        self.update_map(ended)?;
        self.evaluate(ended)?;
        let missing = ended.checked_sub(1).map_or(Ok(BTreeMap::new()), |before| self.name_missing_reports(before))?;
        self.watch_hosters(ended, &missing)?;
        self.forget_before(ended.saturating_sub(KEPT_EPOCHS - 1));
        Ok(())
    }

    /// An epoch begins with this block.
    pub(crate) fn begin_epoch(&mut self, epoch: u64) {
        let span = EpochSpan { first: self.height, blocks: self.policy().epoch_blocks };
        self.epochs.put(epoch, span);
        if let Some(old) = epoch.checked_sub(KEPT_SPANS) {
            self.epochs.take(&old);
        }
    }

    /// The number of the running epoch, from 0.
    pub fn epoch(&self) -> u64 {
        self.epochs.iter().next_back().map_or(0, |(epoch, _)| *epoch)
    }

    /// The blocks of an epoch, where it is one of the last.
    pub fn epoch_span(&self, epoch: u64) -> Option<EpochSpan> {
        self.epochs.get(&epoch).copied()
    }

    /// The epoch of a height: of one that is forgotten the oldest that is not.
    pub(super) fn epoch_of(&self, height: Height) -> u64 {
        let begun = self.epochs.iter().rev().find(|(_, span)| span.first <= height);
        begun.or_else(|| self.epochs.iter().next()).map_or(0, |(epoch, _)| *epoch)
    }

    /// R40: a hoster that held a place for a whole epoch and did not report about it until the end of the next one. Gives how many
    /// reports are missing, by hosters that owed any.
    fn name_missing_reports(&mut self, epoch: u64) -> Result<BTreeMap<Id, i64>, Refusal> {
        let mut missing = BTreeMap::new();
        let Some(EpochSpan { first, .. }) = self.epoch_span(epoch) else { return Ok(missing) };
        let all: Vec<(Id, Id, u32)> =
            self.hostings.iter().map(|((hoster, contract), place)| (*hoster, *contract, *place)).collect();
        for (hoster, contract, place) in all {
            let holder = self.staffing.get(&contract).and_then(|staffing| staffing.holders.get(&place));
            let held = match holder {
                Some(holder) => self.item::<crate::item::Amendment>(holder.amendment)?.deadline <= first,
                None => false,
            };
            if !held {
                continue;
            }
            let count: &mut i64 = missing.entry(hoster).or_default();
            if !self.self_reports.contains(&(epoch, contract, hoster)) {
                *count = count.saturating_add(1);
                self.emit_with("selfReportMissing", &[hoster, contract], epoch.to_string());
            }
        }
        Ok(missing)
    }

    fn forget_before(&mut self, epoch: u64) {
        let old: Vec<_> = self.self_reports.range(..(epoch, 0, 0)).map(|(key, _)| *key).collect();
        for key in old {
            self.self_reports.take(&key);
        }
        let old: Vec<_> = self.proofs.range(..(epoch, 0, 0, 0)).map(|(key, _)| *key).collect();
        for key in old {
            self.proofs.take(&key);
        }
        let old: Vec<_> =
            self.observations.iter().take_while(|(key, _)| key.epoch < epoch).map(|(key, _)| key.clone()).collect();
        for key in old {
            self.observations.take(&key);
        }
    }
}
