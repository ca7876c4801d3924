//! Set-ups, retries and replacements through real entries.

use peermark_core::sealed::{Bytes, SigningKey};
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::Contract;
use peermark_ledger::item::hosting::{Amendment, AmendmentKind, AmendmentStatus, ContractStatus, HeldCopy};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::statement;
use peermark_ledger::transaction::hosting::{Answer, Place};
use peermark_ledger::transaction::{Possession, RotateKeys, SetupReport, Transaction};

use crate::driver::{Wish, World};

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

fn policy() -> Policy {
    // No raw benchmarks between what a test looks at: the committee is never complete.
    Policy { committee: 200, ..Policy::default() }
}

fn world() -> World {
    World::new(12, policy())
}

/// A world with an amendment under way.
fn begun() -> (World, Id, Id) {
    let mut world = world();
    let contract = world.publish(Wish::default())[0];
    let amendment = world.until("hostingSetup", 3)[0];
    (world, contract, amendment)
}

/// §2.4, S29, S35-S37: three encoders, three hosters and an attester, seven people; both signatures for each place; then the hosting
/// starts, encoders and attester are paid and free, hosters hold what the copies take.
#[test]
fn a_contract_is_set_up_by_seven_people() {
    let (mut world, contract, amendment) = begun();
    let item: Amendment = world.item(amendment);
    let mut people =
        [item.providers.encoders.clone(), item.providers.hosters.clone(), item.providers.attesters.clone()].concat();
    people.sort_unstable();
    people.dedup();
    assert_eq!((people.len(), item.kind, item.status), (7, AmendmentKind::HostingSetup, AmendmentStatus::InProgress));
    assert_eq!(world.item::<Contract>(contract).status, ContractStatus::Setup);
    let places = world.all_hosted(amendment);
    let (result, events) = world.report_setup(amendment, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingStarted"), [[amendment]]);
    assert_eq!(world.item::<Amendment>(amendment).status, AmendmentStatus::Done);
    let hosting: Contract = world.item(contract);
    assert_eq!(hosting.status, ContractStatus::Active);
    assert_eq!(hosting.active_hosters, item.providers.hosters);
    let pay = world.state().policy().pay;
    for encoder in &item.providers.encoders {
        assert_eq!((world.money(*encoder), world.reputation(*encoder)), (pay.encoder, 1));
        assert_eq!(world.state().jobs_of(*encoder).next(), None);
        // What it was asked to do made no copy of it: it registered, offered, and was graded.
        assert_eq!(world.state().storage().versions(*encoder).len(), 3);
    }
    assert_eq!(world.money(item.providers.attesters[0]), pay.setup);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    let held = world.state().held_bytes(item.providers.hosters[0]);
    assert_eq!(held, world.copy(amendment, 0).sizes.encoded_bytes);
}

#[test]
fn only_the_attester_reports_and_only_once_and_whole() {
    let (mut world, _, amendment) = begun();
    let places = world.all_hosted(amendment);
    let hoster = world.actor(world.item::<Amendment>(amendment).providers.hosters[0]);
    let report = Transaction::HostingSetupReport(SetupReport { amendment, places: places.clone() });
    assert!(matches!(world.say(hoster, report).0, Err(Refusal::NotAllowed { .. })));
    let before = world.state().storage().versions(amendment).len();
    let short = world.report_setup(amendment, places[..2].to_vec()).0;
    assert!(matches!(short, Err(Refusal::Invalid { .. })), "{short:?}");
    assert_eq!(world.state().storage().versions(amendment).len(), before);
    world.report_setup(amendment, places.clone()).0.unwrap();
    let again = world.report_setup(amendment, places).0;
    assert!(matches!(again, Err(Refusal::NotNow { .. })), "{again:?}");
}

/// §2.4 step 3 as [S3] designed it: who failed is changed, the others stay; a place that is held is not done again.
#[test]
fn a_retry_keeps_the_survivors() {
    let (mut world, contract, amendment) = begun();
    let first: Amendment = world.item(amendment);
    let mut places = world.all_hosted(amendment);
    places[1] = Place::HosterFailed { made: None };
    let (result, events) = world.report_setup(amendment, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingSetup_failed"), [[amendment]]);
    let failed = first.providers.hosters[1];
    // One attester's word changes it here, and no more.
    assert!(!world.is_paused(failed) && world.reputation(failed) == 0);
    let retry = world.until("retry_hostingSetup", 2)[0];
    let second: Amendment = world.item(retry);
    assert_eq!((second.kind, second.positions.clone()), (AmendmentKind::RetryHostingSetup, vec![1]));
    assert_eq!(second.reference, Some(amendment));
    assert_eq!(second.providers.encoders, first.providers.encoders);
    assert_eq!(second.providers.attesters, first.providers.attesters);
    assert_eq!(second.providers.hosters[0], first.providers.hosters[0]);
    assert_ne!(second.providers.hosters[1], failed);
    let places = world.all_hosted(retry);
    let (result, events) = world.report_setup(retry, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingStarted"), [[retry]]);
    assert_eq!(world.item::<Contract>(contract).active_hosters.len(), 3);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// What happens to attester, encoder and hoster of place 1: (reputation, paused).
type Row = [(i64, bool); 3];

/// §2.4, S36, S41, E1 through the ledger: the whole matrix, one row each.
#[test]
fn the_matrix_of_a_set_up() {
    let fine = (1, false);
    let unknown = (0, false);
    let failed = (-1, true);
    let report = |world: &mut World, amendment: Id, place: Place| {
        let mut places = world.all_hosted(amendment);
        places[1] = place;
        world.report_setup(amendment, places).0.unwrap();
    };
    let check = |name: &str, row: Row, run: &dyn Fn(&mut World, Id)| {
        let (mut world, _, amendment) = begun();
        let Amendment { providers, .. } = world.item(amendment);
        run(&mut world, amendment);
        let people = [providers.attesters[0], providers.encoders[1], providers.hosters[1]];
        assert_eq!(people.map(|user| (world.reputation(user), world.is_paused(user))), row, "{name}");
        assert_eq!(world.state().capacity_leaks(), Vec::<String>::new(), "{name}");
    };
    check("all hosted", [fine, fine, fine], &|world, at| {
        let place = world.hosted(at, 1, world.copy(at, 1));
        report(world, at, place);
    });
    check("hoster failed, the attester alone says", [fine, unknown, unknown], &|world, at| {
        report(world, at, Place::HosterFailed { made: None })
    });
    check("encoder failed, the attester alone says", [fine, unknown, unknown], &|world, at| {
        report(world, at, Place::EncoderFailed {})
    });
    check("garbage, refused by the hoster", [fine, unknown, unknown], &|world, at| {
        world.answer(at, 1, Answer::Refused {}).unwrap();
        report(world, at, Place::HosterFailed { made: None });
    });
    check("garbage, refused by the hoster, the attester agrees", [fine, failed, unknown], &|world, at| {
        world.answer(at, 1, Answer::Refused {}).unwrap();
        report(world, at, Place::EncoderFailed {});
    });
    check("the attester brought nothing and blames the hoster", [unknown, unknown, unknown], &|world, at| {
        world.answer(at, 1, Answer::NothingCame {}).unwrap();
        report(world, at, Place::HosterFailed { made: None });
    });
    check("the hoster took what the attester says did not come", [unknown, fine, fine], &|world, at| {
        let made = world.made(at, 1, world.copy(at, 1));
        world.answer(at, 1, Answer::Took(made)).unwrap();
        report(world, at, Place::HosterFailed { made: None });
    });
    check("the attester makes up the hoster's signature", [failed, unknown, unknown], &|world, at| {
        let made = world.made(at, 1, world.copy(at, 1));
        report(world, at, Place::Hosted { made, hoster: Bytes([7; 64]) });
    });
    check("the attester is late", [failed, unknown, unknown], &|world, _| {
        world.until("hostingSetup_failed", 8);
    });
    check("the attester is late, the hoster says that it took its copy", [failed, fine, fine], &|world, at| {
        let made = world.made(at, 1, world.copy(at, 1));
        world.answer(at, 1, Answer::Took(made)).unwrap();
        world.until("hostingSetup_failed", 8);
    });
    check("the encoder signs wrong sizes", [fine, failed, unknown], &|world, at| {
        let copy = world.copy(at, 1);
        let wrong = HeldCopy { sizes: peermark_ledger::item::hosting::Sizes { plain_bytes: 1, ..copy.sizes }, ..copy };
        let place = world.hosted(at, 1, wrong);
        report(world, at, place);
    });
}

/// S40: after some failures the attester is changed, after some attesters the encoders.
#[test]
fn s40_failures_change_the_attester_and_then_the_encoders() {
    let mut world = World::new(40, Policy { setup_failures: 2, forced_pause_blocks: 1, ..policy() });
    world.publish(Wish::default());
    let mut amendment = world.until("hostingSetup", 3)[0];
    let mut teams = Vec::new();
    for _ in 0..5 {
        let item: Amendment = world.item(amendment);
        teams.push((item.providers.attesters[0], item.providers.encoders.clone(), item.providers.hosters.clone()));
        world.report_setup(amendment, vec![Place::HosterFailed { made: None }; 3]).0.unwrap();
        amendment = world.until("retry_hostingSetup", 2)[0];
    }
    let attesters: Vec<Id> = teams.iter().map(|(attester, ..)| *attester).collect();
    assert_eq!((attesters[0], attesters[2]), (attesters[1], attesters[3]));
    assert!(attesters[0] != attesters[2] && attesters[2] != attesters[4]);
    assert!(teams[..4].windows(2).all(|pair| pair[0].1 == pair[1].1), "encoders stay");
    assert!(teams[3].1.iter().all(|encoder| !teams[4].1.contains(encoder)), "until two attesters were changed");
    assert!(teams.windows(2).all(|pair| pair[0].2.iter().all(|hoster| !pair[1].2.contains(hoster))));
}

/// A task that cannot be staffed waits and keeps its place.
#[test]
fn s10_a_set_up_waits_for_providers() {
    let mut world = World::new(6, policy());
    world.publish(Wish::default());
    for _ in 0..10 {
        let (_, events) = world.block();
        assert_eq!(named(&events, "hostingSetup").len(), 0);
    }
}

/// S41: an encoder that changes its key after it signed cannot make a liar of the attester that shows the signature.
#[test]
fn a_changed_key_does_not_take_a_signature_back() {
    let (mut world, _, amendment) = begun();
    let item: Amendment = world.item(amendment);
    let places = world.all_hosted(amendment);
    let encoder = world.actor(item.providers.encoders[1]);
    let (network, address) = (world.machine.network().to_owned(), world.actors[encoder].key.public());
    let rotate = |number: u8| {
        let signing = SigningKey::from_seed([number + 1; 32]);
        let noise = SigningKey::from_seed([number; 32]);
        let (noise_key, signing_key) = (Bytes(noise.public().0), Bytes(signing.public().0));
        let said = statement::possession(&network, address, &noise_key, &signing_key);
        let sign = |key: &SigningKey| Some(Bytes(key.sign(said.as_bytes())));
        let possession = Possession { noise: sign(&noise), signing: sign(&signing) };
        Transaction::RotateKeys(RotateKeys { noise_key, signing_key, possession })
    };
    world.say(encoder, rotate(200)).0.unwrap();
    let again = world.say(encoder, rotate(210)).0;
    assert!(matches!(again, Err(Refusal::NotNow { .. })), "{again:?}");
    let (result, events) = world.report_setup(amendment, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingStarted"), [[amendment]]);
    assert_eq!(world.reputation(item.providers.attesters[0]), 1);
}
