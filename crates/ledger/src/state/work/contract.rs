//! A contract from its plan's first block to its end, and what happens to its places.

use super::super::State;
use super::super::agenda::Action;
use super::{Cycle, Holder, Staffing, Subject};
use crate::Id;
use crate::item::hosting::{Amendment, AmendmentStatus, ContractStatus};
use crate::item::plan::PlanStatus;
use crate::item::user::Role;
use crate::item::{Contract, Feed, Plan};
use crate::outcome::Refusal;

impl State {
    /// A plan's first block: the contract is set up, or waits for the pilot of its feed.
    pub(super) fn execute_contract(&mut self, contract: Id) -> Result<(), Refusal> {
        let item = self.item::<Contract>(contract)?;
        if self.staffing.contains(&contract) {
            return self.review_pilot(item.feed, contract);
        }
        if item.status != ContractStatus::Pending {
            return Ok(());
        }
        let (feed, plan) = (item.feed, item.plan);
        if matches!(self.item::<Plan>(plan)?.status, PlanStatus::Ended | PlanStatus::Cancelled) {
            return Ok(());
        }
        if !self.pilot_allows(feed, contract)? {
            self.waiting.put((feed, contract), ());
            return Ok(());
        }
        self.waiting.take(&(feed, contract));
        self.staffing.put(contract, Staffing::default());
        self.want_staff(contract)
    }

    /// An amendment ended: the hosting starts, or somebody is looked for again.
    pub(super) fn after_amendment(&mut self, contract: Id, amendment: Id, whole: bool) -> Result<(), Refusal> {
        let Some(mut staffing) = self.staffing.get(&contract).cloned() else { return Ok(()) };
        let first = !staffing.started && staffing.empty().is_empty();
        staffing.started |= first;
        self.staffing.put(contract, staffing);
        if first {
            self.start_hosting(contract)?;
        }
        self.emit(if whole { "hostingStarted" } else { "hostingSetup_failed" }, &[amendment]);
        // Of a replacement that failed in part the other part counts.
        self.free_lost_places(contract)?;
        self.start_challenges(contract)?;
        // A place may have been lost while others were filled.
        self.want_staff(contract)
    }

    fn start_hosting(&mut self, contract: Id) -> Result<(), Refusal> {
        let open = self.is_in_window(contract)?;
        let status = if open { ContractStatus::Active } else { ContractStatus::Dormant };
        self.change::<Contract>(contract, |contract| contract.status = status)?;
        let feed = self.item::<Contract>(contract)?.feed;
        if !self.item::<Feed>(feed)?.contracts.contains(&contract) {
            self.change::<Feed>(feed, |feed| feed.contracts.push(contract))?;
        }
        if open {
            self.start_pay(contract)?;
        }
        self.window(contract)
    }

    /// Starts the cycles of challenges of a contract's hosters and feed, where none runs.
    fn start_challenges(&mut self, contract: Id) -> Result<(), Refusal> {
        let item = self.item::<Contract>(contract)?;
        if item.status != ContractStatus::Active {
            return Ok(());
        }
        let (feed, hosters) = (item.feed, item.active_hosters.clone());
        let pause = self.policy().challenge_pause_blocks;
        for hoster in hosters {
            self.start_cycle(Subject::Storage(hoster), pause);
        }
        self.start_cycle(Subject::Performance(feed), pause);
        Ok(())
    }

    /// A hoster failed a place, or leaves it. It is dropped and replaced where somebody else has the data; the last one that has it
    /// stays, marked as lost, until somebody else does.
    pub(super) fn lose_place(&mut self, contract: Id, hoster: Id) -> Result<(), Refusal> {
        let Some(mut staffing) = self.staffing.get(&contract).cloned() else { return Ok(()) };
        let Some(place) = self.hostings.get(&(hoster, contract)).copied() else { return Ok(()) };
        let other = |holder: &Holder| holder.hoster != hoster && !holder.lost && !self.is_paused(holder.hoster);
        let another = staffing.holders.values().any(other);
        if another || !staffing.started {
            staffing.holders.remove(&place);
            staffing.shun(hoster);
            self.staffing.put(contract, staffing);
            self.release_place(contract, hoster)?;
            return self.want_staff(contract);
        }
        if let Some(holder) = staffing.holders.get_mut(&place).filter(|holder| !holder.lost) {
            holder.lost = true;
            self.settle(contract)?;
            self.staffing.put(contract, staffing);
            self.emit("sourceLost", &[contract, hoster]);
        }
        Ok(())
    }

    /// Places of hosters that stayed only as sources are free now that somebody else has the data.
    fn free_lost_places(&mut self, contract: Id) -> Result<(), Refusal> {
        let Some(staffing) = self.staffing.get(&contract).cloned() else { return Ok(()) };
        for holder in staffing.holders.values().filter(|holder| holder.lost && staffing.started) {
            self.lose_place(contract, holder.hoster)?;
        }
        Ok(())
    }

