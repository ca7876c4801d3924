//! What hosting costs follows from what is wanted and what is there, through entries alone.

use peermark_judge::capacity::Pressure;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::ContractStatus;
use peermark_ledger::item::plan::{PlanStatus, Until};
use peermark_ledger::item::user::{Foreign, Role};
use peermark_ledger::item::{Contract, Plan};
use peermark_ledger::state::accounts::Account;
use peermark_ledger::state::work::Market;
use peermark_ledger::transaction::Transaction;
use peermark_ledger::transaction::plan::PlanAt;
use peermark_ledger::{Amount, Id};

use crate::driver::{Wish, World};

const EPOCH: u64 = 5;

/// No performance challenges: nobody has such a committee.
fn policy() -> Policy {
    Policy { epoch_blocks: EPOCH, committee: 200, pay_blocks: 10, funded_blocks: 1, min_price: 10, ..Policy::default() }
}

fn market(world: &World, role: Role, cell: Option<&str>) -> Market {
    let key = (role, cell.map(|cell| cell.parse().unwrap()));
    let found = world.state().markets().find(|(other, _)| **other == key);
    *found.unwrap_or_else(|| panic!("no market for {key:?}")).1
}

fn price(world: &World) -> Amount {
    world.state().market_price()
}

fn status(world: &World, contract: Id) -> PlanStatus {
    world.item::<Plan>(world.item::<Contract>(contract).plan).status
}

/// R86, R88, R89: where more is wanted than there is, the price rises at every epoch's end by at most an eighth and hosters are asked to
/// join; where little is wanted it falls to the least, and they may leave. Every role has its own row, by cell and everywhere.
#[test]
fn r86_r88_the_price_follows_what_is_wanted() {
    let mut world = World::new(4, policy());
    world.live(EPOCH as usize);
    assert_eq!((price(&world), market(&world, Role::Hoster, None).pressure), (10, Pressure::Leave));
    // Seven people are needed for a contract: it waits.
    let contract = world.publish(Wish { price: 30, ..Wish::default() })[0];
    let mut prices = vec![price(&world)];
    for _ in 0..8 {
        world.live(EPOCH as usize);
        prices.push(price(&world));
    }
    assert!(world.item::<Contract>(contract).active_hosters.is_empty());
    // 3 of 40 tasks are wanted: far from scarce.
    assert!(prices.iter().all(|price| *price == 10), "{prices:?}");
    let everywhere = market(&world, Role::Hoster, None);
    assert_eq!((everywhere.held, everywhere.waiting, everywhere.free), (0, 3_000, 40_000));
    assert_eq!(market(&world, Role::Hoster, Some("u")).waiting, 3_000);
    assert_eq!(market(&world, Role::Encoder, None).waiting, 3_000);
    assert_eq!(market(&world, Role::Attester, Some("u")).price, None);
    for actor in 2..6 {
        world.offer(actor, 1);
    }
    world.block_ok();
    let mut rising = Vec::new();
    for _ in 0..12 {
        world.live(EPOCH as usize);
        rising.push(price(&world));
    }
    let found = market(&world, Role::Hoster, None);
    assert_eq!(
        (found.waiting, found.free, found.utilisation_ppm, found.pressure),
        (3_000, 4_000, 750_000, Pressure::Join)
    );
    let steps = rising.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] <= (pair[0] / 8).max(1));
    assert!(steps && rising[11] > 20, "{rising:?}");
    // Above what the plan pays it wants nothing any more: the price hovers there instead of rising for ever.
    let mut hovering = Vec::new();
    for _ in 0..40 {
        world.live(EPOCH as usize);
        hovering.push(price(&world));
    }
    assert!(hovering[20..].iter().all(|price| (26..=34).contains(price)), "{hovering:?}");
    world.say(0, Transaction::UnpublishPlan(PlanAt { plan: world.item::<Contract>(contract).plan })).0.unwrap();
    for _ in 0..40 {
        world.live(EPOCH as usize);
    }
    assert_eq!((price(&world), market(&world, Role::Hoster, None).pressure), (10, Pressure::Leave));
    assert_eq!(world.replayed().state().hash(), world.state().hash());
}

