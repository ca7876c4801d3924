//! The market: what hosting is worth where, from how much of the capacity is wanted (R86-R92).
//!
//! At the end of every epoch each role is looked at in the whole network and in each of the 32 largest cells: tasks that are held, those that
//! wait for somebody, and those that could still be taken. The price of hosting moves from there towards the policy's utilisation, by at
//! most its largest step. A plan that names the most that it pays follows the price; one that does not pays its own.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::region::Geohash;
use peermark_judge::capacity::{Pressure, next_price};
use serde::{Deserialize, Serialize};

use super::super::State;
use super::super::accounts::Account;
use super::super::agenda::Task;
use crate::item::plan::PlanStatus;
use crate::item::user::Role;
use crate::item::{Contract, Plan, Region, User};
use crate::outcome::Refusal;
use crate::{Amount, Id, Ppm};

/// Digits of the cells that have a price of their own.
const DIGITS: u8 = 1;
/// What is wanted of one cell or another counts for each by its part.
const WHOLE: u64 = 1_000;
/// Highest price: far from where sums overflow.
const MOST_PRICE: Amount = 1 << 40;
/// A price that is only used to ask for the direction.
const ANY_PRICE: Amount = 1 << 20;

/// A role, in a cell of one digit or in the whole network.
pub type MarketKey = (Role, Option<Geohash>);

/// What there is of a role, and what is wanted. Tasks and bytes that are wanted of several cells count in each by their part: all numbers are
/// thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Tasks that are held.
    pub held: u64,
    /// Tasks that wait for somebody, at this price or a higher one.
    pub waiting: u64,
    /// Tasks that could still be taken.
    pub free: u64,
    /// Tasks held and waiting out of all that there is room for, of hosters bytes where they are scarcer; all where there is no room.
    pub utilisation_ppm: Ppm,
    /// Whether more of this role should join or leave.
    pub pressure: Pressure,
    /// Price of a block and contract; of hosters alone, others are paid by the policy.
    pub price: Option<Amount>,
}

/// What is counted before the price follows.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    held: u64,
    waiting: u64,
    free: u64,
    bytes_held: u64,
    bytes_waiting: u64,
    bytes_free: u64,
}

/// What a task that waits wants.
struct Wanted {
    /// Any of these will do.
    areas: Vec<Geohash>,
    roles: Vec<(Role, u32)>,
    /// Bytes that each hoster needs.
    bytes: u64,
}

impl Wanted {
    fn attesters(areas: Vec<Geohash>, committee: u32) -> Self {
        Self { areas, roles: vec![(Role::Attester, committee)], bytes: 0 }
    }
}

impl Count {
    fn utilisation_ppm(&self) -> Ppm {
        let share = |held: u64, waiting: u64, free: u64| -> Ppm {
            let (used, room) = (u128::from(held) + u128::from(waiting), u128::from(held) + u128::from(free));
            match (used, room) {
                (0, _) => 0,
                (_, 0) => 1_000_000,
                _ => Ppm::try_from((used * 1_000_000 / room).min(1_000_000)).unwrap_or(1_000_000),
            }
        };
        let tasks = share(self.held, self.waiting, self.free);
        tasks.max(share(self.bytes_held, self.bytes_waiting, self.bytes_free))
    }
}

impl State {
    /// What hosting is worth in areas of which any will do: the least of their prices, of the whole network where none of them has one.
    /// 0 before the first epoch ended.
    pub fn price_in(&self, areas: &[Geohash]) -> Amount {
        let price = |key: MarketKey| self.markets.get(&key).and_then(|market| market.price);
        let there = areas.iter().filter_map(|area| price((Role::Hoster, area.cut(DIGITS))));
        there.min().or_else(|| price((Role::Hoster, None))).unwrap_or(0)
    }

    /// Price of a block and contract on the market of the whole network.
    pub fn market_price(&self) -> Amount {
        self.price_in(&[])
    }

