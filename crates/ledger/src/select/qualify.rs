//! Whether somebody may be given a task, with every reason against it.

use peermark_core::region::Geohash;
use peermark_judge::qualification::Standing;

use super::{Match, Reason, Terms, region_match};
use crate::item::user::{Foreign, Form, Role};
use crate::item::{Contract, Performance, Plan, Region, Timing, User};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::state::standing::{Keeps, Quality};
use crate::state::timing::{is_active, next_change_within};
use crate::{Height, Id};

/// Edges of windows that are compared before two timetables count as compatible.
const MOST_EDGES: usize = 32;
/// Edges that are passed over at once where nothing changes at them.
const EDGES_AT_ONCE: usize = 8;

/// How a hoster stands in the areas of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    /// The worst standing where it was measured; probation where it was not.
    pub(super) standing: Standing,
    /// The least tier where it was measured, 1 where it was not: its weight.
    pub(super) tier: u8,
    /// Whether it is proven to keep all that is asked.
    pub(super) proven: bool,
}

impl State {
    /// `doesQualify`: every reason against a user for a task; none where it qualifies (R79-R85).
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `user` is none.
    pub fn does_not_qualify(&self, user: Id, role: Role, terms: &Terms) -> Result<Vec<Reason>, Refusal> {
        let offer = self.item::<User>(user)?;
        let mut against = Vec::new();
        let Some(form) = offer.form.as_ref().filter(|_| offer.roles.contains(&role)) else {
            return Ok(vec![Reason::Role {}]);
        };
        let mut check = |holds: bool, reason: Reason| {
            if !holds {
                against.push(reason);
            }
        };
        let suspended = self.chains.get(&offer.address).is_some_and(|end| end.suspended.is_some());
        check(offer.paused.is_none() && !suspended, Reason::Paused {});
        check(!terms.parties.contains(&user), Reason::Party {});
        check(self.covers(form, role, terms)?, Reason::Schedule {});
        check(self.balance(&Account::FreeSlots(user, role)) > 0, Reason::Capacity {});
        let (reputation, floor) = (offer.reputation, self.policy().reputation_floor);
        check(reputation >= floor, Reason::Reputation { reputation, floor });
        if role == Role::Hoster {
            let free = self.balance(&Account::FreeBytes(user));
            check(free >= terms.bytes, Reason::Storage { needed: terms.bytes, free });
            let asked = self.asked_price(form, terms)?;
            check(asked.is_some(), Reason::Region {});
            let asked = asked.unwrap_or(0);
            check(terms.price.is_none_or(|price| price >= asked), Reason::Price { asked });
            against.extend(self.quality_against(user, terms));
        }
        Ok(against)
    }

