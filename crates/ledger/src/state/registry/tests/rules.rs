use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, Sealed};

use crate::genesis::{Genesis, Policy};
use crate::item::hosting::RawReason;
use crate::item::{Record, User};
use crate::machine::{DOMAIN, MAX_ENTRY_BYTES, Machine};
use crate::outcome::Refusal;
use crate::state::ChainEnd;
use crate::state::accounts::Account;
use crate::town::{ADMIN, MONEY, Offer, Town, address, genesis, key};
use crate::transaction::{Evidence, Grant, PolicyChange, ReportChange, Transaction, Transfer, Witness};

#[test]
fn money_is_granted_by_admins_and_moved_by_its_owner() {
    let mut town = Town::new(Policy::default());
    let money = |town: &Town, who| town.state().balance(&Account::Money(address(who)));
    let transfer = |to, amount| Transaction::Transfer(Transfer { to: address(to), amount });
    let grant = |amount| Transaction::Grant(Grant { to: address(5), amount });
    town.say(3, transfer(4, 100)).unwrap();
    assert_eq!((money(&town, 3), money(&town, 4)), (MONEY - 100, MONEY + 100));
    assert!(matches!(town.say(3, transfer(4, MONEY)), Err(Refusal::OverBudget { .. })));
    assert!(matches!(town.say(3, transfer(4, 0)), Err(Refusal::Invalid { .. })));
    assert!(matches!(town.say(3, grant(1)), Err(Refusal::NotAllowed { .. })));
    town.say(ADMIN, grant(7)).unwrap();
    assert_eq!(money(&town, 5), MONEY + 7);
    assert!(matches!(town.say(ADMIN, grant(u64::MAX)), Err(Refusal::Invalid { .. })));
    town.say(ADMIN, grant(u64::MAX - MONEY - 7)).unwrap();
    assert!(matches!(town.say(3, transfer(5, 1)), Err(Refusal::Invalid { .. })));
    // To oneself nothing changes.
    town.say(4, transfer(4, 5)).unwrap();
    assert_eq!(money(&town, 4), MONEY + 100);
}

fn two_admins() -> Town {
    two_admins_with(Policy::default())
}

fn two_admins_with(policy: Policy) -> Town {
    let genesis = Genesis { admins: vec![address(0), address(1)], admin_threshold: 2, ..genesis(policy) };
    let mut town = Town::new(Policy::default());
    town.machine = Machine::new(genesis);
    town
}

/// New rules need as many admins as the genesis says, all of whom ask for the same; they hold from their height on.
#[test]
fn rules_change_by_a_threshold_of_admins() {
    let mut town = two_admins();
    let change = |committee, from, observe_only| {
        let policy = Policy { version: 2, committee, ..Policy::default() };
        Transaction::Policy(PolicyChange { policy, from, observe_only })
    };
    assert!(matches!(town.say(2, change(7, 20, false)), Err(Refusal::NotAllowed { .. })));
    town.say(0, change(7, 20, false)).unwrap();
    assert!(matches!(town.say(0, change(7, 20, false)), Err(Refusal::Exists { .. })));
    town.say(1, change(9, 20, false)).unwrap();
    assert!(!town.happened("policyChanged"));
    town.say(1, change(7, 20, false)).unwrap();
    assert!(town.happened("policyChanged") && town.state().policy_votes.is_empty());
    town.go_to(19);
    assert_eq!((town.state().policy().version, town.state().policy().committee), (1, 5));
    town.go_to(20);
    assert_eq!((town.state().policy().version, town.state().policy().committee), (2, 7));
    for wrong in [
        change(7, 90, false),
        Transaction::Policy(PolicyChange {
            policy: Policy { version: 3, committee: 0, ..Policy::default() },
            from: 90,
            observe_only: false,
        }),
    ] {
        assert!(matches!(town.say(0, wrong), Err(Refusal::Invalid { .. })));
    }
}

/// Rules can be watched before they hold: they are kept beside and nothing follows from them.
#[test]
fn observed_rules_change_nothing() {
    let mut town = two_admins();
    let policy = Policy { version: 2, committee: 9, ..Policy::default() };
    for admin in [0, 1] {
        let change = PolicyChange { policy: policy.clone(), from: 10, observe_only: true };
        town.say(admin, Transaction::Policy(change)).unwrap();
    }
    assert!(town.happened("policyObserved"));
    town.go_to(12);
    assert_eq!(town.state().policy().version, 1);
    assert_eq!(town.state().observed_policies.get(&10), Some(&policy));
}

