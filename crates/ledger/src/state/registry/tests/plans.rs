use std::collections::BTreeMap;

use peermark_judge::capacity::Pressure;

use crate::genesis::{Genesis, Policy};
use crate::item::component::Timing;
use crate::item::hosting::ContractStatus;
use crate::item::plan::{PlanStatus, ProgramItem, Until};
use crate::item::user::Role;
use crate::item::{Contract, Plan};
use crate::machine::Machine;
use crate::outcome::Refusal;
use crate::state::accounts::Account;
use crate::state::work::{Market, MarketKey};
use crate::town::{MONEY, Town, address, genesis, plan};
use crate::transaction::plan::ProgramDraft;
use crate::transaction::{Components, PlanAt, PublishPlan, Transaction, UpdatePlan};
use crate::{Amount, Height, Id};

fn town() -> Town {
    let mut town = Town::new(Policy::default());
    town.register(1);
    town.register(2);
    town
}

fn publish(town: &mut Town, draft: PublishPlan) -> Result<Id, Refusal> {
    let created = town.say(1, Transaction::PublishPlan(draft))?;
    Ok(*created.iter().find(|id| town.state().is(**id, "plan")).unwrap())
}

fn status(town: &Town, id: Id) -> PlanStatus {
    town.state().item::<Plan>(id).unwrap().status
}

fn contracts(town: &Town, id: Id) -> Vec<ContractStatus> {
    let contracts = &town.state().item::<Plan>(id).unwrap().contracts;
    contracts.iter().map(|id| town.state().item::<Contract>(*id).unwrap().status).collect()
}

/// S42, S44: a plan has a contract for each set of each dataset of each item.
#[test]
fn s44_items_add_up() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    draft.components.datasets.push(crate::item::Dataset { feed: -1, ranges: vec![(5, 5), (90, 99)] });
    draft.program = vec![
        ProgramDraft::Item(ProgramItem {
            datasets: vec![-1, -2],
            regions: vec![-1],
            performance: None,
            timings: vec![],
        }),
        ProgramDraft::Item(ProgramItem {
            datasets: vec![-2],
            regions: vec![-1],
            performance: Some(-1),
            timings: vec![],
        }),
    ];
    let id = publish(&mut town, draft).unwrap();
    let plan = town.state().item::<Plan>(id).unwrap().clone();
    assert_eq!(plan.sponsor, 0);
    let made: Vec<(u32, Vec<(u64, u64)>)> = plan
        .contracts
        .iter()
        .map(|id| town.state().item::<Contract>(*id).map(|one| (one.program, one.ranges.clone())).unwrap())
        .collect();
    assert_eq!(
        made,
        [
            (0, vec![(0, 9)]),
            (0, vec![(10, 19)]),
            (0, vec![(20, 24)]),
            (0, vec![(5, 5), (90, 98)]),
            (0, vec![(99, 99)]),
            (1, vec![(5, 5), (90, 98)]),
            (1, vec![(99, 99)]),
        ]
    );
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let mut town = Town::new(Policy { max_contracts: 5, ..Policy::default() });
    town.register(1);
    town.go_to(10);
    let with = |change: &dyn Fn(&mut PublishPlan)| {
        let mut draft = plan(&town, 50);
        change(&mut draft);
        draft
    };
    let until = |until: Until| with(&|draft| draft.until = until.clone());
    let time = |time| Until { time: Some(time), ..Until::default() };
    let cases = [
        ("ends in the past", until(time(3))),
        ("ends now", until(time(11))),
        ("ends before it begins", with(&|draft| (draft.from, draft.until) = (50, time(50)))),
        ("no budget", until(Until { budget: Some(0), ..Until::default() })),
        ("no traffic", until(Until { traffic_bytes: Some(0), ..Until::default() })),
        (
            "dearer than allowed",
            with(&|draft| {
                (draft.price, draft.deposit) = (5, 100_000);
                draft.until.max_price = Some(4);
            }),
        ),
        ("nothing asked", with(&|draft| draft.program.clear())),
        ("unfunded", with(&|draft| draft.price = 5)),
        ("more than there is", with(&|draft| (draft.price, draft.deposit) = (5, MONEY + 1))),
        ("a little less than needed", with(&|draft| (draft.price, draft.deposit) = (5, 5 * 3 * 600 - 1))),
        ("too many contracts", with(&|draft| draft.components.datasets[0].ranges = vec![(0, 59)])),
        ("beyond the feed", with(&|draft| draft.components.datasets[0].ranges = vec![(0, 100)])),
    ];
    let before = town.state().storage().len();
    for (what, draft) in cases {
        let refused = publish(&mut town, draft);
        assert!(refused.is_err(), "{what}");
        assert_eq!(town.state().storage().len(), before, "{what}");
        assert_eq!(town.state().balance(&Account::Money(address(1))), MONEY, "{what}");
    }
    // Funded for its own length, or its budget.
    for (until, deposit) in [(time(30), 5 * 3 * 10), (Until { budget: Some(77), ..Until::default() }, 77)] {
        let mut draft = plan(&town, 50);
        (draft.from, draft.price, draft.deposit, draft.until) = (20, 5, deposit, until);
        publish(&mut town, draft).unwrap();
    }
}

