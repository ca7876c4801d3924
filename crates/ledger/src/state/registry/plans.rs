//! Plans: published, changed, held, ended.

use std::collections::BTreeSet;

use super::components::{MAX_AREAS, Resolved, check_timings};
use super::contracts::{Bounds, cut};
use crate::feed_tree;
use crate::item::hosting::ContractStatus;
use crate::item::plan::{PlanStatus, ProgramItem, Until};
use crate::item::{Contract, Dataset, Performance, Plan, Region, Timing, User};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::state::agenda::Action;
use crate::transaction::plan::ProgramDraft;
use crate::transaction::{PublishPlan, Reference, UpdatePlan};
use crate::{Amount, Height, Id};

impl State {
    pub(super) fn publish_plan(&mut self, sponsor: Id, draft: &PublishPlan) -> Result<Vec<Id>, Refusal> {
        let before = self.storage.len();
        let (_, new) = self.publish(sponsor, &draft.components)?;
        self.within_bounds("program", draft.program.len())?;
        let mut program = Vec::new();
        for item in &draft.program {
            match item {
                ProgramDraft::Item(item) => program.push(self.program_item(item, &new)?),
                ProgramDraft::Plans(plans) => {
                    self.within_bounds("plans", plans.len())?;
                    for plan in plans {
                        program.extend(self.item::<Plan>(*plan)?.program.clone());
                    }
                }
            }
            self.within_bounds("program", program.len())?;
        }
        if program.is_empty() {
            return Err(Refusal::invalid("program", "nothing is asked for"));
        }
        // Who names a height that has passed begins now.
        let from = draft.from.max(self.height);
        self.check_until(&draft.until, from, draft.price)?;
        let least = self.policy().min_price;
        if draft.price < least {
            return Err(Refusal::invalid("price", format!("less than {least} per block and contract")));
        }
        let plan = self.create(Plan {
            sponsor,
            from,
            until: draft.until.clone(),
            program: program.clone(),
            importance: draft.importance,
            price: draft.price,
            contracts: Vec::new(),
            status: PlanStatus::Active,
            spent: 0,
            traffic_bytes: 0,
        });
        self.live_plans.put((sponsor, plan), ());
        self.make_contracts(plan, 0, &program)?;
        self.fund(plan, draft.deposit)?;
        self.check_funds(plan)?;
        self.plan_the_end(plan)?;
        self.emit("planPublished", &[plan]);
        self.follow_market(plan)?;
        Ok((before..self.storage.len()).collect())
    }

    fn program_item(&mut self, item: &ProgramItem<Reference>, new: &Resolved) -> Result<ProgramItem, Refusal> {
        if item.datasets.is_empty() {
            return Err(Refusal::invalid("program", "an item without a dataset"));
        }
        let mut regions = self.resolve_all::<Region>(new, &item.regions)?;
        if regions.is_empty() {
            regions.push(self.everywhere());
        }
        let mut areas = 0;
        for region in &regions {
            areas += self.item::<Region>(*region)?.geohashes.len();
        }
        if areas > MAX_AREAS {
            return Err(Refusal::TooMany { what: "areas".into(), found: areas as u64, limit: MAX_AREAS as u64 });
        }
        check_timings(&item.timings)?;
        Ok(ProgramItem {
            datasets: self.resolve_all::<Dataset>(new, &item.datasets)?,
            regions,
            performance: item.performance.map(|at| self.resolve::<Performance>(new, at)).transpose()?,
            timings: self.resolve_all::<Timing>(new, &item.timings)?,
        })
    }

    fn check_until(&self, until: &Until, from: Height, price: Amount) -> Result<(), Refusal> {
        let wrong = |what: &str| Err(Refusal::invalid("until", what));
        let horizon = self.height.saturating_add(self.policy().max_horizon_blocks);
        if from > horizon {
            return Err(Refusal::invalid("from", "too far ahead"));
        }
        match until {
            Until { time: Some(time), .. } if *time > horizon => wrong("too far ahead"),
            Until { time: Some(time), .. } if *time <= self.height => wrong("in the past"),
            Until { time: Some(time), .. } if *time <= from => wrong("not after the beginning"),
            Until { budget: Some(0), .. } => wrong("no budget"),
            Until { traffic_bytes: Some(0), .. } => wrong("no traffic"),
            Until { max_price: Some(most), .. } if *most < price => wrong("the price is above the most that is paid"),
            _ => Ok(()),
        }
    }