fn fork(town: &Town, who: u16, network: &str, sequence: u64, note: u64) -> Sealed {
    let previous = if sequence == 1 { NO_PREVIOUS } else { [5; 32] };
    let payload = Transaction::Transfer(Transfer { to: address(1), amount: note }).payload().unwrap();
    let network = if network.is_empty() { town.machine.network() } else { network }.to_owned();
    Sealed::seal(&key(who), Draft { domain: DOMAIN.into(), network, sequence, previous, payload }).unwrap()
}

fn evidence(first: &Sealed, second: &Sealed) -> Transaction {
    Transaction::Evidence(Evidence { first: first.bytes().to_vec(), second: second.bytes().to_vec() })
}

/// Two entries with one number suspend their signer: it is in no pool any more and says nothing any more.
#[test]
fn two_histories_suspend_their_signer() {
    let mut town = Town::new(Policy::default());
    let (honest, liar) = (town.register(1), town.settle(2, Offer::new("u33", "two")));
    let (first, second) = (fork(&town, 2, "", 7, 1), fork(&town, 2, "", 7, 2));
    let mut forged = second.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let refused = [
        evidence(&first, &first),
        evidence(&first, &fork(&town, 2, "", 8, 2)),
        evidence(&first, &fork(&town, 1, "", 7, 2)),
        evidence(&first, &fork(&town, 2, "other-00000000", 7, 2)),
        Transaction::Evidence(Evidence { first: first.bytes().to_vec(), second: forged }),
        Transaction::Evidence(Evidence { first: first.bytes().to_vec(), second: vec![1, 2, 3] }),
    ];
    for case in refused {
        assert!(town.say(1, case).is_err());
        assert!(town.state().chain_end(address(2)).unwrap().suspended.is_none());
    }
    let created = town.say(1, evidence(&first, &second)).unwrap();
    let record = town.state().item::<Record>(created[0]).unwrap();
    assert_eq!((record.subject, record.observer), (liar, Some(honest)));
    assert!(town.happened("suspended") && town.state().idle.is_empty());
    assert!(town.state().item::<User>(liar).unwrap().paused.is_some());
    assert!(matches!(town.say(2, Transaction::Unpause {}), Err(Refusal::Suspended { .. })));
    assert!(matches!(town.say(1, evidence(&first, &second)), Err(Refusal::Exists { .. })));
    // Also one that never registered.
    town.say(1, evidence(&fork(&town, 60, "", 1, 1), &fork(&town, 60, "", 1, 2))).unwrap();
    assert!(matches!(town.say(60, crate::town::register(60)), Err(Refusal::Suspended { .. })));
    assert_eq!(town.state().chain_end(address(60)).unwrap().last, Bytes(NO_PREVIOUS));
}

/// Two entries that do not fit into one proof are shown one after the other: nobody signs two histories of long entries for free.
#[test]
fn two_histories_of_long_entries_are_shown_in_two_halves() {
    let mut town = Town::new(Policy::default());
    let liar = town.settle(2, Offer::new("u33", "two"));
    town.register(1);
    let long = |town: &Town, note: u8, length: usize| {
        let change =
            |length| ReportChange { reason: RawReason::Hardware, note: char::from(note).to_string().repeat(length) };
        let payload = |length| Transaction::ReportChange(change(length)).payload().unwrap();
        let network = town.machine.network().to_owned();
        let draft = |payload| Draft {
            domain: DOMAIN.into(),
            network: network.clone(),
            sequence: 7,
            previous: [5; 32],
            payload,
        };
        let around = Sealed::seal(&key(2), draft(payload(60_000))).unwrap().bytes().len() - 60_000;
        Sealed::seal(&key(2), draft(payload(length - around))).unwrap()
    };
    let witness = |entry: &Sealed| Transaction::Witness(Witness { entry: entry.bytes().to_vec() });
    let [first, second] = [b'a', b'b'].map(|note| long(&town, note, MAX_ENTRY_BYTES));
    assert_eq!(first.bytes().len(), MAX_ENTRY_BYTES);
    let end = ChainEnd { sequence: 6, last: Bytes([5; 32]), suspended: None };
    assert_eq!(town.machine.check(&first, Some(&end)), Ok(()));
    // What no witness has room for is no entry of this ledger.
    let longer = long(&town, b'a', MAX_ENTRY_BYTES + 1);
    assert!(matches!(town.machine.check(&longer, Some(&end)), Err(Refusal::TooMany { .. })));
    let both = evidence(&first, &second).payload().unwrap();
    let draft = Draft { domain: DOMAIN.into(), network: "n".into(), sequence: 1, previous: NO_PREVIOUS, payload: both };
    assert!(Sealed::seal(&key(1), draft).is_err(), "two of them do not fit into one");
    // One alone proves nothing, nor does it twice, nor one of another number, nor two of two people.
    let other = fork(&town, 2, "", 8, 2);
    for shown in [&first, &first, &other, &first] {
        assert_eq!(town.say(1, witness(shown)), Ok(vec![]));
    }
    assert_eq!(town.say(2, witness(&second)), Ok(vec![]));
    assert!(town.say(60, witness(&second)).is_err(), "a stranger");
    assert!(town.say(1, witness(&fork(&town, 2, "other-00000000", 7, 2))).is_err());
    assert!(town.state().chain_end(address(2)).unwrap().suspended.is_none());
    assert_eq!(town.state().witnessed.len(), 2);
    let created = town.say(1, witness(&second)).unwrap();
    assert_eq!(town.state().item::<Record>(created[0]).unwrap().subject, liar);
    assert!(town.happened("suspended") && town.state().chain_end(address(2)).unwrap().suspended.is_some());
    assert!(matches!(town.say(1, witness(&first)), Err(Refusal::Exists { .. })));
}

