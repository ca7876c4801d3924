use std::collections::BTreeMap;

use peermark_judge::qualification::Standing;

use super::*;
use crate::genesis::Policy;
use crate::item::user::{Foreign, Pause, PausedBy};
use crate::item::{Contract, Plan, User};
use crate::state::standing::{Quality, Range};
use crate::town::{Offer, Town, plan, region};
use crate::transaction::Transaction;

mod draws;

fn hosters(count: u32) -> Vec<(Role, u32)> {
    vec![(Role::Hoster, count)]
}

fn in_berlin() -> Terms {
    Terms { regions: region(&["u33"]).geohashes, ..Terms::default() }
}

fn search(about: Id, wanted: Vec<(Role, u32)>, terms: Terms) -> Search {
    Search { about, wanted, terms, ..Search::default() }
}

/// A row as the evaluation would write it.
fn quality(standing: Standing, tier: u8, low: u32) -> Quality {
    Quality {
        standing,
        tier,
        availability: Some(Range { low, high: low + 5000 }),
        latency: vec![],
        egress: vec![],
        ingress: vec![],
        disputed: false,
        at: 0,
    }
}

fn names(state: &crate::state::State, user: Id, role: Role, terms: &Terms) -> Vec<&'static str> {
    state.does_not_qualify(user, role, terms).unwrap().iter().map(Reason::name).collect()
}

/// R79, R82, R84: every reason on its own.
#[test]
fn r79_each_reason_is_found() {
    let mut town = Town::new(Policy::default());
    let home = town.settle(1, Offer::new("u33d", "one"));
    let mut abroad = Offer::new("dr5", "two");
    abroad.form.foreign = Foreign::Any { min_price: 7 };
    abroad.form.min_price = 3;
    let abroad = town.settle(2, abroad);
    let mut listed = Offer::new("dr5", "three");
    listed.form.foreign = Foreign::Regions { region: -2, min_price: 5 };
    listed.components.regions = vec![region(&["u3"])];
    let listed = town.settle(3, listed);
    let mut short = Offer::new("u33", "four");
    short.form.until = Some(1000);
    short.storage_bytes = 10;
    let short = town.settle(4, short);
    let far = town.settle(5, Offer::new("dr5", "five").only(Role::Hoster));
    let state = town.state();
    let berlin = |price| Terms { price: Some(price), ..in_berlin() };
    let none: [&str; 0] = [];
    assert_eq!(names(state, home, Role::Hoster, &berlin(0)), none);
    assert_eq!(names(state, far, Role::Hoster, &berlin(9)), ["region"]);
    assert_eq!(names(state, far, Role::Attester, &berlin(9)), ["role"]);
    // R84: abroad for its price there.
    assert_eq!(names(state, abroad, Role::Hoster, &berlin(6)), ["price"]);
    assert_eq!(names(state, abroad, Role::Hoster, &berlin(7)), none);
    assert_eq!(names(state, listed, Role::Hoster, &berlin(4)), ["price"]);
    assert_eq!(names(state, listed, Role::Hoster, &berlin(5)), none);
    let elsewhere = Terms { regions: region(&["w21"]).geohashes, ..berlin(5) };
    assert_eq!(names(state, listed, Role::Hoster, &elsewhere), ["region"]);
    assert_eq!(names(state, short, Role::Hoster, &in_berlin()), ["schedule"]);
    assert_eq!(names(state, short, Role::Hoster, &Terms { until: Some(1000), ..in_berlin() }), none);
    assert_eq!(names(state, short, Role::Hoster, &Terms { until: Some(1001), ..in_berlin() }), ["schedule"]);
    assert_eq!(names(state, short, Role::Hoster, &Terms { until: Some(9), bytes: 11, ..in_berlin() }), ["storage"]);
    assert_eq!(names(state, home, Role::Encoder, &Terms { parties: [home].into(), ..in_berlin() }), ["party"]);
    assert!(state.does_not_qualify(999, Role::Hoster, &in_berlin()).is_err());
}

