//! Money, windows, ends and reports of hosters about themselves.

use peermark_ledger::genesis::{Pay, Policy};
use peermark_ledger::item::component::Timing;
use peermark_ledger::item::hosting::{Amendment, ChallengeStatus, ContractStatus, StorageChallenge};
use peermark_ledger::item::plan::{PlanStatus, Until};
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::item::{Contract, Plan};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::state::accounts::Account;
use peermark_ledger::transaction::Transaction;
use peermark_ledger::transaction::plan::PlanAt;
use peermark_ledger::transaction::report::{Coordinates, SelfReport, Traffic};
use peermark_ledger::{Amount, Id};

use crate::driver::{Wish, World};

fn policy() -> Policy {
    Policy { committee: 200, pay_blocks: 10, funded_blocks: 1, ..Policy::default() }
}

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

fn all_money(world: &World) -> Amount {
    let money = |(account, amount): (&Account, Amount)| match account {
        Account::Money(_) | Account::Plan(_) | Account::Held { .. } => amount,
        _ => 0,
    };
    world.state().accounts().map(money).sum()
}

/// Design §11: hosters are paid by time and tier out of the plan's money; what is left goes back at the end, and everything is free.
#[test]
fn hosters_are_paid_by_time_and_tier_and_the_rest_goes_back() {
    let mut world = World::new(12, policy());
    let all = all_money(&world);
    let (contract, _) = world.hosted_contract(Wish { price: 120, ..Wish::default() });
    let Contract { plan, active_hosters, .. } = world.item(contract);
    let start = world.height();
    let before: Vec<Amount> = active_hosters.iter().map(|hoster| world.money(*hoster)).collect();
    let pay = world.state().policy().pay;
    world.live(30);
    for (hoster, before) in active_hosters.iter().zip(before) {
        // A third of the price, a quarter of it in the lowest tier; what it earned as an attester comes in tens.
        let earned = world.money(*hoster) - before;
        assert_eq!((earned - 30 * 120 / 3 / 4) % pay.storage, 0, "{earned}");
    }
    assert_eq!(world.item::<Contract>(contract).status, ContractStatus::Active);
    world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    let ended: Plan = world.item(plan);
    assert_eq!(
        (ended.status, world.item::<Contract>(contract).status),
        (PlanStatus::Cancelled, ContractStatus::Cancelled)
    );
    assert_eq!(world.state().balance(&Account::Plan(plan)), 0);
    let sponsor = world.actors[0].id;
    assert_eq!(world.money(sponsor), 100_000_000 - ended.spent);
    let held = (world.height() - start) * 3 * (120 / 3 / 4);
    assert!(ended.spent > held, "{} {held}", ended.spent);
    for hoster in active_hosters {
        assert_eq!(world.state().held_bytes(hoster), 0);
    }
    assert_eq!(all_money(&world), all);
    world.live(20);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    assert_eq!(named(&world.live(30), "storageChallenge").len(), 0);
}

/// S43: whatever comes first ends the plan: time, budget, traffic or an empty deposit.
#[test]
fn s43_the_earliest_limit_ends_a_plan() {
    let cases = [
        ("time", Until { time: Some(40), budget: Some(900_000), ..Until::default() }, 1_000_000, 12),
        ("budget", Until { time: Some(4000), budget: Some(400), ..Until::default() }, 1_000_000, 120),
        ("deposit", Until { time: Some(4000), ..Until::default() }, 400, 120),
    ];
    for (why, until, deposit, price) in cases {
        // Nobody is there for a round, so none has to be paid for.
        let pay = Pay { performance: 0, ..Pay::default() };
        let mut world = World::new(12, Policy { pay, ..policy() });
        let all = all_money(&world);
        let (contract, _) = world.hosted_contract(Wish { until: until.clone(), deposit, price, ..Wish::default() });
        let plan = world.item::<Contract>(contract).plan;
        let mut end = None;
        for _ in 0..80 {
            let events = world.live(1);
            end = end.or(events.into_iter().find(|event| event.name == "end-plan"));
        }
        assert_eq!(end.unwrap().detail.as_deref(), Some(why));
        let plan: Plan = world.item(plan);
        assert_eq!(plan.status, PlanStatus::Ended);
        assert!(until.budget.is_none_or(|budget| plan.spent <= budget), "{}", plan.spent);
        assert!(plan.spent <= deposit);
        assert_eq!(all_money(&world), all);
        assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    }
}