/// S43: time ends a plan, its contracts end with it, and what is left of its money goes back.
#[test]
fn s43_time_ends_a_plan_and_refunds() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    (draft.price, draft.deposit) = (1, 5000);
    draft.until.time = Some(30);
    let id = publish(&mut town, draft).unwrap();
    assert_eq!(town.state().balance(&Account::Money(address(1))), MONEY - 5000);
    assert!(matches!(town.say(1, Transaction::DeleteAccount {}), Err(Refusal::NotNow { .. })));
    town.go_to(29);
    assert_eq!(status(&town, id), PlanStatus::Active);
    town.go_to(30);
    assert_eq!((status(&town, id), contracts(&town, id)), (PlanStatus::Ended, vec![ContractStatus::Ended; 3]));
    assert!(town.happened("end-plan"));
    assert_eq!(town.state().balance(&Account::Money(address(1))), MONEY);
    assert_eq!(town.state().balance(&Account::Plan(id)), 0);
    let late = town.say(1, Transaction::UnpublishPlan(PlanAt { plan: id }));
    assert!(matches!(late, Err(Refusal::NotNow { .. })));
}

/// S43: budget, traffic and deposit end a plan too, whatever comes first; more of it keeps the plan.
#[test]
fn s43_the_first_limit_ends_a_plan() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    (draft.price, draft.deposit) = (1, 5000);
    draft.until = Until { time: Some(900), budget: Some(3000), traffic_bytes: Some(700), max_price: None };
    let id = publish(&mut town, draft).unwrap();
    type Change = dyn Fn(&mut Plan);
    let reached: [(&Change, PlanStatus); 5] = [
        (&|plan| plan.spent = 2999, PlanStatus::Active),
        (&|plan| plan.spent = 3000, PlanStatus::Ended),
        (&|plan| plan.traffic_bytes = 699, PlanStatus::Active),
        (&|plan| plan.traffic_bytes = 700, PlanStatus::Ended),
        (&|plan| plan.price = 5001, PlanStatus::Ended),
    ];
    for (change, expected) in reached {
        let mut state = town.state().clone();
        state.change::<Plan>(id, change).unwrap();
        state.plan_end(id).unwrap();
        assert_eq!(state.item::<Plan>(id).unwrap().status, expected);
        // Nothing happens twice.
        state.plan_end(id).unwrap();
    }
}

/// S43: a price above the most that is paid holds a plan and does not end it. One that its sponsor holds, publishes or changes meanwhile
/// follows the price of that moment.
#[test]
fn s43_a_price_above_the_limit_holds_a_plan() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    draft.until.max_price = Some(10);
    let id = publish(&mut town, draft).unwrap();
    let mut state = town.state().clone();
    let mut at = |price| {
        state.set_markets(everywhere(price)).unwrap();
        state.item::<Plan>(id).unwrap().status
    };
    assert_eq!(
        [at(10), at(11), at(12), at(10)],
        [PlanStatus::Active, PlanStatus::TooDear, PlanStatus::TooDear, PlanStatus::Active]
    );
    state.pause_plan(0, id).unwrap();
    state.set_markets(everywhere(11)).unwrap();
    assert_eq!(state.item::<Plan>(id).unwrap().status, PlanStatus::Paused);
    state.resume_plan(0, id).unwrap();
    assert_eq!(state.item::<Plan>(id).unwrap().status, PlanStatus::TooDear);
    let until = |most| {
        let until = Some(Until { max_price: Some(most), time: Some(50), ..Until::default() });
        UpdatePlan { plan: id, components: Components::default(), until, add: vec![], remove: vec![], deposit: 0 }
    };
    state.update_plan(0, &until(11)).unwrap();
    assert_eq!(state.item::<Plan>(id).unwrap().status, PlanStatus::Active);
    state.update_plan(0, &until(10)).unwrap();
    assert_eq!(state.item::<Plan>(id).unwrap().status, PlanStatus::TooDear);
    let mut draft = plan(&town, 50);
    draft.until.max_price = Some(10);
    let created = state.publish_plan(0, &draft).unwrap();
    let other = *created.iter().find(|id| state.is(**id, "plan")).unwrap();
    assert_eq!(state.item::<Plan>(other).unwrap().status, PlanStatus::TooDear);
}