/// R79, R85: standing, failures and pauses keep somebody from new work.
#[test]
fn r82_reputation_pause_and_standing_count() {
    let mut town = Town::new(Policy::default());
    let home = town.settle(1, Offer::new("u33d", "one"));
    let terms = Terms {
        performances: vec![Performance { availability: Some(950_000), ..Performance::default() }],
        ..in_berlin()
    };
    let mut state = town.state().clone();
    let none: [&str; 0] = [];
    for (standing, low, expected) in [
        (Standing::Qualified, 950_000, &none[..]),
        (Standing::Probation, 100_000, &["performance"][..]),
        (Standing::Qualified, 947_000, &none[..]),
        (Standing::Grace, 950_000, &["standing"][..]),
        (Standing::Suspended, 950_000, &["standing"][..]),
        (Standing::Out, 950_000, &["standing"][..]),
    ] {
        state.qualities.put((home, "u33".parse().unwrap()), quality(standing, 2, low));
        assert_eq!(names(&state, home, Role::Hoster, &terms), expected, "{standing:?} {low}");
    }
    // R81, R83: what was measured elsewhere says nothing here, bad or good.
    state.qualities.take(&(home, "u33".parse().unwrap()));
    state.qualities.put((home, "dr5".parse().unwrap()), quality(Standing::Out, 4, 0));
    assert_eq!(names(&state, home, Role::Hoster, &terms), none);
    assert_eq!(state.stands(home, &terms).tier, 1);
    state.change::<User>(home, |user| user.reputation = -21).unwrap();
    state.change::<User>(home, |user| user.paused = Some(Pause { until: None, by: PausedBy::User })).unwrap();
    assert_eq!(names(&state, home, Role::Hoster, &terms), ["paused", "reputation"]);
}

/// The offer's windows must hold the plan's.
#[test]
fn the_schedule_compares_windows() {
    let mut town = Town::new(Policy::default());
    let mut offer = Offer::new("u33", "one");
    let window = |delay, duration, pause| Timing { delay, duration: Some(duration), pause, repeat: None };
    offer.components.timings = vec![window(0, 50, 50)];
    offer.form.timings = vec![-1];
    let home = town.settle(1, offer);
    let state = town.state();
    let terms = |timings| Terms { from: 100, until: Some(10_000), timings, ..in_berlin() };
    assert_eq!(names(state, home, Role::Hoster, &terms(vec![])), ["schedule"]);
    let none: [&str; 0] = [];
    assert_eq!(names(state, home, Role::Hoster, &terms(vec![window(0, 50, 50)])), none);
    assert_eq!(names(state, home, Role::Hoster, &terms(vec![window(10, 20, 80)])), none);
    assert_eq!(names(state, home, Role::Hoster, &terms(vec![window(40, 20, 80)])), ["schedule"]);
    assert_eq!(names(state, home, Role::Hoster, &terms(vec![window(0, 10, 60)])), ["schedule"]);
}

/// S60: the best matching regions first, those from abroad last.
#[test]
fn s60_classes_of_regions_come_in_order() {
    let mut town = Town::new(Policy::default());
    let mut far = Offer::new("dr5", "far");
    far.form.foreign = Foreign::Any { min_price: 0 };
    let far = town.settle(1, far);
    let near = town.settle(2, Offer::new("u30b", "near"));
    let mut reaching = Offer::new("u36", "reaching");
    reaching.form.radius = 3;
    let reaching = town.settle(3, reaching);
    let within = town.settle(4, Offer::new("u33d", "within"));
    let exact = town.settle(5, Offer::new("U33", "exact"));
    town.settle(6, Offer::new("u3", "shorter"));
    town.settle(7, Offer::new("w21", "elsewhere"));
    let chosen = |count| town.state().select(&search(0, hosters(count), in_berlin()));
    assert_eq!(chosen(2).unwrap()[&Role::Hoster], [exact, within]);
    let mut four = chosen(4).unwrap()[&Role::Hoster][2..].to_vec();
    four.sort_unstable();
    assert_eq!(four, [near, reaching]);
    assert_eq!(chosen(5).unwrap()[&Role::Hoster][4], far);
    let none = chosen(6).unwrap_err();
    assert_eq!((none.role, none.wanted, none.found), (Role::Hoster, 6, 5));
    // Nobody that is not idle is found.
    town.say(5, Transaction::Pause(crate::transaction::Pause { until: Some(50) })).unwrap();
    assert_eq!(town.state().select(&search(0, hosters(1), in_berlin())).unwrap()[&Role::Hoster], [within]);
}