/// No work begins that is not paid for: what it earns is put aside before, and a plan that cannot do that ends instead. Whoever worked until
/// then gets all of it, and what is left goes back.
#[test]
fn nobody_works_for_a_plan_that_cannot_pay() {
    let policy = || Policy { committee: 3, pay_blocks: 10, funded_blocks: 1, ..Policy::default() };
    let pay = policy().pay;
    let works = 3 * pay.encoder + pay.setup + 3 * pay.storage + 3 * pay.performance;
    // A plan of this price that has less is refused: also a committee's round is part of it.
    let mut world = World::new(16, policy());
    world.publish_quietly(Wish { deposit: works + 12 - 1, price: 12, ..Wish::default() });
    assert!(matches!(world.block().0[0], Err(Refusal::OverBudget { .. })));
    for deposit in (works + 12..works + 600).step_by(47) {
        let mut world = World::new(16, policy());
        let all = all_money(&world);
        let (contract, _) = world.hosted_contract(Wish { deposit, price: 12, ..Wish::default() });
        let plan = world.item::<Contract>(contract).plan;
        let mut end = None;
        while end.is_none() {
            let events = world.live(1);
            assert_eq!(named(&events, "unpaid").len(), 0);
            for (name, earns) in [("storageChallenge", pay.storage), ("performanceChallenge", 3 * pay.performance)] {
                for task in named(&events, name) {
                    let held = Account::Held { task: task[0], plan };
                    assert_eq!(world.state().balance(&held), earns, "{name} at a deposit of {deposit}");
                    let told = world.machine.query(&format!("balance/held/{}", task[0])).unwrap();
                    assert_eq!(told.as_u64(), Some(earns), "{name}");
                }
            }
            assert_eq!(all_money(&world), all);
            end = events.into_iter().find(|event| event.name == "end-plan");
        }
        assert_eq!(end.unwrap().detail.as_deref(), Some("deposit"));
        world.live(12);
        assert_eq!((world.state().held_of(plan), world.state().balance(&Account::Plan(plan))), (0, 0));
        assert_eq!(world.money(world.actors[0].id), 100_000_000 - world.item::<Plan>(plan).spent);
        assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    }
}