/// Hosting has one price in the whole network.
fn everywhere(price: Amount) -> BTreeMap<MarketKey, Market> {
    let market =
        Market { held: 0, waiting: 0, free: 0, utilisation_ppm: 0, pressure: Pressure::Stay, price: Some(price) };
    [((Role::Hoster, None), market)].into()
}

/// Only the sponsor holds, changes and ends its plan; cancelling ends all contracts.
#[test]
fn only_the_sponsor_ends_its_plan() {
    let mut town = town();
    let draft = plan(&town, 50);
    let id = publish(&mut town, draft).unwrap();
    let at = PlanAt { plan: id };
    let update = UpdatePlan {
        plan: id,
        components: Components::default(),
        until: None,
        add: vec![],
        remove: vec![],
        deposit: 0,
    };
    for stranger in [
        Transaction::UnpublishPlan(at.clone()),
        Transaction::PausePlan(at.clone()),
        Transaction::ResumePlan(at.clone()),
        Transaction::UpdatePlan(update),
    ] {
        assert!(matches!(town.say(2, stranger), Err(Refusal::NotAllowed { .. })));
    }
    assert!(town.say(1, Transaction::ResumePlan(at.clone())).is_err());
    town.say(1, Transaction::PausePlan(at.clone())).unwrap();
    assert_eq!(status(&town, id), PlanStatus::Paused);
    assert!(town.happened("pause-plan"));
    town.say(1, Transaction::ResumePlan(at.clone())).unwrap();
    town.say(1, Transaction::UnpublishPlan(at.clone())).unwrap();
    assert_eq!(status(&town, id), PlanStatus::Cancelled);
    assert_eq!(contracts(&town, id), [ContractStatus::Cancelled; 3]);
    assert!(town.say(1, Transaction::UnpublishPlan(at)).is_err());
    assert!(matches!(town.say(1, Transaction::UnpublishPlan(PlanAt { plan: 0 })), Err(Refusal::WrongKind { .. })));
}

/// Contracts of items that stay are kept; those of items that go are ended.
#[test]
fn an_update_keeps_what_stays() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    draft.components.datasets.push(crate::item::Dataset { feed: -1, ranges: vec![(40, 44)] });
    draft.program.push(ProgramDraft::Item(ProgramItem {
        datasets: vec![-2],
        regions: vec![-1],
        performance: None,
        timings: vec![],
    }));
    let id = publish(&mut town, draft).unwrap();
    let before = town.state().item::<Plan>(id).unwrap().clone();
    let dataset = i64::try_from(before.program[1].datasets[0]).unwrap();
    let update = |remove: Vec<u32>, add: usize| {
        let item = ProgramItem { datasets: vec![dataset], regions: vec![], performance: None, timings: vec![] };
        Transaction::UpdatePlan(UpdatePlan {
            plan: id,
            components: Components::default(),
            until: None,
            add: vec![item; add],
            remove,
            deposit: 0,
        })
    };
    assert!(matches!(town.say(1, update(vec![2], 0)), Err(Refusal::Unknown { .. })));
    assert!(matches!(town.say(1, update(vec![0, 1], 0)), Err(Refusal::Invalid { .. })));
    assert_eq!(contracts(&town, id).len(), 4);
    town.say(1, update(vec![0], 1)).unwrap();
    let after = town.state().item::<Plan>(id).unwrap().clone();
    assert_eq!((after.program.len(), after.contracts.len()), (2, 2));
    assert_eq!(after.contracts[0], before.contracts[3]);
    let numbers: Vec<u32> =
        after.contracts.iter().map(|id| town.state().item::<Contract>(*id).unwrap().program).collect();
    assert_eq!(numbers, [0, 1]);
    for ended in &before.contracts[..3] {
        assert_eq!(town.state().item::<Contract>(*ended).unwrap().status, ContractStatus::Cancelled);
    }
}