/// Distinct people, operators and networks, those that stay and the parties included; where the first picks take the only one of
/// another role, the search goes back.
#[test]
fn a_team_is_of_different_people_operators_and_networks() {
    let mut town = Town::new(Policy::default());
    let mut place = |who: u16, operator: &str, prefix: &[u8], roles: &[Role]| {
        let mut offer = Offer::new("u33", operator);
        offer.form.prefix = prefix.to_vec();
        offer.roles = roles.to_vec();
        town.settle(who, offer)
    };
    use Role::{Attester as A, Encoder as E, Hoster as H};
    let both = place(1, "a", &[], &[E, H, A]);
    let twin = place(2, "A", &[], &[E, H]);
    let network = place(3, "b", &[9, 9, 9], &[E]);
    let neighbour = place(4, "c", &[9, 9, 9], &[H]);
    let state = town.state().clone();
    let select = |wanted: Vec<(Role, u32)>, terms: Terms| state.select(&search(1, wanted, terms));
    // The only attester is kept free for that, in whatever order roles are named.
    let team = select(vec![(H, 1), (E, 1), (A, 1)], in_berlin());
    assert!(team.is_err(), "a and A are one operator, b and c one network: {team:?}");
    let team = select(vec![(H, 1), (A, 1)], in_berlin()).unwrap();
    assert_eq!((team[&A].as_slice(), team[&H].as_slice()), (&[both][..], &[neighbour][..]));
    let team = select(vec![(E, 1), (A, 1)], in_berlin()).unwrap();
    assert_eq!(team[&E], [network]);
    // A party's operator is out too, and so is whoever stays.
    let party = Terms { parties: [twin].into(), ..in_berlin() };
    assert_eq!(select(vec![(H, 1)], party).unwrap()[&H], [neighbour]);
    let kept = Search { kept: vec![(E, network)], ..search(1, vec![(H, 1)], in_berlin()) };
    assert_ne!(state.select(&kept).unwrap()[&H], [neighbour]);
    let avoid = Search { avoid: [both, twin].into(), ..search(1, vec![(H, 1)], in_berlin()) };
    assert_eq!(state.select(&avoid).unwrap()[&H], [neighbour]);
}

/// R82: where a performance is asked for, at most one of three is not proven to keep it.
#[test]
fn r82_at_most_one_of_three_is_on_probation() {
    let mut policy = Policy::default();
    policy.judge.qualification.founding_hosters = 0;
    let mut town = Town::new(policy);
    let ids: Vec<Id> = (1..=6).map(|who| town.settle(who, Offer::new("u33", format!("op{who}")))).collect();
    let mut state = town.state().clone();
    let asked = Terms {
        performances: vec![Performance { availability: Some(950_000), ..Performance::default() }],
        ..in_berlin()
    };
    // Before there are founding hosters nobody could be proven beside anybody.
    assert!(!state.is_founding() && Town::new(Policy::default()).state().is_founding());
    assert!(state.select(&search(0, hosters(1), asked.clone())).is_ok());
    assert!(state.select(&search(0, hosters(2), asked.clone())).is_err());
    // Nothing is asked for, so nothing has to be proven: this is how a network begins.
    assert!(state.select(&search(0, hosters(3), in_berlin())).is_ok());
    for id in &ids[..2] {
        state.qualities.put((*id, "u33".parse().unwrap()), quality(Standing::Qualified, 1, 960_000));
    }
    for about in 0..50 {
        let team = state.select(&search(about, hosters(3), asked.clone())).unwrap();
        assert!(ids[..2].iter().all(|id| team[&Role::Hoster].contains(id)));
    }
    let kept = Search { kept: vec![(Role::Hoster, ids[5])], ..search(0, hosters(2), asked.clone()) };
    assert_eq!(state.select(&kept).unwrap()[&Role::Hoster].len(), 2);
    let kept = Search { kept: vec![(Role::Hoster, ids[5])], ..search(0, hosters(3), asked) };
    assert!(state.select(&kept).is_err());
}

