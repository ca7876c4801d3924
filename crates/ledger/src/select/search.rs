//! Staffing a task.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draws, Search, Shortage, Team, Terms};
use crate::Id;
use crate::item::User;
use crate::item::user::Role;
use crate::state::State;
use crate::state::standing::TIERS;

/// Candidates of one role and operator that a search keeps: one of them at most is chosen, the others differ in their network.
const MOST_OF_OPERATOR: usize = 4;
/// Most candidates of a role that a search looks at.
const MOST_CANDIDATES: usize = 1024;
/// Choices that a search tries before it gives up; with that many in vain there is no team, or none that is worth finding.
const MOST_STEPS: u32 = 50_000;
/// Draws in a row that may fall on a weight's share of nothing: (3/4)^64 is no chance.
const MOST_MISSES: u32 = 64;
/// The network of everybody whose network is unknown, where the policy counts them as one. No prefix has one byte.
const UNKNOWN_NETWORK: &[u8] = &[0];

/// Somebody who qualifies.
#[derive(Clone, Debug)]
struct Candidate {
    id: Id,
    operator: String,
    prefix: Vec<u8>,
    /// A hoster that is not proven to keep what is asked.
    young: bool,
}

/// Candidates of one role in the order of the draw.
#[derive(Clone, Debug)]
struct List {
    role: Role,
    wanted: u32,
    candidates: Vec<Candidate>,
    /// Whether there are more than were looked at.
    more: bool,
    reasons: BTreeMap<String, u64>,
}

impl State {
    /// Finds providers for a task among those that are idle. The state does not change: whoever asks books them. The draw depends on
    /// the block's beacon and on `about`, so it comes out differently in the next block.
    ///
    /// # Errors
    /// [`Shortage`] where a role cannot be filled.
    pub fn select(&self, search: &Search) -> Result<Team, Shortage> {
        // A few candidates suffice nearly always; where they exclude each other, more are looked at, in the same order.
        let mut limit = 8;
        loop {
            let lists: Vec<List> =
                search.wanted.iter().map(|(role, wanted)| self.list(search, *role, *wanted, limit)).collect();
            if let Some(team) = self.choose(search, &lists) {
                return Ok(team);
            }
            if limit >= MOST_CANDIDATES || !lists.iter().any(|list| list.more) {
                return Err(shortage(lists));
            }
            limit *= 8;
        }
    }

    /// The first candidates of a role in the order of the draw: class by class, by weight within a class.
    fn list(&self, search: &Search, role: Role, wanted: u32, limit: usize) -> List {
        let mut draws = Draws::new(self.draw("select", &(search.about, role)));
        let mut list = List { role, wanted, candidates: Vec::new(), more: false, reasons: BTreeMap::new() };
        let mut of_operator: BTreeMap<String, usize> = BTreeMap::new();
        for mut pool in self.candidates(role, &search.terms.regions) {
            while let Some(id) = self.next_of(&mut pool, role, &search.terms, &mut draws) {
                if list.candidates.len() >= limit.saturating_add(wanted as usize) {
                    list.more = true;
                    return list;
                }
                let Some(candidate) = self.candidate(search, id, role, &mut list.reasons) else { continue };
                let same = of_operator.entry(candidate.operator.clone()).or_default();
                *same += 1;
                if *same <= MOST_OF_OPERATOR {
                    list.candidates.push(candidate);
                }
            }
        }
        list
    }

    /// Draws one out of a pool: each as likely as its weight says, at most [`TIERS`] to 1.
    fn next_of(&self, pool: &mut Vec<Id>, role: Role, terms: &Terms, draws: &mut Draws) -> Option<Id> {
        for miss in 0.. {
            let at = usize::try_from(draws.below(pool.len() as u64)).ok()?;
            let id = *pool.get(at)?;
            let tier = if role == Role::Hoster { self.stands(id, terms).tier } else { TIERS };
            if draws.below(TIERS.into()) < tier.into() || miss >= MOST_MISSES {
                pool.swap_remove(at);
                return Some(id);
            }
        }
        None
    }

    fn candidate(&self, search: &Search, id: Id, role: Role, reasons: &mut BTreeMap<String, u64>) -> Option<Candidate> {
        let mut against = |name: &str| *reasons.entry(name.to_owned()).or_default() += 1;
        if search.avoid.contains(&id) || search.kept.iter().any(|(_, kept)| *kept == id) {
            against("avoided");
            return None;
        }
        let found = self.does_not_qualify(id, role, &search.terms).ok()?;
        found.iter().for_each(|reason| against(reason.name()));
        found.is_empty().then(|| self.described(id, role, &search.terms)).flatten()
    }

