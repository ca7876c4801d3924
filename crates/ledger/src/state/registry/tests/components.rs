use crate::genesis::Policy;
use crate::item::component::{Dataset, Lag, Performance, Speed, Timing};
use crate::item::plan::ProgramItem;
use crate::item::{Plan, Region};
use crate::outcome::Refusal;
use crate::town::{Town, plan, region};
use crate::transaction::plan::ProgramDraft;
use crate::transaction::{Components, PublishPlan, Transaction};

fn town() -> Town {
    let mut town = Town::new(Policy::default());
    town.register(1);
    town
}

fn publish(town: &mut Town, components: Components) -> Result<Vec<u64>, Refusal> {
    town.say(1, Transaction::PublishComponents(components))
}

/// S45, S46, S65: equal content has one id, in whatever order its parts are written and whoever brings it.
#[test]
fn s46_equal_content_is_stored_once() {
    let mut town = town();
    let timing = Timing { delay: 1, duration: Some(5), pause: 5, repeat: None };
    let first = Components {
        regions: vec![region(&["u33", "X3F"]), region(&["x3f", "U33", "u33"])],
        timings: vec![timing.clone(), timing.clone()],
        ..Components::default()
    };
    let created = publish(&mut town, first.clone()).unwrap();
    assert_eq!(created.len(), 2);
    assert_eq!(publish(&mut town, first), Ok(vec![]));
    town.register(2);
    let before = town.state().storage().len();
    let other = Components { timings: vec![Timing { delay: 2, ..timing }], ..Components::default() };
    assert_eq!(town.say(2, Transaction::PublishComponents(other)), Ok(vec![before]));
    let kept = town.state().item::<Region>(created.iter().copied().find(|id| town.state().is(*id, "region")).unwrap());
    assert_eq!(kept.unwrap().geohashes, region(&["u33", "x3f"]).geohashes);
}

/// S65: the same component in two plans yields one id.
#[test]
fn s65_two_plans_share_a_component() {
    let mut town = town();
    let mut regions = Vec::new();
    for _ in 0..2 {
        let draft = plan(&town, 50);
        let created = town.say(1, Transaction::PublishPlan(draft)).unwrap();
        let plan = *created.iter().find(|id| town.state().is(**id, "plan")).unwrap();
        let item = town.state().item::<Plan>(plan).unwrap().program[0].clone();
        regions.push((item.regions, item.datasets));
    }
    assert_eq!(regions[0], regions[1]);
}

fn planned(state: &crate::state::State) -> bool {
    state.agenda.iter().any(|(_, action)| matches!(action, crate::state::agenda::Action::PlanExecution { .. }))
}

/// S47, S48, S67: one wrong reference and the whole transaction changes nothing.
#[test]
fn s67_one_bad_reference_changes_nothing() {
    let mut town = town();
    const USER: i64 = 0;
    let created = publish(&mut town, Components { regions: vec![region(&["u33"])], ..Components::default() }).unwrap();
    let existing = i64::try_from(created[0]).unwrap();
    let with = |change: &dyn Fn(&mut ProgramItem<i64>), town: &Town| {
        let mut draft = plan(town, 50);
        if let ProgramDraft::Item(item) = &mut draft.program[0] {
            change(item);
        }
        Transaction::PublishPlan(draft)
    };
    let before = town.state().storage().len();
    type Change = dyn Fn(&mut ProgramItem<i64>);
    let cases: Vec<(&str, Box<Change>)> = vec![
        ("beyond the list", Box::new(|item| item.datasets = vec![-2])),
        ("far beyond", Box::new(|item| item.datasets = vec![i64::MIN])),
        ("never given", Box::new(|item| item.datasets = vec![9_999])),
        ("of another type", Box::new(|item| item.regions = vec![USER])),
        ("of another type too", Box::new(move |item| item.datasets = vec![existing])),
        ("of an empty list", Box::new(|item| item.timings = vec![-1])),
        ("none", Box::new(|item| item.datasets.clear())),
        ("too many", Box::new(|item| item.regions = vec![-1; 65])),
    ];
    for (what, case) in cases {
        let transaction = with(&case, &town);
        let refused = town.say(1, transaction);
        assert!(refused.is_err(), "{what}");
        let state = town.state();
        assert_eq!(state.storage().len(), before, "{what}");
        assert!(state.feed_by_key.is_empty() && state.live_plans.is_empty() && !planned(state), "{what}");
    }
    // Both kinds of reference in one item.
    let transaction = with(&|item| item.regions = vec![existing, -1], &town);
    town.say(1, transaction).unwrap();
}