    /// Contracts for items of the program whose first is number `first`.
    fn make_contracts(&mut self, plan: Id, first: usize, program: &[ProgramItem]) -> Result<(), Refusal> {
        let Plan { sponsor, from, contracts: before, .. } = self.item::<Plan>(plan)?.clone();
        let policy = self.policy();
        let mut bounds = Bounds {
            chunks: policy.contract_chunks.into(),
            bytes: policy.contract_bytes,
            contracts: u64::from(policy.max_contracts).saturating_sub(before.len() as u64),
        };
        let mut made = Vec::new();
        let policy_limit = u64::from(policy.sponsor_contracts);
        for (number, item) in (first..).zip(program) {
            let number = u32::try_from(number).map_err(|_| Refusal::invalid("program", "too long"))?;
            for dataset in &item.datasets {
                let Dataset { feed, ranges } = self.item::<Dataset>(*dataset)?.clone();
                let sets = cut(&ranges, bounds, |chunk| self.node_size(feed, feed_tree::leaf_number(chunk)))?;
                bounds.contracts = bounds.contracts.saturating_sub(sets.len() as u64);
                for ranges in sets {
                    made.push((self.make_contract(plan, feed, number, ranges), !item.timings.is_empty()));
                }
            }
        }
        let live = self.live_contracts(sponsor)?.saturating_add(made.len() as u64);
        if live > policy_limit {
            let what = "contracts of the sponsor's live plans".into();
            return Err(Refusal::TooMany { what, found: live, limit: policy_limit });
        }
        let wait = from.saturating_sub(self.height);
        for (contract, windows) in &made {
            self.schedule(wait, Action::PlanExecution { contract: *contract });
            if *windows {
                self.schedule(wait, Action::Window { contract: *contract });
            }
        }
        self.change::<Plan>(plan, |plan| plan.contracts.extend(made.iter().map(|(contract, _)| *contract)))
    }

    /// Contracts of the plans of a sponsor that have not ended.
    fn live_contracts(&self, sponsor: Id) -> Result<u64, Refusal> {
        let plans = self.live_plans.range((sponsor, 0)..=(sponsor, Id::MAX));
        plans.map(|((_, plan), ())| Ok(self.item::<Plan>(*plan)?.contracts.len() as u64)).sum()
    }

    fn make_contract(&mut self, plan: Id, feed: Id, program: u32, ranges: Vec<(u64, u64)>) -> Id {
        self.create(Contract {
            feed,
            plan,
            program,
            ranges,
            amendments: Vec::new(),
            active_hosters: Vec::new(),
            status: ContractStatus::Pending,
        })
    }

    /// Puts money of the sponsor aside for a plan.
    fn fund(&mut self, plan: Id, deposit: Amount) -> Result<(), Refusal> {
        let address = self.item::<User>(self.item::<Plan>(plan)?.sponsor)?.address;
        self.transfer(&Account::Money(address), Account::Plan(plan), deposit)
    }

    /// Refuses a plan that could not pay for what it asks for: for its length, its budget, or the time that the policy names, whatever
    /// is least.
    fn check_funds(&self, id: Id) -> Result<(), Refusal> {
        let plan = self.item::<Plan>(id)?;
        let length = plan.until.time.map_or(Height::MAX, |time| time.saturating_sub(plan.from));
        let blocks = length.min(self.policy().funded_blocks);
        let needed = plan.price.saturating_mul(plan.contracts.len() as u64).saturating_mul(blocks);
        let needed = needed.saturating_add(self.first_works(plan)?);
        let needed = plan.until.budget.map_or(needed, |budget| needed.min(budget.saturating_sub(plan.spent)));
        let available = self.balance(&Account::Plan(id)).saturating_add(self.held_of(id));
        if available >= needed {
            return Ok(());
        }
        Err(Refusal::OverBudget { what: "the plan's deposit".into(), needed, available })
    }

    /// What the single works of a plan cost until each of its contracts was set up and challenged once and each of its feeds measured
    /// once; nothing where plans may be free.
    fn first_works(&self, plan: &Plan) -> Result<Amount, Refusal> {
        let policy = self.policy();
        if policy.min_price == 0 {
            return Ok(0);
        }
        let feeds: Result<BTreeSet<Id>, Refusal> =
            plan.contracts.iter().map(|contract| Ok(self.item::<Contract>(*contract)?.feed)).collect();
        let rounds =
            (feeds?.len() as u64).saturating_mul(policy.committee.into()).saturating_mul(policy.pay.performance);
        let places = u64::from(crate::state::work::PLACES);
        let (copies, challenges) =
            (places.saturating_mul(policy.pay.encoder), places.saturating_mul(policy.pay.storage));
        let each = copies.saturating_add(policy.pay.setup).saturating_add(challenges);
        Ok(each.saturating_mul(plan.contracts.len() as u64).saturating_add(rounds))
    }

    /// Plans the end of a plan whose time is limited; another end than before replaces that one.
    fn plan_the_end(&mut self, plan: Id) -> Result<(), Refusal> {
        if let Some(before) = self.plan_ends.take(&plan) {
            self.agenda.take(&before);
        }
        if let Some(time) = self.item::<Plan>(plan)?.until.time {
            let key = self.schedule(time.saturating_sub(self.height), Action::PlanEnd { plan });
            self.plan_ends.put(plan, key);
        }
        Ok(())
    }