/// R85: who qualifies is drawn by weight, at most 4 : 1, from the beacon of the block: everybody draws the same.
#[test]
fn r85_draws_follow_the_tier_and_can_be_repeated() {
    let mut town = Town::new(Policy::default());
    let ids: Vec<Id> = (1..=5).map(|who| town.settle(who, Offer::new("u33", format!("op{who}")))).collect();
    let mut state = town.state().clone();
    for (tier, id) in (1..).zip(&ids) {
        // A tier above the highest counts as the highest.
        state.qualities.put((*id, "u33".parse().unwrap()), quality(Standing::Qualified, tier, 960_000));
    }
    let mut counts: BTreeMap<Id, u32> = BTreeMap::new();
    let rounds = 2000;
    for about in 0..rounds {
        let search = search(about, hosters(1), in_berlin());
        let team = state.select(&search).unwrap();
        assert_eq!(state.select(&search).unwrap(), team);
        *counts.entry(team[&Role::Hoster][0]).or_default() += 1;
    }
    // Weights 1, 2, 3, 4, 4 of 14; five standard deviations are at most 102.
    for (weight, id) in [1, 2, 3, 4, 4].into_iter().zip(&ids) {
        let expected = rounds as u32 * weight / 14;
        assert!(counts[id].abs_diff(expected) < 110, "{weight}: {} instead of {expected}", counts[id]);
    }
}

/// What a contract asks: the plan's regions, performance and windows, the size of its chunks, and neither sponsor nor publisher.
#[test]
fn terms_are_those_of_the_plan() {
    let mut town = Town::new(Policy::default());
    let sponsor = town.register(1);
    let mut draft = plan(&town, 50);
    draft.price = 3;
    draft.deposit = 100_000;
    if let crate::transaction::plan::ProgramDraft::Item(item) = &mut draft.program[0] {
        item.performance = Some(-1);
    }
    let created = town.say(1, Transaction::PublishPlan(draft)).unwrap();
    let plan = *created.iter().find(|id| town.state().is(**id, "plan")).unwrap();
    let contracts = town.state().item::<Plan>(plan).unwrap().contracts.clone();
    assert_eq!(contracts.len(), 3);
    let terms = town.state().terms_of(contracts[0]).unwrap();
    assert_eq!(terms.regions, region(&["u33"]).geohashes);
    assert_eq!(terms.performances[0].availability, Some(900_000));
    assert_eq!((terms.price, terms.bytes), (Some(3), 1 << 20));
    assert_eq!(terms.parties, [sponsor].into());
    assert!(town.state().item::<Contract>(contracts[2]).unwrap().ranges == [(20, 24)]);
}

/// Who says no network is of the same as everybody who does not: a task takes one of them, unless the policy of a laboratory says
/// otherwise.
#[test]
fn unknown_networks_are_one_unless_the_policy_says_otherwise() {
    let lab = Policy { networks_known: false, ..Policy::default() };
    for (policy, found) in [(lab, true), (Policy::default(), false)] {
        let mut town = Town::new(policy);
        for who in 1..=3 {
            town.settle_as_it_is(who, Offer::new("u33d", format!("operator {who}")).only(Role::Hoster));
        }
        let search = |wanted| {
            let wanted = vec![(Role::Hoster, wanted)];
            Search { about: 1, wanted, terms: in_berlin(), ..Search::default() }
        };
        assert_eq!(town.state().select(&search(2)).is_ok(), found);
        assert!(town.state().select(&search(1)).is_ok());
        town.settle(4, Offer::new("u33d", "operator 4").only(Role::Hoster));
        assert!(town.state().select(&search(2)).is_ok(), "one that says it, and one that does not");
    }
}