    /// Every market, by role and cell.
    pub fn markets(&self) -> impl Iterator<Item = (&MarketKey, &Market)> + '_ {
        self.markets.iter()
    }

    /// What a contract pays for a block: its plan's price; where the plan names the most that it pays, what the market asks, and never less
    /// than was promised to the hosters that it has.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `contract` is none.
    pub fn contract_price(&self, contract: Id) -> Result<Amount, Refusal> {
        let item = self.item::<Contract>(contract)?;
        let plan = self.item::<Plan>(item.plan)?;
        let Some(most) = plan.until.max_price else { return Ok(plan.price) };
        let market = self.price_in(&self.areas_of(plan, item.program)?);
        let holders = self.staffing.get(&contract).into_iter().flat_map(|staffing| staffing.holders.values());
        let promised = holders.filter(|holder| !holder.lost).map(|holder| holder.asked).max().unwrap_or(0);
        Ok(market.max(promised).min(most).max(plan.price))
    }

    /// What a hoster that takes a place of a contract is promised at least: what it asks there, as far as the contract pays it now (R84).
    pub(super) fn promised_to(&self, hoster: Id, contract: Id) -> Result<Amount, Refusal> {
        let terms = self.terms_of(contract)?;
        let form = self.item::<User>(hoster)?.form.as_ref();
        let asked = form.map(|form| self.asked_price(form, &terms)).transpose()?.flatten().unwrap_or(0);
        Ok(asked.min(self.contract_price(contract)?))
    }

    /// Holds a plan that the market became too dear for in any of its items, and lets it go on when it is no longer (S43).
    pub(crate) fn follow_market(&mut self, id: Id) -> Result<(), Refusal> {
        let status = self.item::<Plan>(id)?.status;
        match (status, self.is_too_dear(id)?) {
            (PlanStatus::Active, true) => self.hold_plan(id, PlanStatus::TooDear),
            (PlanStatus::TooDear, false) => self.hold_plan(id, PlanStatus::Active),
            _ => Ok(()),
        }
    }

    /// Whether the market asks more of a plan than it pays at most.
    pub(crate) fn is_too_dear(&self, id: Id) -> Result<bool, Refusal> {
        let plan = self.item::<Plan>(id)?;
        let Some(most) = plan.until.max_price else { return Ok(false) };
        for item in 0..u32::try_from(plan.program.len()).unwrap_or(u32::MAX) {
            if self.price_in(&self.areas_of(plan, item)?) > most {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sets the prices of the next epoch from what is held, wanted and free at the end of this one.
    pub(super) fn set_prices(&mut self) -> Result<(), Refusal> {
        let mut next = BTreeMap::new();
        for (key, count) in self.count_market()? {
            let market = self.next_market(&key, &count);
            next.insert(key, market);
        }
        self.set_markets(next)
    }

    /// Writes markets. What was earned until now is paid at the prices before; then plans follow.
    pub(crate) fn set_markets(&mut self, next: BTreeMap<MarketKey, Market>) -> Result<(), Refusal> {
        let live: Vec<Id> = self.live_plans.iter().map(|((_, plan), ())| *plan).collect();
        let mut following = Vec::new();
        for id in live {
            let plan = self.item::<Plan>(id)?;
            if plan.until.max_price.is_some() {
                following.push(id);
                for contract in plan.contracts.clone() {
                    self.settle(contract)?;
                }
            }
        }
        let gone: Vec<MarketKey> = self.markets.iter().map(|(key, _)| key.clone()).collect();
        for key in gone.iter().filter(|key| !next.contains_key(*key)) {
            self.markets.take(key);
        }
        for (key, market) in next {
            let before = self.markets.get(&key).copied();
            if before == Some(market) {
                continue;
            }
            if let (true, Some(price)) = (before.and_then(|before| before.price) != market.price, market.price) {
                let place = key.1.as_ref().map_or("everywhere", Geohash::as_str);
                self.emit_with("marketPrice", &[], format!("{price} in {place}"));
            }
            self.markets.put(key, market);
        }
        following.into_iter().try_for_each(|plan| self.follow_market(plan))
    }

    fn next_market(&self, key: &MarketKey, count: &Count) -> Market {
        let capacity = &self.policy().judge.capacity;
        let utilisation_ppm = count.utilisation_ppm();
        let least = self.policy().min_price.max(1);
        let before = self.markets.get(key).and_then(|market| market.price).unwrap_or(least);
        let price = next_price(before, utilisation_ppm, capacity).0.clamp(least, MOST_PRICE);
        Market {
            held: count.held,
            waiting: count.waiting,
            free: count.free,
            utilisation_ppm,
            pressure: next_price(ANY_PRICE, utilisation_ppm, capacity).1,
            price: (key.0 == Role::Hoster).then_some(price),
        }
    }

    fn count_market(&self) -> Result<BTreeMap<MarketKey, Count>, Refusal> {
        let mut all = self.count_supply()?;
        // The whole network always has a price.
        all.entry((Role::Hoster, None)).or_default();
        let supplied: BTreeSet<MarketKey> = all.keys().cloned().collect();
        for (_, task) in self.queue.iter() {
            let Ok(wanted) = self.wanted_by(task) else { continue };
            for (role, tasks) in wanted.roles {
                let tasks = u64::from(tasks).saturating_mul(WHOLE);
                for (key, share) in parts_of(role, &wanted.areas, &supplied) {
                    let count = all.entry(key).or_default();
                    count.waiting = count.waiting.saturating_add(tasks / share);
                    if role == Role::Hoster {
                        count.bytes_waiting =
                            count.bytes_waiting.saturating_add(tasks.saturating_mul(wanted.bytes) / share);
                    }
                }
            }
        }
        Ok(all)
    }

    /// What is held and free, by role, where its user is at home.
    fn count_supply(&self) -> Result<BTreeMap<MarketKey, Count>, Refusal> {
        let mut all: BTreeMap<MarketKey, Count> = BTreeMap::new();
        for (account, amount) in self.balances.iter() {
            let (user, role) = match account {
                Account::FreeSlots(user, role) | Account::HeldSlot { user, role, .. } => (*user, *role),
                Account::FreeBytes(user) | Account::HeldBytes { user, .. } => (*user, Role::Hoster),
                Account::Money(_) | Account::Plan(_) | Account::Held { .. } => continue,
            };
            let Ok(User { form: Some(form), paused, roles, .. }) = self.item::<User>(user) else { continue };
            // Nobody can have what is free of one that is paused, or offers the role no more.
            let is_free = paused.is_none() && roles.contains(&role);
            let cell = self.place_of(form)?.and_then(|place| place.cut(DIGITS));
            let amount = amount.saturating_mul(WHOLE);
            for place in [None, cell].into_iter().collect::<BTreeSet<_>>() {
                let count = all.entry((role, place)).or_default();
                let number = match account {
                    Account::HeldSlot { .. } => &mut count.held,
                    Account::FreeSlots(..) if is_free => &mut count.free,
                    Account::HeldBytes { .. } => &mut count.bytes_held,
                    Account::FreeBytes(_) if is_free => &mut count.bytes_free,
                    _ => continue,
                };
                *number = number.saturating_add(amount);
            }
        }
        Ok(all)
    }

    /// Where a task that waits is to be done, by how many of each role, and the bytes that a hoster needs for it. Who does not pay what the
    /// market asks wants nothing at that price.
    fn wanted_by(&self, task: &Task) -> Result<Wanted, Refusal> {
        let committee = self.policy().committee;
        match *task {
            Task::HostingSetup { contract }
            | Task::RetryHostingSetup { contract }
            | Task::HosterReplacement { contract } => {
                let terms = self.terms_of(contract)?;
                let plan = self.item::<Plan>(self.item::<Contract>(contract)?.plan)?;
                let most = plan.until.max_price.unwrap_or(plan.price);
                let empty = self.staffing.get(&contract).map_or(0, |staffing| staffing.empty().len());
                let places = u32::try_from(empty).unwrap_or(u32::MAX);
                let mut wanted = vec![(Role::Attester, 1), (Role::Encoder, places)];
                if most >= self.price_in(&terms.regions) {
                    wanted.push((Role::Hoster, places));
                }
                Ok(Wanted { areas: terms.regions, roles: wanted, bytes: terms.bytes })
            }
            Task::StorageChallenge { hoster } => Ok(Wanted::attesters(self.home_of(hoster)?, 1)),
            Task::RawBenchmark { user, .. } => Ok(Wanted::attesters(self.home_of(user)?, committee)),
            Task::PerformanceChallenge { feed } => {
                let mut areas = BTreeSet::new();
                for contract in self.active_contracts(feed)? {
                    areas.extend(self.terms_of(contract)?.regions);
                }
                Ok(Wanted::attesters(areas.into_iter().collect(), committee))
            }
        }
    }

    /// Where a user says that it is.
    pub(super) fn home_of(&self, user: Id) -> Result<Vec<Geohash>, Refusal> {
        let Some(form) = &self.item::<User>(user)?.form else { return Ok(Vec::new()) };
        Ok(self.place_of(form)?.cloned().into_iter().collect())
    }

    fn areas_of(&self, plan: &Plan, program: u32) -> Result<Vec<Geohash>, Refusal> {
        let item = plan.program.get(program as usize);
        let item = item.ok_or_else(|| Refusal::unknown("item of the program", program))?;
        let mut areas = Vec::new();
        for region in &item.regions {
            areas.extend(self.item::<Region>(*region)?.geohashes.iter().cloned());
        }
        Ok(areas)
    }
}

/// The markets in which something is wanted, and into how many parts it is cut there: the whole network, and those cells of its areas in
/// which there is anybody; where there is nobody in any of them, all of them.
fn parts_of(role: Role, areas: &[Geohash], supplied: &BTreeSet<MarketKey>) -> Vec<(MarketKey, u64)> {
    let cells: BTreeSet<Geohash> = areas.iter().filter_map(|area| area.cut(DIGITS)).collect();
    let keys: Vec<MarketKey> = cells.into_iter().map(|cell| (role, Some(cell))).collect();
    let there: Vec<MarketKey> = keys.iter().filter(|key| supplied.contains(*key)).cloned().collect();
    let keys = if there.is_empty() { keys } else { there };
    let share = keys.len() as u64;
    keys.into_iter().map(|key| (key, share)).chain([((role, None), 1)]).collect()
}