/// Timing drives activation: outside its windows a contract is not challenged, nobody is blamed and nobody paid; a challenge that is
/// under way when the window closes ends without a word about anybody.
#[test]
fn outside_its_windows_a_contract_is_left_alone() {
    let mut world = World::new(12, policy());
    let timing = Timing { delay: 0, duration: Some(20), pause: 30, repeat: None };
    let (contract, _) = world.hosted_contract(Wish { timings: vec![timing], ..Wish::default() });
    let from = world.item::<Plan>(world.item::<Contract>(contract).plan).from;
    let (mut active, mut dormant, mut cancelled) = (0, 0, 0);
    let mut spent = 0;
    let mut challenges = Vec::new();
    for _ in 0..160 {
        let (_, events) = world.block();
        let inside = (world.height() - from) % 50 < 20;
        let now = world.item::<Contract>(contract);
        assert_eq!(now.status == ContractStatus::Active, inside, "{}", world.height());
        let begun = named(&events, "storageChallenge").len();
        if inside {
            active += begun
        } else {
            dormant += begun
        };
        challenges.extend(named(&events, "storageChallenge").iter().map(|ids| ids[0]));
        for challenge in &challenges {
            let status = world.item::<StorageChallenge>(*challenge).status;
            assert!(inside || status != ChallengeStatus::Assigned, "{}", world.height());
        }
        if inside {
            // One in two is answered, so that some are under way when the window closes, and none is late.
            challenges
                .retain(|challenge| world.item::<StorageChallenge>(*challenge).status == ChallengeStatus::Assigned);
            if (world.height() - from) % 50 < 14 {
                for challenge in challenges.drain(..) {
                    world.prove(challenge);
                }
            }
        }
        let plan: Plan = world.item(now.plan);
        if !inside {
            assert_eq!(named(&events, "attesterFailed").len(), 0);
            assert!(spent == 0 || plan.spent == spent, "{}", world.height());
            spent = plan.spent;
        } else {
            spent = 0;
        }
        for id in 0..world.state().storage().len() {
            if let Ok(challenge) = world.state().item::<StorageChallenge>(id) {
                cancelled += usize::from(challenge.status == ChallengeStatus::Cancelled);
            }
        }
    }
    assert!(active > 3 && dormant == 0 && cancelled > 0, "{active} {dormant} {cancelled}");
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// A contract that is set up before its first window rests until then: neither challenged nor paid.
#[test]
fn what_is_set_up_before_its_window_waits_for_it() {
    let mut world = World::new(12, policy());
    let timing = Timing { delay: 40, duration: Some(30), pause: 30, repeat: None };
    let (contract, _) = world.hosted_contract(Wish { timings: vec![timing], ..Wish::default() });
    let Contract { plan, status, .. } = world.item(contract);
    let (spent, from) = (world.item::<Plan>(plan).spent, world.item::<Plan>(plan).from);
    assert_eq!(status, ContractStatus::Dormant);
    while world.height() + 1 < from + 40 {
        let events = world.live(1);
        assert_eq!(named(&events, "storageChallenge").len() + named(&events, "attesterFailed").len(), 0);
    }
    assert_eq!(world.item::<Plan>(plan).spent, spent);
    let events = world.live(25);
    assert!(named(&events, "storageChallenge").len() > 2);
    assert!(world.item::<Plan>(plan).spent > spent);
}

/// A sponsor that ends its plan in the middle of a set-up frees everybody, and blames nobody.
#[test]
fn a_plan_that_ends_while_it_is_set_up_frees_everybody() {
    let mut world = World::new(12, policy());
    let contract = world.publish(Wish::default())[0];
    let amendment = world.until("hostingSetup", 3)[0];
    let plan = world.item::<Contract>(contract).plan;
    let before: Vec<i64> = world.actors.iter().map(|actor| world.reputation(actor.id)).collect();
    world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    let late = world.report_setup(amendment, vec![]).0;
    assert!(matches!(late, Err(Refusal::NotNow { .. })), "{late:?}");
    world.live(20);
    assert_eq!(world.item::<Amendment>(amendment).status, peermark_ledger::item::hosting::AmendmentStatus::Cancelled);
    assert_eq!(before, world.actors.iter().map(|actor| world.reputation(actor.id)).collect::<Vec<_>>());
    assert!(
        world
            .state()
            .accounts()
            .all(|(account, _)| !matches!(account, Account::HeldSlot { .. } | Account::HeldBytes { .. }))
    );
}

fn self_report(contract: Id, epoch: u64) -> SelfReport {
    // The seed's example: 5 x i=1, 10 x i=2, 12 x i=5.
    SelfReport {
        contract,
        epoch,
        ingress: Traffic { chunks: 10, bytes: 640 },
        egress: Traffic { chunks: 27, bytes: 27 * 64 },
        per_index: vec![(1, 5, 64), (2, 10, 64), (5, 12, 64)],
        availability: vec![],
        resources: Default::default(),
        metrics_root: World::digest(1),
    }
}

/// R38, R39, R53-R58: sums, chunks and sizes of a report about oneself are checked; it comes once for each contract and epoch.
#[test]
fn r38_r53_r58_reports_about_oneself_are_checked() {
    let mut world = World::new(12, policy());
    let (contract, _) = world.hosted_contract(Wish::default());
    let hosters = world.item::<Contract>(contract).active_hosters;
    let hoster = world.actor(hosters[0]);
    let say = |world: &mut World, actor: usize, report: SelfReport| world.say(actor, Transaction::SelfReport(report)).0;
    // A proof tells the size of chunk 5.
    let challenge = world.storage_challenge_of(hosters[0], 20);
    world.prove(challenge);
    world.block_ok();
    let chunk = world.item::<StorageChallenge>(challenge).checks[&contract].unwrap();
    let wrong = |change: &dyn Fn(&mut SelfReport)| {
        let mut report = self_report(contract, 0);
        change(&mut report);
        report
    };
    let refused = [
        wrong(&|report| report.egress.chunks = 28),
        wrong(&|report| report.egress.bytes += 1),
        wrong(&|report| report.per_index[2].0 = 10),
        wrong(&|report| report.per_index.swap(0, 1)),
        wrong(&|report| {
            // R58: another size than the proof showed.
            report.per_index = vec![(chunk, 1, 65)];
            report.egress = Traffic { chunks: 1, bytes: 65 };
        }),
        wrong(&|report| report.availability = vec![(10, 20), (15, 30)]),
        wrong(&|report| report.availability = vec![(590, 700)]),
    ];
    for report in refused {
        let result = say(&mut world, hoster, report.clone());
        assert!(matches!(result, Err(Refusal::Invalid { .. })), "{report:?} {result:?}");
    }
    assert!(matches!(say(&mut world, hoster, self_report(contract, 1)), Err(Refusal::NotNow { .. })));
    assert!(matches!(say(&mut world, 0, self_report(contract, 0)), Err(Refusal::NotAllowed { .. })));
    let mut report = self_report(contract, 0);
    report.availability = vec![(10, 20), (30, 45)];
    let record = say(&mut world, hoster, report).unwrap()[0];
    let Body::SelfReport(short) = world.item::<Record>(record).body else { panic!("another record") };
    // R57: totals are derivable from the short form.
    assert_eq!(short.per_index.iter().map(|(_, count)| u64::from(*count)).sum::<u64>(), short.egress.chunks);
    assert_eq!((short.up_blocks, world.state().self_report_of(0, contract, hosters[0])), (25, Some(record)));
    assert!(matches!(say(&mut world, hoster, self_report(contract, 0)), Err(Refusal::Exists { .. })));
}

/// R40: a hoster that does not report about an epoch is named when the next one ends.
#[test]
fn r40_missing_reports_are_named() {
    let mut world = World::new(12, Policy { epoch_blocks: 20, ..policy() });
    let (contract, _) = world.hosted_contract(Wish::default());
    let hosters = world.item::<Contract>(contract).active_hosters;
    let mut events = Vec::new();
    while world.height() < 45 {
        events.extend(world.live(1));
    }
    let report = self_report(contract, 1);
    let reporter = world.actor(hosters[0]);
    world.say(reporter, Transaction::SelfReport(report)).0.unwrap();
    while world.height() < 61 {
        events.extend(world.live(1));
    }
    let missing: Vec<&Event> = events.iter().filter(|event| event.name == "selfReportMissing").collect();
    let of_first: Vec<Id> =
        missing.iter().filter(|event| event.detail.as_deref() == Some("1")).map(|event| event.ids[0]).collect();
    let mut others = hosters[1..].to_vec();
    others.sort_unstable();
    assert_eq!(of_first, others, "{missing:?}");
}

/// S61-S63: coordinates and one-way delays, once an epoch, and no jumps.
#[test]
fn s61_coordinates_move_slowly() {
    let mut world = World::new(12, Policy { epoch_blocks: 20, ..policy() });
    let (berlin, london) = (world.actors[2].id, world.actors[3].id);
    let at = |position: i64, lags_us: Vec<(Id, u32)>| {
        let mut position_us = [0; 8];
        position_us[0] = position;
        Transaction::PublishCoordinates(Coordinates { position_us, height_us: 1000, error_ppm: 100_000, lags_us })
    };
    // The seed's: Berlin to South London 0.1 s, back 0.2 s.
    let record = world.say(2, at(0, vec![(london, 100_000)])).0.unwrap()[0];
    world.say(3, at(90_000, vec![(berlin, 200_000)])).0.unwrap();
    assert!(
        matches!(world.item::<Record>(record).body, Body::Coordinates(Coordinates { lags_us, .. }) if lags_us == [(london, 100_000)])
    );
    assert!(matches!(world.say(2, at(1, vec![])).0, Err(Refusal::NotNow { .. })));
    world.live(20);
    assert!(matches!(world.say(2, at(50_001, vec![])).0, Err(Refusal::Invalid { .. })));
    world.say(2, at(50_000, vec![])).0.unwrap();
    assert!(matches!(world.say(4, at(0, vec![(1 << 40, 1)])).0, Err(Refusal::Unknown { .. })));
}
