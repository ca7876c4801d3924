//! The registry against a small model of it, and against itself replayed: random histories, every refusal included.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::genesis::Policy;
use crate::item::User;
use crate::item::component::Timing;
use crate::item::plan::ProgramItem;
use crate::item::user::Role;
use crate::machine::{Block, Machine};
use crate::state::accounts::Account;
use crate::state::agenda::Action;
use crate::town::{MONEY, Offer, Town, address, feed, genesis, plan, register};
use crate::transaction::plan::{Feeds, ProgramDraft};
use crate::transaction::{Components, Pause, PlanAt, PublishPlan, Transaction, Transfer};

/// What somebody tries.
#[derive(Clone, Debug)]
enum Step {
    Register(u16),
    Offer(u16, u8),
    Delete(u16),
    Pause(u16, u64),
    Unpause(u16),
    Send(u16, u16, u64),
    Timings(u16, Vec<u64>),
    Feed(u16, u16, u64),
    Plan(u16, u16, u64, bool),
    Unpublish(u16, u8),
    Wait(u64),
}

/// What a registry is, in the fewest words.
#[derive(Default)]
struct Model {
    ids: u64,
    users: BTreeMap<u16, u64>,
    gone: BTreeSet<u16>,
    working: BTreeSet<u16>,
    paused: BTreeMap<u16, u64>,
    pauses: BTreeMap<u16, u64>,
    money: BTreeMap<u16, u64>,
    timings: BTreeSet<u64>,
    regions: BTreeSet<u8>,
    resources: bool,
    feeds: BTreeMap<u16, u64>,
    datasets: BTreeSet<u16>,
    /// Id to sponsor and deposit.
    plans: BTreeMap<u64, (u16, u64)>,
    height: u64,
}

const PLACES: [&str; 3] = ["u33", "dr5", "x3f"];
const PLAN_PLACE: u8 = 0;

impl Model {
    fn live(&self, who: u16) -> bool {
        self.users.contains_key(&who) && !self.gone.contains(&who)
    }

    fn money(&mut self, who: u16) -> &mut u64 {
        self.money.entry(who).or_insert(MONEY)
    }

    fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids - 1
    }

    /// Pauses end at the beginning of their block.
    fn next_block(&mut self) {
        self.height += 1;
        self.paused.retain(|_, until| *until > self.height);
    }

    /// Whether the step is taken; what it creates follows from its kind.
    fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Register(who) => {
                let new = !self.users.contains_key(who);
                if new {
                    let id = self.new_id();
                    self.users.insert(*who, id);
                }
                new
            }
            Step::Offer(who, place) => {
                let taken = self.live(*who);
                if taken {
                    self.ids += u64::from(self.regions.insert(*place)) + u64::from(!self.resources);
                    self.resources = true;
                    self.working.insert(*who);
                }
                taken
            }
            Step::Delete(who) => {
                let taken = self.live(*who) && !self.plans.values().any(|(sponsor, _)| sponsor == who);
                if taken {
                    self.gone.insert(*who);
                    self.working.remove(who);
                    self.paused.remove(who);
                }
                taken
            }
            Step::Pause(who, blocks) => {
                let until = self.height + blocks;
                // Each costs 10 of the reputation, of which 20 may be missing.
                let cost = self.pauses.get(who).copied().unwrap_or(0) < 2;
                let taken = self.live(*who) && !self.paused.contains_key(who) && (1..=600).contains(blocks) && cost;
                *self.pauses.entry(*who).or_default() += u64::from(taken);
                taken && self.paused.insert(*who, until).is_none()
            }
            Step::Unpause(who) => self.live(*who) && self.paused.remove(who).is_some(),
            Step::Send(from, to, amount) => {
                let taken = *amount > 0 && *self.money(*from) >= *amount;
                if taken {
                    *self.money(*from) -= amount;
                    *self.money(*to) += amount;
                }
                taken
            }
            Step::Timings(who, timings) => {
                let taken = self.live(*who) && timings.iter().all(|duration| *duration >= 5);
                if taken {
                    self.ids += timings.iter().filter(|timing| self.timings.insert(**timing)).count() as u64;
                }
                taken
            }
            Step::Feed(who, author, length) => {
                let taken = self.live(*who);
                if taken {
                    let longest = self.feeds.get(author).copied();
                    self.ids += u64::from(longest.is_none());
                    self.feeds.insert(*author, longest.unwrap_or(0).max(*length));
                }
                taken
            }
            Step::Plan(who, author, deposit, known) => self.plan(*who, *author, *deposit, *known),
            Step::Unpublish(who, which) => {
                let id = self.nth_plan(*which);
                let own = self.plans.get(&id).copied().filter(|(sponsor, _)| sponsor == who && self.live(*who));
                let Some((_, deposit)) = own else { return false };
                self.plans.remove(&id);
                *self.money(*who) += deposit;
                true
            }
            Step::Wait(_) => true,
        }
    }

    fn plan(&mut self, who: u16, author: u16, deposit: u64, known: bool) -> bool {
        if !self.live(who) || !known || *self.money(who) < deposit {
            return false;
        }
        self.ids += u64::from(!self.feeds.contains_key(&author));
        let longest = self.feeds.entry(author).or_insert(0);
        *longest = (*longest).max(100);
        self.ids += u64::from(self.datasets.insert(author));
        // The performance of the draft is new with the first plan, as is its region where nobody is there.
        self.ids += u64::from(self.datasets.len() == 1 && self.plans_made() == 0);
        self.ids += u64::from(self.regions.insert(PLAN_PLACE));
        let id = self.new_id();
        self.ids += 3;
        *self.money(who) -= deposit;
        self.plans.insert(id, (who, deposit));
        self.timings.insert(u64::MAX);
        true
    }

    /// Marked among the timings, where no step puts so large a one.
    fn plans_made(&self) -> usize {
        usize::from(self.timings.contains(&u64::MAX))
    }

    fn nth_plan(&self, which: u8) -> u64 {
        self.plans.keys().nth(usize::from(which)).copied().unwrap_or(u64::from(which))
    }
}