    /// A lost hoster proved that it has the data after all: it is paid from now on.
    pub(super) fn redeem(&mut self, contract: Id, hoster: Id) -> Result<(), Refusal> {
        let is_lost = |holder: &Holder| holder.hoster == hoster && holder.lost;
        if !self.staffing.get(&contract).is_some_and(|staffing| staffing.holders.values().any(is_lost)) {
            return Ok(());
        }
        self.settle(contract)?;
        self.staffing.change(&contract, |staffing| {
            for holder in staffing.holders.values_mut().filter(|holder| holder.hoster == hoster) {
                holder.lost = false;
            }
        });
        Ok(())
    }

    /// What a hoster holds for a contract is free, and it is told to drop the data.
    pub(super) fn release_place(&mut self, contract: Id, hoster: Id) -> Result<(), Refusal> {
        if !self.hostings.contains(&(hoster, contract)) {
            return Ok(());
        }
        self.settle(contract)?;
        self.hostings.take(&(hoster, contract));
        self.unbook(hoster, Role::Hoster, contract)?;
        let item = self.item::<Contract>(contract)?;
        let last = item.amendments.last().copied().unwrap_or(contract);
        self.change::<Contract>(contract, |contract| contract.active_hosters.retain(|active| *active != hoster))?;
        if !self.hosts_anything(hoster) {
            self.accused.take(&hoster);
        }
        self.emit("dropHosting", &[last, hoster]);
        Ok(())
    }

    /// A user stopped for good, or is out: its hostings are handed over. The user stays paused or deleted.
    pub(crate) fn leave_hostings(&mut self, user: Id) -> Result<(), Refusal> {
        for (contract, _) in self.hosted_by(user) {
            self.lose_place(contract, user)?;
        }
        Ok(())
    }

    /// A contract ends (`Ended`, `Cancelled`): everything that it holds is released, its hosters drop it, live challenges end. The
    /// status is set already.
    pub(crate) fn end_contract(&mut self, contract: Id, status: ContractStatus) -> Result<(), Refusal> {
        debug_assert!(matches!(status, ContractStatus::Ended | ContractStatus::Cancelled));
        let staffing = self.staffing.take(&contract).unwrap_or_default();
        if let Some(open) = staffing.open {
            self.cancel_amendment(open)?;
        }
        self.stop_pay(contract)?;
        let Contract { feed, active_hosters, .. } = self.item::<Contract>(contract)?.clone();
        for holder in staffing.holders.values() {
            self.release_place(contract, holder.hoster)?;
        }
        self.waiting.take(&(feed, contract));
        self.change::<Feed>(feed, |feed| feed.contracts.retain(|other| *other != contract))?;
        self.cancel_idle_challenges(feed, &active_hosters)?;
        self.next_pilot(feed, contract)
    }

    fn cancel_amendment(&mut self, id: Id) -> Result<(), Refusal> {
        let amendment = self.item::<Amendment>(id)?.clone();
        for attester in &amendment.providers.attesters {
            self.unbook(*attester, Role::Attester, id)?;
        }
        for place in &amendment.positions {
            let at = *place as usize;
            if let (Some(encoder), Some(hoster)) =
                (amendment.providers.encoders.get(at), amendment.providers.hosters.get(at))
            {
                self.unbook(*encoder, Role::Encoder, id)?;
                self.unbook(*hoster, Role::Hoster, id)?;
            }
        }
        self.give_back(id)?;
        self.change::<Amendment>(id, |amendment| amendment.status = AmendmentStatus::Cancelled)
    }

    /// A contract went from `Active` to `Dormant` or back; the status is set already. Dormant: no challenge, no blame, no pay.
    pub(crate) fn window_changed(&mut self, contract: Id) -> Result<(), Refusal> {
        let status = self.item::<Contract>(contract)?.status;
        match status {
            ContractStatus::Dormant => {
                self.stop_pay(contract)?;
                let Contract { feed, active_hosters, .. } = self.item::<Contract>(contract)?.clone();
                self.cancel_idle_challenges(feed, &active_hosters)
            }
            ContractStatus::Active => {
                self.start_pay(contract)?;
                self.start_challenges(contract)
            }
            _ => Ok(()),
        }
    }

    /// A user's pause ended, or it asked to be back: its challenges go on. It is in the pools already.
    pub(crate) fn is_back(&mut self, user: Id) -> Result<(), Refusal> {
        self.away.take(&user);
        if self.hosts_anything(user) {
            self.start_cycle(Subject::Storage(user), self.policy().challenge_pause_blocks);
        }
        for (contract, _) in self.hosted_by(user) {
            let feed = self.item::<Contract>(contract)?.feed;
            if !self.cycles.contains(&Subject::Performance(feed)) {
                self.start_challenges(contract)?;
            }
        }
        Ok(())
    }

    /// Begins a cycle of challenges, unless one runs for this subject: there is never more than one (S7).
    pub(super) fn start_cycle(&mut self, subject: Subject, blocks: u64) {
        if self.cycles.contains(&subject) {
            return;
        }
        let action = match subject {
            Subject::Storage(hoster) => Action::MakeStorageChallenge { hoster },
            Subject::Performance(feed) => Action::MakePerformanceChallenge { feed },
            Subject::Raw(_) => return,
        };
        let (at, _) = self.schedule(blocks, action);
        self.cycles.put(subject, Cycle::Planned(at));
    }
}
