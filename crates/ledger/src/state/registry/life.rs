//! What happens to plans by themselves: windows, limits, the end.

use super::timing;
use crate::Id;
use crate::item::hosting::ContractStatus;
use crate::item::plan::PlanStatus;
use crate::item::{Contract, Feed, Plan, Timing, User};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::state::agenda::Action;

impl State {
    /// Holds a plan, or lets it go on: its contracts rest, or rest no more.
    pub(crate) fn hold_plan(&mut self, id: Id, status: PlanStatus) -> Result<(), Refusal> {
        self.change::<Plan>(id, |plan| plan.status = status)?;
        let active = status == PlanStatus::Active;
        self.emit(if active { "resume-plan" } else { "pause-plan" }, &[id]);
        let Plan { contracts, from, .. } = self.item::<Plan>(id)?.clone();
        for contract in contracts {
            if active && from <= self.height && self.item::<Contract>(contract)?.status == ContractStatus::Pending {
                self.schedule(1, Action::PlanExecution { contract });
            }
            self.rest_or_not(contract)?;
        }
        Ok(())
    }

    /// Ends a plan: its contracts end, and what is left of its money goes back.
    pub(super) fn end_plan(&mut self, id: Id, status: PlanStatus, why: &str) -> Result<(), Refusal> {
        let plan = self.item::<Plan>(id)?.clone();
        let end = if status == PlanStatus::Cancelled { ContractStatus::Cancelled } else { ContractStatus::Ended };
        for contract in plan.contracts {
            self.stop_contract(contract, end)?;
        }
        self.change::<Plan>(id, |plan| plan.status = status)?;
        self.live_plans.take(&(plan.sponsor, id));
        if let Some(planned) = self.plan_ends.take(&id) {
            self.agenda.take(&planned);
        }
        let address = self.item::<User>(plan.sponsor)?.address;
        let rest = self.balance(&Account::Plan(id));
        self.transfer(&Account::Plan(id), Account::Money(address), rest)?;
        self.emit_with("end-plan", &[id], why);
        Ok(())
    }

    pub(crate) fn stop_contract(&mut self, contract: Id, status: ContractStatus) -> Result<(), Refusal> {
        if matches!(self.item::<Contract>(contract)?.status, ContractStatus::Ended | ContractStatus::Cancelled) {
            return Ok(());
        }
        self.change::<Contract>(contract, |contract| contract.status = status)?;
        self.end_contract(contract, status)
    }

    /// Ends a plan whose time, budget, traffic or deposit is over, whatever comes first (S43); not one whose sponsor gave it more
    /// meanwhile.
    pub(super) fn plan_end(&mut self, id: Id) -> Result<(), Refusal> {
        let needed = self.spent.take(&id).unwrap_or(0);
        let (left, held) = (self.left_of(id)?, self.held_of(id));
        let plan = self.item::<Plan>(id)?;
        if !self.live_plans.contains(&(plan.sponsor, id)) {
            return Ok(());
        }
        let why = if plan.until.time.is_some_and(|time| time <= self.height) {
            "time"
        } else if plan
            .until
            .budget
            .is_some_and(|budget| plan.spent >= budget || budget - plan.spent < needed.saturating_add(held))
        {
            "budget"
        } else if plan.until.traffic_bytes.is_some_and(|bytes| plan.traffic_bytes >= bytes) {
            "traffic"
        } else if left < needed || left.saturating_add(held) < plan.price.max(self.policy().min_price) {
            "deposit"
        } else {
            return self.staff_plan(id);
        };
        self.end_plan(id, PlanStatus::Ended, why)
    }

    /// A plan got more money before it ended for want of it: what waits for that goes on.
    fn staff_plan(&mut self, id: Id) -> Result<(), Refusal> {
        for contract in self.item::<Plan>(id)?.contracts.clone() {
            if self.staffing.contains(&contract) {
                self.want_staff(contract)?;
            }
        }
        Ok(())
    }

    /// Whether a contract is to be challenged now: its plan is not held, and it is within its windows.
    pub fn is_in_window(&self, contract: Id) -> Result<bool, Refusal> {
        let contract = self.item::<Contract>(contract)?;
        let plan = self.item::<Plan>(contract.plan)?;
        let timings = self.timings_of(plan, contract.program)?;
        Ok(plan.status == PlanStatus::Active && timing::is_active(plan.from, plan.until.time, &timings, self.height))
    }

    pub(crate) fn timings_of(&self, plan: &Plan, program: u32) -> Result<Vec<Timing>, Refusal> {
        let item = plan.program.get(program as usize);
        let item = item.ok_or_else(|| Refusal::unknown("item of the program", program))?;
        item.timings.iter().map(|id| self.item::<Timing>(*id).cloned()).collect()
    }

    /// The edge of a window: what is hosted rests, or rests no more; then the next edge. What is not hosted yet has no edges: they
    /// begin with its hosting.
    pub(crate) fn window(&mut self, id: Id) -> Result<(), Refusal> {
        let contract = self.item::<Contract>(id)?.clone();
        if !matches!(contract.status, ContractStatus::Active | ContractStatus::Dormant) {
            return Ok(());
        }
        self.rest_or_not(id)?;
        let plan = self.item::<Plan>(contract.plan)?;
        let timings = self.timings_of(plan, contract.program)?;
        if timings.is_empty() {
            return Ok(());
        }
        if let Some(next) = timing::next_change(plan.from, plan.until.time, &timings, self.height) {
            self.schedule(next.saturating_sub(self.height), Action::Window { contract: id });
        }
        Ok(())
    }

    fn rest_or_not(&mut self, id: Id) -> Result<(), Refusal> {
        let status = self.item::<Contract>(id)?.status;
        let status = match (status, self.is_in_window(id)?) {
            (ContractStatus::Active, false) => ContractStatus::Dormant,
            (ContractStatus::Dormant, true) => ContractStatus::Active,
            _ => return Ok(()),
        };
        self.change::<Contract>(id, |contract| contract.status = status)?;
        self.emit(if status == ContractStatus::Active { "contractActive" } else { "contractDormant" }, &[id]);
        self.window_changed(id)
    }

    /// The feed of a contract and who published it.
    pub(crate) fn publisher_of(&self, contract: Id) -> Result<Id, Refusal> {
        Ok(self.item::<Feed>(self.item::<Contract>(contract)?.feed)?.publisher)
    }
}