    /// What a contract asks of its providers.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `contract` is none.
    pub fn terms_of(&self, contract: Id) -> Result<Terms, Refusal> {
        let hosting = self.item::<Contract>(contract)?;
        let plan = self.item::<Plan>(hosting.plan)?;
        let item = plan.program.get(hosting.program as usize);
        let item = item.ok_or_else(|| Refusal::unknown("item of the program", hosting.program))?;
        let mut regions = Vec::new();
        for region in &item.regions {
            regions.extend(self.item::<Region>(*region)?.geohashes.iter().cloned());
        }
        let performance = item.performance.map(|id| self.item::<Performance>(id).cloned()).transpose()?;
        let known = |(first, last): &(u64, u64)| self.range_bytes(hosting.feed, *first, *last);
        let bytes = hosting.ranges.iter().map(known).try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?));
        Ok(Terms {
            regions,
            performances: performance.into_iter().collect(),
            from: plan.from,
            until: plan.until.time,
            timings: self.timings_of(plan, hosting.program)?,
            price: Some(self.contract_price(contract)?),
            bytes: bytes.unwrap_or(self.policy().contract_bytes),
            parties: [plan.sponsor, self.publisher_of(contract)?].into(),
        })
    }

    /// Whether the time of an offer covers the work: all of it for a hoster, a single task for others.
    fn covers(&self, form: &Form, role: Role, terms: &Terms) -> Result<bool, Refusal> {
        let start = if role == Role::Hoster { self.height().max(terms.from) } else { self.height() };
        let task = self.height().saturating_add(self.policy().task_blocks);
        let end = if role == Role::Hoster { terms.until } else { Some(task) };
        let ends_later = match (form.until, end) {
            (None, _) => true,
            (Some(until), Some(end)) => until >= end,
            (Some(_), None) => false,
        };
        if form.from > start || !ends_later {
            return Ok(false);
        }
        if form.timings.is_empty() {
            return Ok(true);
        }
        let own: Vec<Timing> =
            form.timings.iter().map(|id| self.item::<Timing>(*id).cloned()).collect::<Result<_, _>>()?;
        let plan: &[Timing] = if role == Role::Hoster { &terms.timings } else { &[] };
        let from = if role == Role::Hoster { terms.from } else { start };
        Ok(windows_are_covered((form, &own), (from, end, plan), start))
    }

    /// What a hoster asks for work in these areas: its own price at home, the higher of both abroad (R84); `None` where it does not
    /// work there.
    pub(crate) fn asked_price(&self, form: &Form, terms: &Terms) -> Result<Option<u64>, Refusal> {
        if terms.regions.is_empty() || self.match_of(form, &terms.regions)?.is_some() {
            return Ok(Some(form.min_price));
        }
        Ok(match &form.foreign {
            Foreign::None => None,
            Foreign::Any { min_price } => Some(form.min_price.max(*min_price)),
            Foreign::Regions { region, min_price } => {
                let abroad = &self.item::<Region>(*region)?.geohashes;
                let there = terms.regions.iter().any(|area| abroad.iter().any(|cell| area.is_within(cell)));
                there.then(|| form.min_price.max(*min_price))
            }
        })
    }

    /// How a form's place matches areas.
    pub(super) fn match_of(&self, form: &Form, areas: &[Geohash]) -> Result<Option<Match>, Refusal> {
        Ok(self.place_of(form)?.and_then(|place| region_match(place, form.radius, areas)))
    }

    fn quality_against(&self, user: Id, terms: &Terms) -> Vec<Reason> {
        let mut against = Vec::new();
        let Stands { standing, .. } = self.stands(user, terms);
        if !matches!(standing, Standing::Probation | Standing::Qualified) {
            against.push(Reason::Standing { standing });
        }
        for area in &terms.regions {
            let fails = |asked: &Performance| self.qualities_in(user, area).any(|row| row.keeps(asked) == Keeps::Fails);
            if terms.performances.iter().any(fails) {
                against.push(Reason::Performance { region: area.clone() });
            }
        }
        against
    }

    /// How a hoster stands where a task is. Work in a foreign region counts by what was measured there, never by what it does at
    /// home (R81, R83).
    pub(super) fn stands(&self, user: Id, terms: &Terms) -> Stands {
        let rows: Vec<&Quality> = if terms.regions.is_empty() {
            self.qualities_of(user).map(|(_, row)| row).collect()
        } else {
            terms.regions.iter().flat_map(|area| self.qualities_in(user, area)).collect()
        };
        let standing = rows.iter().map(|row| row.standing).max().unwrap_or(Standing::Probation);
        let tier = rows.iter().map(|row| row.tier).min().unwrap_or(1);
        let kept = |asked: &Performance| {
            let answers = || rows.iter().map(|row| row.keeps(asked));
            answers().any(|answer| answer == Keeps::Meets) && !answers().any(|answer| answer == Keeps::Fails)
        };
        // A place may be measured as good and still be young: both must hold.
        let entered = rows.iter().any(|row| row.standing == Standing::Qualified) && standing == Standing::Qualified;
        let proven = terms.performances.is_empty() || entered && terms.performances.iter().all(kept);
        Stands { standing, tier: tier.clamp(1, crate::state::standing::TIERS), proven }
    }

    /// Whether the quota for hosters on probation does not hold yet: too few are qualified in the whole network for anybody to be
    /// proven beside them.
    pub(super) fn is_founding(&self) -> bool {
        let needed = self.policy().judge.qualification.founding_hosters as usize;
        let qualified = self.qualities.iter().filter(|(_, row)| row.standing == Standing::Qualified);
        let mut hosters: Vec<Id> = Vec::new();
        for ((hoster, _), _) in qualified {
            if hosters.len() >= needed {
                break;
            }
            // Rows are in the order of hosters.
            if hosters.last() != Some(hoster) {
                hosters.push(*hoster);
            }
        }
        hosters.len() < needed
    }

    /// What is known of a hoster, by region.
    pub fn qualities_of(&self, user: Id) -> impl Iterator<Item = (&Geohash, &Quality)> + '_ {
        // No geohash is less than this one.
        let first = Geohash::of_number(0, 1).map(|least| (user, least));
        first.into_iter().flat_map(move |first| {
            self.qualities
                .range(first..)
                .take_while(move |((id, _), _)| *id == user)
                .map(|((_, region), row)| (region, row))
        })
    }

    fn qualities_in<'s>(&'s self, user: Id, area: &'s Geohash) -> impl Iterator<Item = &'s Quality> + 's {
        let touches = move |region: &Geohash| region.is_within(area) || area.is_within(region);
        self.qualities_of(user).filter(move |(region, _)| touches(region)).map(|(_, row)| row)
    }
}

/// Whether an offer is active whenever the work is, from `start` on. Timetables that agree over many windows count as compatible.
fn windows_are_covered(
    (form, own): (&Form, &[Timing]),
    (from, until, plan): (Height, Option<Height>, &[Timing]),
    start: Height,
) -> bool {
    let mut at = start;
    for _ in 0..MOST_EDGES {
        if is_active(from, until, plan, at) && !is_active(form.from, form.until, own, at) {
            return false;
        }
        let edges = [
            next_change_within(EDGES_AT_ONCE, from, until, plan, at),
            next_change_within(EDGES_AT_ONCE, form.from, form.until, own, at),
        ];
        match edges.into_iter().flatten().min() {
            Some(next) if until.is_none_or(|until| next < until) => at = next,
            _ => return true,
        }
    }
    true
}

impl Reason {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Role {} => "role",
            Self::Paused {} => "paused",
            Self::Schedule {} => "schedule",
            Self::Capacity {} => "capacity",
            Self::Storage { .. } => "storage",
            Self::Region {} => "region",
            Self::Price { .. } => "price",
            Self::Reputation { .. } => "reputation",
            Self::Performance { .. } => "performance",
            Self::Standing { .. } => "standing",
            Self::Party {} => "party",
        }
    }
}
