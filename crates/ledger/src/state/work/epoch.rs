//! The end of an epoch.

use super::super::State;
use super::super::agenda::Action;
use crate::Id;
use crate::outcome::Refusal;

/// Epochs whose observations and reports are kept in the tables; records stay for good.
const KEPT_EPOCHS: u64 = 2;

impl State {
    /// Ends an epoch: says which hosters did not report about themselves, and forgets what is old.
    pub(super) fn end_epoch(&mut self) -> Result<(), Refusal> {
        self.schedule(self.policy().epoch_blocks, Action::Epoch {});
        let Some(ended) = self.epoch().checked_sub(1) else { return Ok(()) };
        self.evaluate(ended)?;
        if let Some(before) = ended.checked_sub(1) {
            self.name_missing_reports(before)?;
        }
        self.forget_before(ended.saturating_sub(KEPT_EPOCHS - 1));
        Ok(())
    }

    /// R40: a hoster that held a place for a whole epoch and did not report about it until the end of the next one.
    fn name_missing_reports(&mut self, epoch: u64) -> Result<(), Refusal> {
        let first = epoch.saturating_mul(self.policy().epoch_blocks);
        let all: Vec<(Id, Id, u32)> =
            self.hostings.iter().map(|((hoster, contract), place)| (*hoster, *contract, *place)).collect();
        for (hoster, contract, place) in all {
            let holder = self.staffing.get(&contract).and_then(|staffing| staffing.holders.get(&place));
            let held = match holder {
                Some(holder) => self.item::<crate::item::Amendment>(holder.amendment)?.deadline <= first,
                None => false,
            };
            if held && !self.self_reports.contains(&(epoch, contract, hoster)) {
                self.emit_with("selfReportMissing", &[hoster, contract], epoch.to_string());
            }
        }
        Ok(())
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
