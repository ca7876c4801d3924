//! What follows from what an epoch says: pay, alerts, the map.

use peermark_judge::alert;
use peermark_judge::policy::Policy as Judge;
use peermark_judge::windows::Window;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::Contract;
use peermark_ledger::item::component::{Lag, Performance};
use peermark_ledger::item::hosting::{ChallengeStatus, PerformanceChallenge, RawReason, StorageChallenge};

use super::{EPOCH, Town, asked, judge, policy};

fn alert(metric: alert::Metric, threshold: i64, action: alert::Action) -> alert::Rule {
    alert::Rule {
        name: "rule".into(),
        metric,
        aggregate: alert::Aggregate::Max,
        window: Window::Hour,
        op: alert::Op::Above,
        threshold,
        for_rounds: 1,
        clear_threshold: threshold,
        severity: alert::Severity::Warning,
        action,
        observe_only: false,
    }
}

/// R77, R78: who ranks above is paid a better share of the price, block by block, whatever it asks for; somebody who asks for more than
/// one that ranks above is named, and an alert says so.
#[test]
fn r77_r78_pay_follows_rank_and_an_inversion_raises_an_alert() {
    let asked = Performance { latency: Some(Lag { lag_ms: 2_000, guarantee: 700_000 }), ..Performance::default() };
    let alerts = vec![alert(alert::Metric::PayInversions, 0, alert::Action::Notify)];
    let judge = Judge { alerts, ..judge() };
    let mut town = Town::new(Policy { pay_blocks: 1, judge: Box::new(judge), ..policy() }, asked);
    let contract = town.contracts[0];
    let of_contract = town.world.item::<Contract>(contract).active_hosters;
    let places: Vec<usize> =
        of_contract.iter().map(|id| town.hosters.iter().position(|other| other == id).unwrap()).collect();
    let sees = |place: usize, _: usize| {
        let at = places.iter().position(|other| *other == place).unwrap_or(0);
        ([30, 150, 700][at], 20)
    };
    town.epochs(5, &sees);
    assert!(town.named("payInversion").is_empty() && town.named("notify").is_empty());
    let tier = |town: &Town, hoster: Id| {
        town.world.state().qualities_of(hoster).map(|(_, quality)| quality.tier).min().unwrap()
    };
    let before: Vec<(u8, u64)> = of_contract.iter().map(|id| (tier(&town, *id), town.earned(*id))).collect();
    assert!(before[0].0 > before[1].0 && before[1].0 > before[2].0, "{before:?}");
    let start = town.world.height();
    while town.world.height() < start + EPOCH - 2 {
        town.step(&sees);
    }
    let blocks = town.world.height() - start;
    for (hoster, (tier, earned)) in of_contract.iter().zip(before) {
        let contracts =
            town.contracts.iter().filter(|id| town.world.item::<Contract>(**id).active_hosters.contains(hoster));
        // A third of 12 for each block and contract, by quarters.
        let expected = blocks * contracts.count() as u64 * u64::from(tier);
        assert_eq!(town.earned(*hoster) - earned, expected, "{hoster} {tier}");
    }
    // The slowest asks for more than the others.
    let actor = town.world.actor(of_contract[2]);
    town.world.offer_with(actor, 10, |form| form.min_price = 9);
    town.epochs(2, &sees);
    assert!(town.named("payInversion").iter().all(|event| event.ids == [contract]));
    assert!(!town.named("payInversion").is_empty());
    let told: Vec<Id> = town.named("notify").iter().map(|event| event.ids[0]).collect();
    assert_eq!(told, [of_contract[2]]);
}

/// S61: what attesters measure goes into the map at the end of every epoch, and coordinates learn from it what is near and what is far;
/// S62: a hoster that is far from those who measure is offered a nearer one.
#[test]
fn s61_s62_the_map_learns_from_every_epoch() {
    let wide = Performance { latency: Some(Lag { lag_ms: 2_000, guarantee: 700_000 }), ..Performance::default() };
    let mut town = Town::new(policy(), wide);
    let contract = town.contracts[0];
    let far = town.world.item::<Contract>(contract).active_hosters[0];
    let far_at = town.hosters.iter().position(|hoster| *hoster == far).unwrap();
    town.epochs(8, &|place, _| (if place == far_at { 300 } else { 30 }, 20));
    let state = town.world.state();
    let attester = *town.attesters().first().unwrap();
    let attester = town.world.actors[attester].id;
    let near = *town.hosters.iter().find(|hoster| **hoster != far).unwrap();
    let lags = |hoster| state.symmetric_lag(attester, hoster).unwrap();
    assert!(lags(far) > 200_000 && lags(near) < 60_000, "{} {}", lags(far), lags(near));
    let predicted = |hoster| state.coordinate_of(attester).unwrap().distance_us(state.coordinate_of(hoster).unwrap());
    assert!(predicted(far) > 3 * predicted(near), "{} {}", predicted(far), predicted(near));
    let document = town.world.machine.query(&format!("map/{attester}/{far}")).unwrap();
    assert_eq!(document["symmetric_us"], serde_json::json!(lags(far)));
    assert!(document["back_us"].is_null() && document["predicted_us"].as_u64().unwrap() > 0);
    let document = town.world.machine.query(&format!("map/{attester}")).unwrap();
    assert_eq!(document["lags"][far.to_string()]["lag_us"], serde_json::json!(lags(far)));
    assert!(document["coordinate"].is_object());
    let suggested = state.nearer(contract).unwrap();
    assert!(suggested.iter().any(|other| other.replace == far && other.gain_ppm > 500_000), "{suggested:?}");
    assert!(suggested.iter().all(|other| other.replace == far));
    assert_eq!(town.world.replayed().state().hash(), state.hash());
}

impl Town {
    /// What somebody has, without what it earned as an attester of stored data.
    fn earned(&self, user: Id) -> u64 {
        let state = self.world.state();
        let attested = state.all_of("storage_challenge").filter(|id| {
            let challenge: StorageChallenge = self.world.item(*id);
            challenge.attester == user && challenge.status == ChallengeStatus::Settled
        });
        self.world.money(user) - attested.count() as u64 * state.policy().pay.storage
    }
}

/// R98, R17: an alert has a hoster measured anew, once in a window.
#[test]
fn r98_an_alert_asks_for_a_raw_benchmark() {
    let alerts = vec![alert(alert::Metric::MissingReports, 0, alert::Action::RawBenchmark)];
    let judge = Judge { alerts, ..judge() };
    let mut town = Town::new(Policy { raw_pause_blocks: 1, judge: Box::new(judge), ..policy() }, asked());
    town.epochs(5, &|_, _| (40, 20));
    let told: Vec<Id> = town.named("rawBenchmarkAsked").iter().map(|event| event.ids[0]).collect();
    assert_eq!(told, town.hosters, "each once");
    let begun: Vec<Id> = town.named("rawBenchmark").iter().map(|event| event.ids[0]).collect();
    assert!(!begun.is_empty());
    for challenge in begun {
        let challenge: PerformanceChallenge = town.world.item(challenge);
        let raw = challenge.raw.unwrap();
        assert_eq!(raw.reason, RawReason::ChainRequest);
        assert!(town.hosters.contains(&challenge.hosters[0]));
    }
}
