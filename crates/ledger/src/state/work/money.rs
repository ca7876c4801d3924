//! Pay: out of what a sponsor put aside for its plan, for work that was done, whatever became of it.

use std::collections::BTreeSet;

use peermark_core::region::Geohash;

use super::super::State;
use super::super::agenda::Action;
use super::super::standing::TIERS;
use super::{PLACES, Paid};
use crate::item::{Contract, Plan};
use crate::outcome::Refusal;
use crate::{Amount, Id};

impl State {
    /// The hosters of a contract are paid from now on.
    pub(super) fn start_pay(&mut self, contract: Id) -> Result<(), Refusal> {
        self.paid.put(contract, Paid { until: self.height, next: self.height });
        self.renew_pay(contract)
    }

    /// The hosters of a contract are paid up to now and no longer.
    pub(super) fn stop_pay(&mut self, contract: Id) -> Result<(), Refusal> {
        self.settle(contract)?;
        self.paid.take(&contract);
        self.give_back(contract)
    }

    /// A payment that is due.
    pub(super) fn pay_contract(&mut self, contract: Id) -> Result<(), Refusal> {
        if self.paid.get(&contract).is_none_or(|paid| paid.next > self.height) {
            return Ok(());
        }
        self.settle(contract)?;
        self.renew_pay(contract)
    }

    /// The prices of a plan changed: what is held for its hosters follows, from this block on.
    pub(crate) fn renew_plan_pay(&mut self, plan: Id) -> Result<(), Refusal> {
        for contract in self.item::<Plan>(plan)?.contracts.clone() {
            if self.paid.contains(&contract) {
                self.settle(contract)?;
                self.renew_pay(contract)?;
            }
        }
        Ok(())
    }

    /// Holds what the hosters of a contract can earn until the next payment and one block beyond, so that nobody hosts for money that is
    /// not there. Where little is left the next payment comes sooner; a plan that has no two blocks left ends.
    fn renew_pay(&mut self, contract: Id) -> Result<(), Refusal> {
        let plan = self.item::<Contract>(contract)?.plan;
        let Plan { price, contracts, until, .. } = self.item::<Plan>(plan)?;
        // Where the market's price is paid, it may be the dearest until then.
        let (price, count) = (until.max_price.unwrap_or(*price).max(*price), contracts.len() as u64);
        let (held, left) = (self.held_for(contract), self.left_of(plan)?);
        let share = held.saturating_add(left.checked_div(count).unwrap_or(left));
        let most = self.policy().pay_blocks;
        let blocks = share.checked_div(price).map_or(most, |blocks| blocks.saturating_sub(1).clamp(1, most));
        let wanted = price.saturating_mul(blocks.saturating_add(1));
        let more = wanted.saturating_sub(held).min(left);
        self.hold(plan, contract, more)?;
        let least = price.saturating_mul(2).saturating_sub(held.saturating_add(more));
        if least > 0 {
            self.plan_is_spent(plan, least)?;
        }
        let (next, _) = self.schedule(blocks, Action::Pay { contract });
        self.paid.change(&contract, |paid| paid.next = next);
        Ok(())
    }

    /// Pays the hosters of a contract for the blocks since the last payment: each a third of the price, by its tier (R77). What lower
    /// tiers do not earn stays with the plan, and what hosters would that are paused.
    pub(crate) fn settle(&mut self, contract: Id) -> Result<(), Refusal> {
        let Some(paid) = self.paid.get(&contract).copied() else { return Ok(()) };
        let blocks = self.height.saturating_sub(paid.until);
        if blocks == 0 {
            return Ok(());
        }
        self.paid.change(&contract, |paid| paid.until = self.height);
        let hosters = self.item::<Contract>(contract)?.active_hosters.clone();
        let price = self.contract_price(contract)?;
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
        self.pay_held(contract, &shares)
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
                self.plan_is_spent(*plan, 0)?;
            }
        }
        Ok(())
    }
}

/// A third of the price of these blocks, times tier / [`TIERS`], rounded down.
fn share_of(price: Amount, blocks: u64, tier: u8) -> Amount {
    let all = u128::from(price) * u128::from(blocks) * u128::from(tier);
    u64::try_from(all / (u128::from(PLACES) * u128::from(TIERS))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