/// Windows drive activity: what is hosted rests outside of them, and a held plan rests all the time.
#[test]
fn windows_make_contracts_rest() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    draft.components.timings = vec![Timing { delay: 10, duration: Some(5), pause: 5, repeat: Some(1) }];
    if let ProgramDraft::Item(item) = &mut draft.program[0] {
        item.timings = vec![-1];
    }
    draft.from = 10;
    draft.until.time = Some(60);
    let id = publish(&mut town, draft).unwrap();
    let contract = town.state().item::<Plan>(id).unwrap().contracts[0];
    // Nobody is there to host; the contract is set as if it were hosted.
    let mut state = town.state().clone();
    state.change::<Contract>(contract, |contract| contract.status = ContractStatus::Active).unwrap();
    let mut seen: Vec<(Height, ContractStatus)> = Vec::new();
    let only_windows = |state: &mut crate::state::State| {
        // Everything else that is planned belongs to hosting.
        let due: Vec<_> =
            state.agenda.range(..=(state.height(), u64::MAX)).map(|(key, action)| (*key, action.clone())).collect();
        for (key, action) in due {
            state.agenda.take(&key);
            if !matches!(action, crate::state::agenda::Action::PlanExecution { .. }) {
                state.run_registry(&action).unwrap();
            }
        }
    };
    for height in town.height() + 1..=60 {
        state.begin(height, crate::town::beacon(height));
        only_windows(&mut state);
        let now = state.item::<Contract>(contract).unwrap().status;
        if seen.last().is_none_or(|(_, last)| *last != now) {
            seen.push((height, now));
        }
    }
    use ContractStatus as S;
    let first = seen[0].0;
    assert_eq!(
        seen,
        [
            (first, S::Active),
            (10, S::Dormant),
            (20, S::Active),
            (25, S::Dormant),
            (30, S::Active),
            (35, S::Dormant),
            (60, S::Ended)
        ]
    );
}

/// A plan pays at least what the policy asks, also for its set-ups and first challenges, and a sponsor has a bounded number of
/// contracts.
#[test]
fn nothing_is_hosted_for_free() {
    let mut town = Town::new(Policy::default());
    let policy = Policy { sponsor_contracts: 8, ..Policy::default() };
    town.machine = Machine::new(Genesis { policy, ..genesis(Policy::default()) });
    town.register(1);
    let paid = |town: &Town, author, deposit| {
        let mut draft = plan(town, author);
        (draft.price, draft.deposit) = (1, deposit);
        draft
    };
    let free = plan(&town, 50);
    assert!(matches!(publish(&mut town, free), Err(Refusal::Invalid { .. })));
    // Three contracts: 600 blocks each, and three copies, a set-up report and three challenges each; a round of five for their feed.
    let needed = 3 * (600 + 3 * 5 + 5 + 3 * 10) + 5 * 10;
    let short = paid(&town, 50, needed - 1);
    assert!(matches!(publish(&mut town, short), Err(Refusal::OverBudget { .. })));
    for author in [50, 51] {
        let enough = paid(&town, author, needed);
        publish(&mut town, enough).unwrap();
    }
    let more = paid(&town, 52, needed);
    assert!(matches!(publish(&mut town, more), Err(Refusal::TooMany { found: 9, limit: 8, .. })));
}

/// An end that replaces another leaves nothing of that one behind, and nothing is planned for ages ahead.
#[test]
fn another_end_replaces_the_one_before() {
    let mut town = town();
    let mut draft = plan(&town, 50);
    draft.until.time = Some(500);
    let id = publish(&mut town, draft.clone()).unwrap();
    let before = town.state().agenda.len();
    let to = |time| {
        let until = Some(Until { time: Some(time), ..Until::default() });
        Transaction::UpdatePlan(UpdatePlan {
            plan: id,
            components: Components::default(),
            until,
            add: vec![],
            remove: vec![],
            deposit: 0,
        })
    };
    for time in 600..620 {
        town.say(1, to(time)).unwrap();
        assert!(town.state().agenda.len() <= before);
    }
    assert!(matches!(town.say(1, to(1 << 30)), Err(Refusal::Invalid { .. })));
    town.say(1, Transaction::UnpublishPlan(PlanAt { plan: id })).unwrap();
    assert!(town.state().plan_ends.is_empty());
    (draft.from, draft.until.time) = (1 << 30, None);
    assert!(matches!(publish(&mut town, draft), Err(Refusal::Invalid { .. })));
}