/// S43, R88: a plan that names the most that it pays pays what the market asks, is held while that is more, and goes on when it is not.
#[test]
fn s43_a_plan_follows_the_price_up_to_its_limit() {
    let mut world = World::new(12, policy());
    let until = Until { max_price: Some(14), ..Until::default() };
    let (contract, _) = world.hosted_contract(Wish { price: 12, until, ..Wish::default() });
    let plan = world.item::<Contract>(contract).plan;
    let all = money(&world);
    assert_eq!(world.state().contract_price(contract), Ok(12));
    // Another sponsor's plan of twelve contracts, each for three hosters, and nobody has room.
    for actor in 2..14 {
        world.offer(actor, 1);
    }
    world.block_ok();
    world.publish(Wish { ranges: vec![(0, 63)], price: 30, ..Wish::default() });
    let mut seen = Vec::new();
    let mut paid = Vec::new();
    for _ in 0..20 {
        let before = world.item::<Plan>(plan).spent;
        world.live(EPOCH as usize);
        let price = world.state().contract_price(contract).unwrap();
        seen.push((world.state().price_in(&["u33".parse().unwrap()]), price, status(&world, contract)));
        paid.push(world.item::<Plan>(plan).spent - before);
    }
    for (market, price, status) in &seen {
        assert_eq!(*price, (*market).clamp(12, 14), "{seen:?}");
        assert_eq!(*status == PlanStatus::TooDear, *market > 14, "{seen:?}");
    }
    let held = seen.iter().position(|(.., status)| *status == PlanStatus::TooDear).unwrap();
    assert_eq!(world.item::<Contract>(contract).status, ContractStatus::Dormant);
    assert!(paid[held + 1..].iter().all(|paid| *paid == 0), "{paid:?}");
    let others: Vec<Id> = world.state().all_of("plan").filter(|id| *id != plan).collect();
    for plan in others {
        world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    }
    for _ in 0..40 {
        world.live(EPOCH as usize);
    }
    assert_eq!(
        (status(&world, contract), world.item::<Contract>(contract).status),
        (PlanStatus::Active, ContractStatus::Active)
    );
    assert_eq!(money(&world), all);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    assert_eq!(world.replayed().state().hash(), world.state().hash());
}

/// R84: who works abroad for a least price takes the work as soon as the market pays it, and keeps what it was promised when the market
/// falls again.
#[test]
fn r84_the_market_reaches_those_that_work_abroad() {
    let mut world = World::new(12, policy());
    for actor in 2..14 {
        world.offer_with(actor, 10, |form| form.foreign = Foreign::Any { min_price: 16 });
    }
    world.block_ok();
    let until = Until { max_price: Some(40), ..Until::default() };
    let following = world.publish(Wish { price: 12, area: "ezs", ranges: vec![(10, 19)], until, ..Wish::default() })[0];
    let mut amendment = None;
    for _ in 0..20 * EPOCH {
        let event = world.live(1).into_iter().find(|event| event.name == "hostingSetup");
        if let Some(event) = event {
            amendment = Some(event.ids[0]);
            break;
        }
    }
    let amendment = amendment.expect("somebody takes it");
    assert_eq!(world.item::<peermark_ledger::item::Amendment>(amendment).contract, following);
    assert!(world.state().price_in(&["ezs".parse().unwrap()]) >= 16);
    let places = world.all_hosted(amendment);
    world.report_setup(amendment, places).0.unwrap();
    let fixed = world.publish(Wish { price: 12, area: "ezs", ranges: vec![(0, 9)], ..Wish::default() })[0];
    for _ in 0..30 {
        world.live(EPOCH as usize);
    }
    // Those that host there are at home elsewhere: nobody is there, and nobody else is wanted at that price.
    assert!(
        world.state().price_in(&["ezs".parse().unwrap()]) < 16,
        "{:?}",
        world.state().markets().collect::<Vec<_>>()
    );
    assert_eq!(world.state().contract_price(following), Ok(16));
    assert!(world.item::<Contract>(fixed).active_hosters.is_empty());
    assert_eq!(world.item::<Contract>(following).active_hosters.len(), 3);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

fn money(world: &World) -> Amount {
    let money = |(account, amount): (&Account, Amount)| match account {
        Account::Money(_) | Account::Plan(_) => amount,
        _ => 0,
    };
    world.state().accounts().map(money).sum()
}