/// Epochs are counted: other rules make the next one longer or shorter, and none is skipped, repeated or evaluated twice.
#[test]
fn an_epoch_may_get_another_length() {
    for (blocks, ends) in [(7, vec![20, 27, 34, 41, 48]), (50, vec![20, 70])] {
        let mut town = two_admins_with(Policy { epoch_blocks: 10, ..Policy::default() });
        let policy = Policy { version: 2, epoch_blocks: blocks, ..Policy::default() };
        for admin in [0, 1] {
            let change = PolicyChange { policy: policy.clone(), from: 15, observe_only: false };
            town.say(admin, Transaction::Policy(change)).unwrap();
        }
        let mut all = vec![10];
        all.extend(ends);
        for (number, first) in (1..).zip(&all) {
            town.go_to(first - 1);
            assert_eq!(town.state().epoch(), number - 1, "before {first}");
            town.go_to(*first);
            assert_eq!(town.state().epoch(), number);
            assert_eq!(town.state().epoch_span(number).unwrap().first, *first);
        }
    }
}

/// What one admin asked for and nobody else is no longer asked for after a while, and one admin alone fills no table.
#[test]
fn votes_end_and_are_bounded() {
    let mut town = two_admins_with(Policy { vote_blocks: 10, ..Policy::default() });
    let grant = |amount| Transaction::Grant(Grant { to: address(5), amount });
    town.say(0, grant(7)).unwrap();
    let asked = town.height();
    town.go_to(asked + 9);
    town.say(1, grant(7)).unwrap();
    assert!(town.happened("grantVoted"), "the first vote was over");
    assert_eq!(town.state().balance(&Account::Money(address(5))), MONEY);
    town.say(0, grant(7)).unwrap();
    assert_eq!(town.state().balance(&Account::Money(address(5))), MONEY + 7);
    let policy = |pay_blocks| {
        let policy = Policy { version: 2, vote_blocks: 10, pay_blocks, ..Policy::default() };
        Transaction::Policy(PolicyChange { policy, from: 900, observe_only: false })
    };
    for what in [&grant as &dyn Fn(u64) -> Transaction, &policy] {
        // All in one block.
        let said: Vec<_> = (1..=17).map(|number| town.seal(0, &what(number))).collect();
        let results = town.block(said);
        assert!(results[..16].iter().all(Result::is_ok), "{results:?}");
        assert!(matches!(results[16], Err(Refusal::TooMany { .. })));
    }
    assert_eq!((town.state().grant_votes.len(), town.state().policy_votes.len()), (16, 16));
    town.go_to(town.height() + 10);
    town.say(0, grant(99)).unwrap();
    assert_eq!(town.state().grant_votes.len(), 1);
}

/// One admin of two makes no money.
#[test]
fn money_needs_more_than_one_admin() {
    let mut town = two_admins();
    let grant = Transaction::Grant(Grant { to: address(5), amount: 7 });
    town.say(0, grant.clone()).unwrap();
    assert_eq!(town.state().balance(&Account::Money(address(5))), MONEY);
    assert!(matches!(town.say(0, grant.clone()), Err(Refusal::Exists { .. })));
    town.say(1, grant.clone()).unwrap();
    assert_eq!(town.state().balance(&Account::Money(address(5))), MONEY + 7);
    assert!(town.state().grant_votes.is_empty());
}
