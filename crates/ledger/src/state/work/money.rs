//! Pay: out of what a sponsor put aside for its plan, for work that was done, whatever became of it.

use std::collections::BTreeSet;

use peermark_core::region::Geohash;

use super::super::State;
use super::super::accounts::Account;
use super::super::agenda::Action;
use super::super::standing::TIERS;
use super::{PLACES, Paid};
use crate::item::plan::PlanStatus;
use crate::item::{Contract, Plan, User};
use crate::outcome::Refusal;
use crate::{Amount, Id};

impl State {
    /// The hosters of a contract are paid from now on.
    pub(super) fn start_pay(&mut self, contract: Id) {
        let (next, _) = self.schedule(self.policy().pay_blocks, Action::Pay { contract });
        self.paid.put(contract, Paid { until: self.height, next });
    }

    /// The hosters of a contract are paid up to now and no longer.
    pub(super) fn stop_pay(&mut self, contract: Id) -> Result<(), Refusal> {
        self.settle(contract)?;
        self.paid.take(&contract);
        Ok(())
    }

    /// A payment that is due.
    pub(super) fn pay_contract(&mut self, contract: Id) -> Result<(), Refusal> {
        if self.paid.get(&contract).is_none_or(|paid| paid.next > self.height) {
            return Ok(());
        }
        self.settle(contract)?;
        let (next, _) = self.schedule(self.policy().pay_blocks, Action::Pay { contract });
        self.paid.change(&contract, |paid| paid.next = next);
        Ok(())
    }

    /// Pays the hosters of a contract for the blocks since the last payment: each a third of the price, by its tier (R77). What lower
    /// tiers do not earn stays with the plan, and what hosters would that are paused.
    pub(super) fn settle(&mut self, contract: Id) -> Result<(), Refusal> {
        let Some(paid) = self.paid.get(&contract).copied() else { return Ok(()) };
        let blocks = self.height.saturating_sub(paid.until);
        if blocks == 0 {
            return Ok(());
        }
        self.paid.change(&contract, |paid| paid.until = self.height);
        let item = self.item::<Contract>(contract)?;
        let (plan, hosters) = (item.plan, item.active_hosters.clone());
        let price = self.item::<Plan>(plan)?.price;
        let lost: BTreeSet<Id> = self
            .staffing
            .get(&contract)
            .into_iter()
            .flat_map(|staffing| staffing.holders.values())
            .filter(|holder| holder.lost)
            .map(|holder| holder.hoster)
            .collect();
        let mut shares = Vec::new();
        for hoster in hosters.into_iter().filter(|hoster| !lost.contains(hoster) && !self.is_paused(*hoster)) {
            shares.push((hoster, share_of(price, blocks, self.tier_of(hoster, contract)?)));
        }
        self.pay_from_plan(plan, &shares)
    }

    /// The tier by which a hoster of a contract is paid: the lowest that it was measured to have in a region of the plan, never its
    /// home's (R83). 1 where nothing is measured yet.
    pub(crate) fn tier_of(&self, hoster: Id, contract: Id) -> Result<u8, Refusal> {
        let regions = self.terms_of(contract)?.regions;
        let Ok(smallest) = "0".parse::<Geohash>() else { return Ok(1) };
        let measured = self.qualities.range((hoster, smallest)..).take_while(|((user, _), _)| *user == hoster);
        let asked = |region: &Geohash| {
            regions.is_empty() || regions.iter().any(|asked| region.is_within(asked) || asked.is_within(region))
        };
        let tiers = measured.filter(|((_, region), _)| asked(region)).map(|(_, quality)| quality.tier);
        Ok(tiers.min().unwrap_or(1).clamp(1, TIERS))
    }

    /// Pays a single work for a contract.
    pub(super) fn pay_from_contract(&mut self, contract: Id, user: Id, amount: Amount) -> Result<(), Refusal> {
        let plan = self.item::<Contract>(contract)?.plan;
        self.pay_from_plan(plan, &[(user, amount)])
    }

    /// Pays a single work that several plans share: equal parts, the first ones pay what is left over.
    pub(super) fn pay_from_plans(&mut self, plans: &BTreeSet<Id>, user: Id, amount: Amount) -> Result<(), Refusal> {
        let count = plans.len() as u64;
        let (Some(each), Some(rest)) = (amount.checked_div(count), amount.checked_rem(count)) else { return Ok(()) };
        for (place, plan) in (0..).zip(plans) {
            self.pay_from_plan(*plan, &[(user, each + u64::from(place < rest))])?;
        }
        Ok(())
    }

    /// Pays what is asked, in order, or what is there; a plan that spent its budget or deposit ends (S43).
    fn pay_from_plan(&mut self, plan: Id, shares: &[(Id, Amount)]) -> Result<(), Refusal> {
        let item = self.item::<Plan>(plan)?;
        let there = self.balance(&Account::Plan(plan));
        let mut left = item.until.budget.map_or(there, |budget| budget.saturating_sub(item.spent).min(there));
        let mut all: Amount = 0;
        let mut short = false;
        for (user, amount) in shares {
            // Nobody waits for the money of an account that is no more.
            let Ok(to) = self.item::<User>(*user).map(|user| user.address) else { continue };
            let paid = left.min(*amount);
            self.transfer(&Account::Plan(plan), Account::Money(to), paid)?;
            short |= paid < *amount;
            (left, all) = (left.saturating_sub(paid), all.saturating_add(paid));
        }
        if all > 0 {
            self.change::<Plan>(plan, |plan| plan.spent = plan.spent.saturating_add(all))?;
        }
        if short || left == 0 { self.plan_is_spent(plan) } else { Ok(()) }
    }

    /// Bytes that attesters saw served for plans, in equal parts; a plan that served its traffic ends.
    pub(super) fn count_traffic(&mut self, plans: &BTreeSet<Id>, bytes: u64) -> Result<(), Refusal> {
        let Some(each) = bytes.checked_div(plans.len() as u64) else { return Ok(()) };
        for plan in plans {
            let mut over = false;
            self.change::<Plan>(*plan, |plan| {
                plan.traffic_bytes = plan.traffic_bytes.saturating_add(each);
                over = plan.until.traffic_bytes.is_some_and(|most| plan.traffic_bytes >= most);
            })?;
            if over {
                self.plan_is_spent(*plan)?;
            }
        }
        Ok(())
    }

    /// A plan has nothing left: it ends with the next block, once.
    fn plan_is_spent(&mut self, plan: Id) -> Result<(), Refusal> {
        let running = matches!(self.item::<Plan>(plan)?.status, PlanStatus::Active | PlanStatus::Paused);
        if running && self.spent.put(plan, ()).is_none() {
            self.schedule(1, Action::PlanEnd { plan });
        }
        Ok(())
    }
}

/// A third of the price of these blocks, times tier / [`TIERS`], rounded down.
fn share_of(price: Amount, blocks: u64, tier: u8) -> Amount {
    let all = u128::from(price) * u128::from(blocks) * u128::from(tier);
    u64::try_from(all / (u128::from(PLACES) * u128::from(TIERS))).unwrap_or(u64::MAX)
}