/// What nobody can keep, or nobody can prove, is refused when it is published.
#[test]
fn absurd_components_are_refused() {
    let mut town = town();
    let lag = |lag_ms, guarantee| Performance { latency: Some(Lag { lag_ms, guarantee }), ..Performance::default() };
    let speed =
        |bits_per_s, guarantee| Performance { egress: Some(Speed { bits_per_s, guarantee }), ..Performance::default() };
    let availability = |share| Performance { availability: Some(share), ..Performance::default() };
    for wrong in [
        Performance::default(),
        lag(0, 900_000),
        lag(100, 0),
        lag(100, 1_000_001),
        lag(100, 1_000_000),
        lag(100, 999_901),
        speed(0, 900_000),
        speed(1000, u32::MAX),
        availability(0),
        availability(1_000_000),
    ] {
        let refused = publish(&mut town, Components { performances: vec![wrong.clone()], ..Components::default() });
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{wrong:?}");
    }
    let draft = crate::town::feed(&town, 50, 10);
    for ranges in [vec![], vec![(5, 4)], vec![(0, 10)], vec![(0, u64::MAX)], vec![(0, 1); 65]] {
        let components = Components {
            feeds: vec![draft.clone()],
            datasets: vec![Dataset { feed: -1, ranges: ranges.clone() }],
            ..Components::default()
        };
        assert!(publish(&mut town, components).is_err(), "{ranges:?}");
        assert!(town.state().feed_by_key.is_empty());
    }
    let never = Timing { delay: 0, duration: Some(0), pause: 1, repeat: None };
    assert!(publish(&mut town, Components { timings: vec![never], ..Components::default() }).is_err());
    assert!(publish(&mut town, Components { regions: vec![region(&[])], ..Components::default() }).is_err());
    publish(&mut town, Components { performances: vec![lag(100, 999_900)], ..Components::default() }).unwrap();
}

/// S52: all of a type can be listed; S47: a plan may copy the programs of others; without a region a plan is about the whole earth.
#[test]
fn s52_entries_are_listed_by_type_and_programs_copied() {
    let mut town = town();
    let draft = plan(&town, 50);
    let created = town.say(1, Transaction::PublishPlan(draft.clone())).unwrap();
    let first = *created.iter().find(|id| town.state().is(**id, "plan")).unwrap();
    let copy = PublishPlan {
        components: Components::default(),
        program: vec![ProgramDraft::Plans(vec![first, first])],
        ..draft.clone()
    };
    let created = town.say(1, Transaction::PublishPlan(copy.clone())).unwrap();
    let second = *created.iter().find(|id| town.state().is(**id, "plan")).unwrap();
    assert_eq!(town.state().item::<Plan>(second).unwrap().program.len(), 2);
    assert_eq!(town.state().item::<Plan>(second).unwrap().contracts.len(), 6);
    assert_eq!(town.state().all_of("plan").collect::<Vec<_>>(), [first, second]);
    let wrong = PublishPlan { program: vec![ProgramDraft::Plans(vec![0])], ..copy };
    assert!(matches!(town.say(1, Transaction::PublishPlan(wrong)), Err(Refusal::WrongKind { .. })));
    let mut anywhere = draft;
    if let ProgramDraft::Item(item) = &mut anywhere.program[0] {
        item.regions.clear();
    }
    town.say(1, Transaction::PublishPlan(anywhere)).unwrap();
    let third = town.state().all_of("plan").last().unwrap();
    let region = town.state().item::<Plan>(third).unwrap().program[0].regions[0];
    assert_eq!(town.state().item::<Region>(region).unwrap().geohashes.len(), 32);
}

/// Windows that change every few blocks, and timetables that nobody can compare, are refused.
#[test]
fn timings_have_least_windows_and_a_bound() {
    let mut town = town();
    let timing = |duration, pause, repeat| Timing { delay: 0, duration: Some(duration), pause, repeat };
    let mut of = |timings: Vec<Timing>| publish(&mut town, Components { timings, ..Components::default() });
    for short in [timing(1, 1, None), timing(4, 5, None), timing(5, 4, None), timing(5, 4, Some(1))] {
        assert!(matches!(of(vec![short]), Err(Refusal::Invalid { .. })));
    }
    of(vec![timing(5, 5, None), timing(5, 1, Some(0)), timing(5, 0, None)]).unwrap();
    let five = (1..=5).map(|pause| timing(9, 10 * pause, None)).collect();
    let ids: Vec<i64> = of(five).unwrap().into_iter().map(|id| id as i64).collect();
    let mut draft = plan(&town, 50);
    let ProgramDraft::Item(item) = &mut draft.program[0] else { unreachable!() };
    item.timings = ids;
    let refused = town.say(1, Transaction::PublishPlan(draft));
    assert!(matches!(refused, Err(Refusal::TooMany { limit: 4, .. })), "{refused:?}");
}

/// An item asks for at most 256 areas in all its regions.
#[test]
fn areas_of_an_item_are_bounded_in_sum() {
    let mut town = town();
    let cell = |number| peermark_core::region::Geohash::of_number(number, 4).unwrap();
    let half = |from: u32| Region { geohashes: (from..from + 128).map(cell).collect() };
    let mut draft = plan(&town, 50);
    draft.components.regions = vec![half(0), half(128), half(256)];
    let mut with = |regions: Vec<i64>| {
        let mut draft = draft.clone();
        let ProgramDraft::Item(item) = &mut draft.program[0] else { unreachable!() };
        item.regions = regions;
        town.say(1, Transaction::PublishPlan(draft))
    };
    assert!(matches!(with(vec![-1, -2, -3]), Err(Refusal::TooMany { found: 384, limit: 256, .. })));
    with(vec![-1, -2]).unwrap();
}