    /// The plan, if this user pays for it and it has not ended.
    fn own_live_plan(&self, user: Id, id: Id) -> Result<Plan, Refusal> {
        let plan = self.item::<Plan>(id)?;
        if plan.sponsor != user {
            return Err(Refusal::not_allowed("the signer is not the plan's sponsor"));
        }
        match plan.status {
            PlanStatus::Ended | PlanStatus::Cancelled => Err(Refusal::not_now("the plan has ended")),
            PlanStatus::Active | PlanStatus::Paused | PlanStatus::TooDear => Ok(plan.clone()),
        }
    }

    pub(super) fn update_plan(&mut self, user: Id, update: &UpdatePlan) -> Result<Vec<Id>, Refusal> {
        let plan = self.own_live_plan(user, update.plan)?;
        let before = self.storage.len();
        let (_, new) = self.publish(user, &update.components)?;
        if let Some(until) = &update.until {
            self.check_until(until, plan.from, plan.price)?;
            for contract in &plan.contracts {
                self.settle(*contract)?;
            }
            self.change::<Plan>(update.plan, |plan| plan.until.clone_from(until))?;
            self.plan_the_end(update.plan)?;
        }
        self.within_bounds("program", update.add.len())?;
        self.within_bounds("program", update.remove.len())?;
        let mut added = Vec::new();
        for item in &update.add {
            added.push(self.program_item(item, &new)?);
        }
        let kept = self.remove_items(update.plan, &update.remove)?;
        if kept + added.len() == 0 {
            return Err(Refusal::invalid("program", "nothing is asked for"));
        }
        self.within_bounds("program", kept + added.len())?;
        self.change::<Plan>(update.plan, |plan| plan.program.extend(added.clone()))?;
        self.make_contracts(update.plan, kept, &added)?;
        self.fund(update.plan, update.deposit)?;
        self.check_funds(update.plan)?;
        self.renew_plan_pay(update.plan)?;
        self.emit("planUpdated", &[update.plan]);
        self.follow_market(update.plan)?;
        Ok((before..self.storage.len()).collect())
    }

    /// Removes items of a program and ends their contracts; gives how many items are left.
    fn remove_items(&mut self, id: Id, remove: &[u32]) -> Result<usize, Refusal> {
        let Plan { program, contracts, .. } = self.item::<Plan>(id)?.clone();
        if let Some(place) = remove.iter().find(|place| **place as usize >= program.len()) {
            return Err(Refusal::unknown("item of the program", place));
        }
        if remove.is_empty() {
            return Ok(program.len());
        }
        let stays = |old: &usize| u32::try_from(*old).is_ok_and(|old| !remove.contains(&old));
        let kept: Vec<usize> = (0..program.len()).filter(stays).collect();
        let mut ended = Vec::new();
        for contract in contracts {
            let place = self.item::<Contract>(contract)?.program;
            match kept.binary_search(&(place as usize)).map(u32::try_from) {
                Ok(Ok(new)) if new == place => {}
                Ok(Ok(new)) => self.change::<Contract>(contract, |contract| contract.program = new)?,
                _ => ended.push(contract),
            }
        }
        for contract in &ended {
            self.stop_contract(*contract, ContractStatus::Cancelled)?;
        }
        self.change::<Plan>(id, |plan| {
            plan.program = kept.iter().filter_map(|place| plan.program.get(*place).cloned()).collect();
            plan.contracts.retain(|contract| !ended.contains(contract));
        })?;
        Ok(kept.len())
    }

    pub(super) fn pause_plan(&mut self, user: Id, id: Id) -> Result<Vec<Id>, Refusal> {
        if self.own_live_plan(user, id)?.status == PlanStatus::Paused {
            return Err(Refusal::not_now("the plan is paused already"));
        }
        self.hold_plan(id, PlanStatus::Paused)?;
        Ok(vec![])
    }

    pub(super) fn resume_plan(&mut self, user: Id, id: Id) -> Result<Vec<Id>, Refusal> {
        if self.own_live_plan(user, id)?.status != PlanStatus::Paused {
            return Err(Refusal::not_now("the sponsor does not hold the plan"));
        }
        let dear = self.is_too_dear(id)?;
        self.hold_plan(id, if dear { PlanStatus::TooDear } else { PlanStatus::Active })?;
        Ok(vec![])
    }

    pub(super) fn unpublish_plan(&mut self, user: Id, id: Id) -> Result<Vec<Id>, Refusal> {
        self.own_live_plan(user, id)?;
        self.end_plan(id, PlanStatus::Cancelled, "by its sponsor")?;
        Ok(vec![])
    }
}