fn transaction(town: &Town, model: &Model, step: &Step) -> Option<(u16, Transaction)> {
    Some(match step {
        Step::Register(who) => (*who, register(*who)),
        Step::Offer(who, place) => {
            (*who, Offer::new(PLACES[usize::from(*place)], format!("op{who}")).only(Role::Hoster).transaction())
        }
        Step::Delete(who) => (*who, Transaction::DeleteAccount {}),
        Step::Pause(who, blocks) => (*who, Transaction::Pause(Pause { until: Some(town.height() + 1 + blocks) })),
        Step::Unpause(who) => (*who, Transaction::Unpause {}),
        Step::Send(from, to, amount) => (*from, Transaction::Transfer(Transfer { to: address(*to), amount: *amount })),
        Step::Timings(who, timings) => {
            let timing = |duration: &u64| Timing { delay: 0, duration: Some(*duration), pause: 5, repeat: None };
            let timings = timings.iter().map(timing).collect();
            (*who, Transaction::PublishComponents(Components { timings, ..Components::default() }))
        }
        Step::Feed(who, author, length) => {
            (*who, Transaction::PublishFeeds(Feeds { feeds: vec![feed(town, *author, *length)] }))
        }
        Step::Plan(who, author, deposit, known) => {
            let mut draft: PublishPlan = plan(town, *author);
            (draft.deposit, draft.from) = (*deposit, 1_000_000);
            if !known {
                let item = ProgramItem { datasets: vec![-7], regions: vec![], performance: None, timings: vec![] };
                draft.program.push(ProgramDraft::Item(item));
            }
            (*who, Transaction::PublishPlan(draft))
        }
        Step::Unpublish(who, which) => (*who, Transaction::UnpublishPlan(PlanAt { plan: model.nth_plan(*which) })),
        Step::Wait(_) => return None,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 1_u16..5;
    let step = prop_oneof![
        3 => who.clone().prop_map(Step::Register),
        3 => (who.clone(), 0_u8..3).prop_map(|(who, place)| Step::Offer(who, place)),
        1 => who.clone().prop_map(Step::Delete),
        2 => (who.clone(), 0_u64..8).prop_map(|(who, blocks)| Step::Pause(who, blocks)),
        1 => who.clone().prop_map(Step::Unpause),
        2 => (who.clone(), 1_u16..5, 0_u64..700_000).prop_map(|(from, to, amount)| Step::Send(from, to, amount)),
        2 => (who.clone(), prop::collection::vec(3_u64..9, 0..4)).prop_map(|(who, timings)| Step::Timings(who, timings)),
        2 => (who.clone(), 50_u16..52, 1_u64..30).prop_map(|(who, author, length)| Step::Feed(who, author, length)),
        3 => (who.clone(), 50_u16..52, 0_u64..600_000, prop::bool::weighted(0.8))
            .prop_map(|(who, author, deposit, known)| Step::Plan(who, author, deposit, known)),
        2 => (who, 0_u8..4).prop_map(|(who, which)| Step::Unpublish(who, which)),
        1 => (1_u64..10).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..50)
}

fn compare(town: &Town, model: &mut Model) {
    let state = town.state();
    assert_eq!(state.storage().len(), model.ids);
    assert_eq!(state.height(), model.height);
    for who in 1..5_u16 {
        assert_eq!(state.user_by_address.get(&address(who)), model.users.get(&who));
        assert_eq!(state.balance(&Account::Money(address(who))), *model.money(who));
        let Some(id) = model.users.get(&who).copied() else { continue };
        assert_eq!(state.item::<User>(id).is_ok(), model.live(who));
        let idle = model.working.contains(&who) && !model.paused.contains_key(&who);
        assert_eq!(state.idle.contains(&(Role::Hoster, id)), idle, "{who}");
    }
    let live: Vec<u64> = state.live_plans.iter().map(|((_, plan), ())| *plan).collect();
    assert_eq!(live.into_iter().collect::<BTreeSet<_>>(), model.plans.keys().copied().collect());
    for (plan, (_, deposit)) in &model.plans {
        assert_eq!(state.balance(&Account::Plan(*plan)), *deposit);
    }
    // S64: pools and cells follow from the users.
    assert_eq!(state.cells.len(), state.idle.len());
}

fn replayed(town: &Town, shuffled: bool) -> Machine {
    let mut machine = Machine::new(genesis(Policy::default()));
    for (height, entries) in (1..).zip(&town.blocks) {
        let mut entries = entries.clone();
        if shuffled {
            entries.reverse();
        }
        let _ = machine.finalize(&Block { height, beacon: crate::town::beacon(height), entries: &entries });
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// S64, S67: the registry does what the model does, refusals included; and replaying the log gives the same state.
    #[test]
    fn s64_random_histories_agree_with_the_model_and_replay(steps in steps()) {
        let mut town = Town::new(Policy::default());
        let mut model = Model::default();
        for step in &steps {
            match transaction(&town, &model, step) {
                Some((who, transaction)) => {
                    model.next_block();
                    let expected = model.take(step);
                    let found = town.say(who, transaction);
                    prop_assert_eq!(found.is_ok(), expected, "{:?}: {:?}", step, found);
                }
                None => {
                    let Step::Wait(blocks) = step else { continue };
                    for _ in 0..*blocks {
                        model.next_block();
                        town.block(vec![]);
                    }
                }
            }
            compare(&town, &mut model);
        }
        let again = replayed(&town, false);
        prop_assert_eq!(again.state().hash(), town.state().hash());
        prop_assert_eq!(again.snapshot(), town.machine.snapshot());
    }
}

/// The order in which a block's entries arrive does not matter.
#[test]
fn a_shuffled_block_gives_the_same_state() {
    let mut town = Town::new(Policy::default());
    let mut entries = Vec::new();
    for who in 1..6 {
        entries.push(town.seal(who, &register(who)));
        entries.push(town.seal(who, &Offer::new("u33", format!("op{who}")).transaction()));
    }
    let results = town.block(entries);
    assert!(results.iter().all(Result::is_ok));
    let draft = plan(&town, 50);
    let mut entries = vec![town.seal(1, &Transaction::PublishPlan(draft))];
    entries.extend((2..6).map(|who| town.seal(who, &Transaction::Transfer(Transfer { to: address(1), amount: 5 }))));
    town.block(entries);
    town.go_to(20);
    assert_eq!(replayed(&town, true).state().hash(), town.state().hash());
    assert!(town.state().agenda.iter().any(|(_, action)| !matches!(action, Action::PlanEnd { .. })));
}
