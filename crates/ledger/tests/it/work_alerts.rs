//! Alerts and what follows from them, through entries alone.

use std::collections::BTreeMap;

use peermark_judge::alert::{Action, Aggregate, AlertEvent, Metric, Op, Rule, Severity};
use peermark_judge::policy::{PayPolicy, Policy as Judge};
use peermark_judge::windows::Window;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{ChallengeStatus, StorageChallenge};
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::item::{Contract, User};
use peermark_ledger::outcome::Event;
use peermark_ledger::state::work::{Cycle, Subject};
use peermark_ledger::transaction::Transaction;
use peermark_ledger::transaction::report::{ResourceUse, SelfReport, Traffic};
use peermark_ledger::{Amount, Id};

use crate::driver::{CHUNK_BYTES, Wish, World};

const EPOCH: u64 = 20;
/// Blocks of a window: an hour.
const WINDOW: u64 = 120;

fn rule(metric: Metric, threshold: i64, action: Action) -> Rule {
    Rule {
        name: "rule".into(),
        metric,
        aggregate: Aggregate::Max,
        window: Window::Hour,
        op: Op::Above,
        threshold,
        for_rounds: 1,
        clear_threshold: threshold,
        severity: Severity::Warning,
        action,
        observe_only: false,
    }
}

fn policy(rule: Rule) -> Policy {
    Policy {
        committee: 200,
        epoch_blocks: EPOCH,
        block_seconds: 30,
        pay_blocks: 1_000,
        funded_blocks: 1,
        challenge_pause_blocks: 7,
        forced_pause_blocks: 10,
        raw_pause_blocks: 1,
        judge: Box::new(Judge { alerts: vec![rule], pay: one_tier(), ..Judge::default() }),
        ..Policy::default()
    }
}

/// Everybody is paid alike, so that sums are easy.
fn one_tier() -> PayPolicy {
    let first = PayPolicy::default().tiers.into_iter().take(1).collect();
    PayPolicy { tiers: first }
}

/// A network with one contract, and its hosters.
fn hosted(rule: Rule) -> (World, Id, Vec<Id>) {
    hosted_under(policy(rule))
}

fn hosted_under(policy: Policy) -> (World, Id, Vec<Id>) {
    let mut world = World::new(14, policy);
    let (contract, _) = world.hosted_contract(Wish { price: 120, ..Wish::default() });
    let hosters = world.item::<Contract>(contract).active_hosters;
    (world, contract, hosters)
}

fn named<'e>(events: &'e [(u64, Event)], name: &str) -> Vec<(u64, &'e [Id])> {
    events.iter().filter(|(_, event)| event.name == name).map(|(at, event)| (*at, event.ids.as_slice())).collect()
}

/// Blocks in which everybody proves what it is asked for and these report about themselves in every epoch.
fn live(world: &mut World, contract: Id, until: u64, reporters: &[Id], egress: u64) -> Vec<(u64, Event)> {
    let mut all = Vec::new();
    while world.height() < until {
        if world.height() % EPOCH == EPOCH / 2 {
            for reporter in reporters {
                let report = SelfReport {
                    contract,
                    epoch: world.state().epoch(),
                    ingress: Traffic::default(),
                    egress: Traffic { chunks: egress / CHUNK_BYTES, bytes: egress },
                    per_index: vec![(9, u32::try_from(egress / CHUNK_BYTES).unwrap(), CHUNK_BYTES)],
                    availability: vec![],
                    resources: ResourceUse::default(),
                    metrics_root: World::digest(1),
                };
                let actor = world.actor(*reporter);
                world.submit(actor, Transaction::SelfReport(report));
            }
        }
        let events = world.live(1);
        let at = world.height();
        all.extend(events.into_iter().map(|event| (at, event)));
    }
    all
}

/// R40, R98-R100: who does not report is told so once for each window, also in an epoch in which nothing was measured; who reports is
/// not, and an alert ends when the reports come. The same blocks lead to the same tasks.
#[test]
fn r98_r100_a_missing_report_makes_one_task_a_window() {
    let (mut world, contract, hosters) = hosted(rule(Metric::MissingReports, 0, Action::Notify));
    let events = live(&mut world, contract, 3 * WINDOW - 1, &hosters[..1], 0);
    let mut told: BTreeMap<Id, Vec<u64>> = BTreeMap::new();
    for (at, ids) in named(&events, "notify") {
        told.entry(ids[0]).or_default().push(at / WINDOW);
    }
    let silent: BTreeMap<Id, Vec<u64>> = hosters[1..].iter().map(|hoster| (*hoster, vec![0, 1, 2])).collect();
    assert_eq!(told, silent);
    let record = named(&events, "notify")[0].1[1];
    let Body::Alert(alert) = world.item::<Record>(record).body else { panic!("another record") };
    let AlertEvent::Raised { key, value: 1, .. } = alert.found else { panic!("{alert:?}") };
    assert_eq!((key.rule.as_str(), alert.observed), ("rule", None));
    let events = live(&mut world, contract, 5 * WINDOW, &hosters, 0);
    let mut cleared: Vec<Id> = named(&events, "alertCleared").iter().map(|(_, ids)| ids[0]).collect();
    cleared.sort_unstable();
    let mut silent: Vec<Id> = hosters[1..].to_vec();
    silent.sort_unstable();
    assert_eq!(cleared, silent);
    assert_eq!(world.replayed().state().hash(), world.state().hash());
}