    fn described(&self, id: Id, role: Role, terms: &Terms) -> Option<Candidate> {
        let unknown = self.policy().networks_known.then_some(UNKNOWN_NETWORK);
        let form = self.item::<User>(id).ok()?.form.as_ref()?;
        let young = role == Role::Hoster && !self.stands(id, terms).proven;
        let prefix = match unknown {
            Some(network) if form.prefix.is_empty() => network.to_vec(),
            _ => form.prefix.clone(),
        };
        Some(Candidate { id, operator: form.operator.to_lowercase(), prefix, young })
    }

    /// A team without conflicts, the first in the order of the draw; scarce roles choose first, and give way where another then finds
    /// nobody.
    fn choose(&self, search: &Search, lists: &[List]) -> Option<Team> {
        let mut order: Vec<&List> = lists.iter().filter(|list| list.wanted > 0).collect();
        order.sort_by_key(|list| list.candidates.len().saturating_sub(list.wanted as usize));
        let mut choice = Choice { steps: MOST_STEPS, ..Choice::default() };
        // Whoever is a party or stays takes its operator and network with it.
        let parties = search.terms.parties.iter().filter_map(|id| self.described(*id, Role::Encoder, &search.terms));
        let kept = search.kept.iter().filter_map(|(role, id)| self.described(*id, *role, &search.terms));
        parties.chain(kept).for_each(|taken| choice.take(&taken));
        let quota = if self.is_founding() { u32::MAX } else { self.policy().probation_quota };
        let slots: Vec<&List> =
            order.iter().flat_map(|list| std::iter::repeat_n(*list, list.wanted as usize)).collect();
        if !choice.fill(&slots, 0, quota) {
            return None;
        }
        let mut team = Team::new();
        for (slot, id) in slots.iter().zip(choice.picked) {
            team.entry(slot.role).or_default().push(id);
        }
        Some(team)
    }
}

/// What is chosen so far.
#[derive(Clone, Debug, Default)]
struct Choice {
    people: BTreeSet<Id>,
    operators: BTreeSet<String>,
    prefixes: BTreeSet<Vec<u8>>,
    young: u32,
    picked: Vec<Id>,
    steps: u32,
}

impl Choice {
    /// Fills the slots one by one. Slots of one list take candidates in rising order, so that no set is tried twice.
    fn fill(&mut self, slots: &[&List], first: usize, quota: u32) -> bool {
        let Some((slot, rest)) = slots.split_first() else { return true };
        let same_next = rest.first().is_some_and(|next| next.role == slot.role);
        for (place, candidate) in slot.candidates.iter().enumerate().skip(first) {
            let Some(steps) = self.steps.checked_sub(1) else { return false };
            self.steps = steps;
            if !self.fits(candidate, quota) {
                continue;
            }
            self.take(candidate);
            self.picked.push(candidate.id);
            if self.fill(rest, if same_next { place + 1 } else { 0 }, quota) {
                return true;
            }
            self.picked.pop();
            self.give_back(candidate);
        }
        false
    }

    fn fits(&self, candidate: &Candidate, quota: u32) -> bool {
        // An empty prefix, where networks need not be known, is never kept.
        let taken = self.people.contains(&candidate.id)
            || self.operators.contains(&candidate.operator)
            || self.prefixes.contains(&candidate.prefix);
        !taken && (!candidate.young || self.young < quota)
    }

    fn take(&mut self, candidate: &Candidate) {
        self.people.insert(candidate.id);
        self.operators.insert(candidate.operator.clone());
        if !candidate.prefix.is_empty() {
            self.prefixes.insert(candidate.prefix.clone());
        }
        self.young += u32::from(candidate.young);
    }

    fn give_back(&mut self, candidate: &Candidate) {
        self.people.remove(&candidate.id);
        self.operators.remove(&candidate.operator);
        self.prefixes.remove(&candidate.prefix);
        self.young -= u32::from(candidate.young);
    }
}

/// The role that lacks most.
fn shortage(lists: Vec<List>) -> Shortage {
    let lacks = |list: &List| i64::from(list.wanted) - list.candidates.len() as i64;
    let worst = lists.into_iter().max_by_key(lacks);
    let found = |list: &List| u32::try_from(list.candidates.len()).unwrap_or(u32::MAX);
    match worst {
        Some(list) => Shortage { role: list.role, wanted: list.wanted, found: found(&list), reasons: list.reasons },
        None => Shortage { role: Role::Hoster, wanted: 0, found: 0, reasons: BTreeMap::new() },
    }
}