/// R99: the largest of a hoster's resources counts, from what it holds and what it says that it sent.
#[test]
fn r99_a_full_hoster_raises_an_alert() {
    // Nine tasks of ten are free, nearly all bytes too; 600 s at 1 Gbit/s are 75 GB.
    for (sent, raised) in [(0, 0), (60_000_000_000, 3)] {
        let (mut world, contract, hosters) = hosted(rule(Metric::UtilisationPpm, 700_000, Action::Notify));
        let last = world.item::<Contract>(contract).ranges[0].1;
        assert_eq!(last, 9);
        let events = live(&mut world, contract, 3 * EPOCH + 2, &hosters, sent);
        assert_eq!(named(&events, "notify").len(), raised, "{sent}");
    }
}

/// R98: one more storage challenge comes with the next block, long before the planned one; one that is under way is enough.
#[test]
fn r98_an_alert_asks_for_a_challenge_now() {
    let extra = rule(Metric::MissingReports, 0, Action::ExtraChallenge);
    let policy = Policy { challenge_pause_blocks: 60, ..policy(extra) };
    let (mut world, contract, hosters) = hosted_under(policy);
    let events = live(&mut world, contract, WINDOW - 1, &hosters[..1], 0);
    let asked: BTreeMap<Id, u64> = named(&events, "extraChallenge").iter().map(|(at, ids)| (ids[0], *at)).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let begun = |hoster: Id| -> Vec<u64> {
        let challenges = named(&events, "storageChallenge").into_iter();
        challenges
            .filter(|(_, ids)| world.item::<StorageChallenge>(ids[0]).hoster == hoster)
            .map(|(at, _)| at)
            .collect()
    };
    for hoster in &hosters {
        let begun = begun(*hoster);
        match asked.get(hoster) {
            Some(at) => assert!(begun.contains(&(at + 1)), "{at} {begun:?}"),
            None => assert!(begun.windows(2).all(|pair| pair[1] - pair[0] > 40), "{begun:?}"),
        }
    }
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// R98: a pause by an alert pays what was earned before it and nothing while it lasts; it ends by itself, and the window has one.
#[test]
fn r98_an_alert_pauses_a_hoster_until_its_time_is_over() {
    let (mut world, contract, hosters) = hosted(rule(Metric::MissingReports, 0, Action::Pause));
    let start = world.height();
    let before: Vec<Amount> = hosters.iter().map(|hoster| world.money(*hoster)).collect();
    let events = live(&mut world, contract, WINDOW - 1, &hosters[1..], 0);
    let paused = named(&events, "paused");
    assert_eq!(paused.len(), 1, "{paused:?}");
    let (at, ids) = paused[0];
    assert_eq!(ids[0], hosters[0]);
    let (back, _) = named(&events, "unpaused")[0];
    assert_eq!(back, at + 10);
    // The contract is paid when it ends.
    let end = Transaction::UnpublishPlan(peermark_ledger::transaction::plan::PlanAt {
        plan: world.item::<Contract>(contract).plan,
    });
    world.say(0, end).0.unwrap();
    let pay = world.state().policy().pay;
    let challenges: Vec<Id> = world.state().all_of("storage_challenge").collect();
    for (place, (hoster, before)) in hosters.iter().zip(before).enumerate() {
        let attested = |id: &&Id| {
            let challenge = world.item::<StorageChallenge>(**id);
            challenge.attester == *hoster && challenge.status == ChallengeStatus::Settled
        };
        let attested = challenges.iter().filter(attested).count() as Amount * pay.storage;
        // A third of the price, a quarter of it in the lowest tier.
        let blocks = world.height() - start - if place == 0 { 10 } else { 0 };
        assert_eq!(world.money(*hoster) - before - attested, blocks * (120 / 3 / 4), "{place}");
    }
    assert!(world.item::<User>(hosters[0]).paused.is_none());
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// R98, R100: a hoster that an alert replaces leaves every place that it holds, as soon as somebody else has the data.
#[test]
fn r98_an_alert_replaces_a_hoster() {
    let (mut world, contract, hosters) = hosted(rule(Metric::MissingReports, 0, Action::Replacement));
    let mut replaced = Vec::new();
    while world.height() < WINDOW - 1 {
        let until = world.height() + 1;
        let holds = |world: &World| world.item::<Contract>(contract).active_hosters;
        let reporters: Vec<Id> = holds(&world).into_iter().filter(|hoster| *hoster != hosters[0]).collect();
        for (_, event) in live(&mut world, contract, until, &reporters, 0) {
            match event.name.as_str() {
                "replacedByAlert" => replaced.push(event.ids[0]),
                "hosterReplacement" => {
                    let places = world.all_hosted(event.ids[0]);
                    world.report_setup(event.ids[0], places).0.unwrap();
                }
                _ => {}
            }
        }
    }
    assert_eq!(replaced, [hosters[0]]);
    let now = world.item::<Contract>(contract).active_hosters;
    assert!(now.len() == 3 && !now.contains(&hosters[0]), "{now:?}");
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    assert!(!matches!(world.state().cycle_of(Subject::Storage(hosters[0])), Some(Cycle::Live(_))));
}
