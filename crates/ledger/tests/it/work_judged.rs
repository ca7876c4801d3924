//! Epochs that are judged, through real entries.

mod consequences;

use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;
use peermark_judge::case::{Fit, Term};
use peermark_judge::policy::{Policy as Judge, QualificationPolicy};
use peermark_judge::qualification::Standing;
use peermark_judge::verdict::Verdict;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::component::{Performance, Speed};
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::item::{Contract, Item};
use peermark_ledger::machine::{Block, Machine};
use peermark_ledger::state::work::Judged;
use peermark_ledger::transaction::report::{ResourceUse, SelfReport, Traffic};
use peermark_ledger::transaction::{PolicyChange, Transaction};

use crate::driver::World;
use crate::rounds::{EPOCH, Town, asked, judge, policy, truth};

fn verdicts(judged: &Judged, hoster: Id) -> BTreeMap<Term, Verdict> {
    let name = hoster.to_string();
    let found = judged.statement.hosters.iter().find(|other| other.hoster == name).unwrap();
    found.placements[0].terms.iter().map(|term| (term.term, term.finding.verdict)).collect()
}

/// R74, R79, R80, R94, R95: who is slow or fails is measured as such and never qualifies, who is good does; every finding is a
/// record that names the policy; selection and statements for people read the same.
#[test]
fn r74_r79_r80_r94_r95_an_epoch_is_judged() {
    let mut town = Town::new(policy(), asked());
    town.epochs(3, &|place, _| truth(place));
    let judged = town.judged();
    assert_eq!(verdicts(&judged, town.hosters[2])[&Term::Latency], Verdict::Meets, "{judged:#?}");
    let failed = |place: usize, term| {
        let name = town.hosters[place].to_string();
        judged
            .statement
            .epochs
            .iter()
            .any(|line| line.hoster == name && line.verdicts.contains(&(term, Verdict::Fails)))
    };
    assert!(failed(0, Term::Latency) && failed(1, Term::Availability));
    assert!(!failed(2, Term::Latency) && !failed(2, Term::Availability));
    for place in 2..town.hosters.len() {
        assert_eq!(town.standing(place), Some(Standing::Qualified), "{place}: {:#?}", town.why(place));
    }
    for place in [0, 1] {
        assert!(!matches!(town.standing(place), None | Some(Standing::Qualified)));
    }
    // A step down comes after its notice.
    let noticed = town.named("standingNoticed").iter().any(|event| event.ids == [town.hosters[0]]);
    assert!(noticed && !town.named("standingChanged").is_empty());
    let fit = |place: usize| {
        let name = town.hosters[place].to_string();
        judged.statement.hosters.iter().find(|other| other.hoster == name).unwrap().fit.clone()
    };
    assert_eq!(fit(2), Fit::Qualifies);
    assert!(matches!(fit(0), Fit::No { .. }));
    // Places of a contract sum to one, and the tier follows them.
    for contract in &judged.statement.contracts {
        let sum: u32 = contract.ranks.iter().filter_map(|line| line.places.as_ref()?.places_ppm.first()).sum();
        assert!((999_000..=1_001_000).contains(&sum) || contract.ranks.len() != 3, "{contract:?}");
    }
    assert!(
        town.world.state().judged_contracts().len() == 2
            && town.world.state().judged_hosters().len() >= town.hosters.len()
    );
    let kinds: Vec<&str> = town.world.state().judged_records().map(|id| kind(&town.world, id)).collect();
    for kind in ["estimate", "verdict", "ranks", "qualification"] {
        assert!(kinds.contains(&kind), "{kind} of {kinds:?}");
    }
    let record = town.world.state().qualification_of(town.hosters[2], &town.job()).unwrap();
    let versions = town.world.state().storage().versions(record);
    assert!(versions.len() >= 3);
    let Some(Item::Record(Record { body: Body::Qualification(finding), .. })) = versions[0].as_deref() else {
        panic!("another record")
    };
    assert_eq!((finding.policy.as_str(), finding.observed), ("public/1", None));
    assert_eq!(town.world.state().statement(town.hosters[2]).unwrap(), vec![judged]);
    assert!(town.world.state().statement(town.world.actors[0].id).is_err());
    assert_eq!(town.world.state().capacity_leaks(), Vec::<String>::new());
}

fn kind(world: &World, id: Id) -> &'static str {
    match world.item::<Record>(id).body {
        Body::Estimate(_) => "estimate",
        Body::Verdict(_) => "verdict",
        Body::Ranks(_) => "ranks",
        Body::Qualification(_) => "qualification",
        Body::AttesterFlag(_) => "flag",
        Body::Dispute(_) => "dispute",
        Body::Alert(_) => "alert",
        _ => "another",
    }
}

/// reliability.md §2: a quarter of the attesters lies about everybody; they are flagged with evidence and move no verdict.
#[test]
fn liars_are_flagged_and_move_nothing() {
    let mut town = Town::new(policy(), asked());
    let liars: Vec<usize> = town.attesters().into_iter().take(3).collect();
    town.epochs(4, &|place, actor| {
        let (latency, ok) = truth(place);
        match (liars.contains(&actor), place % 2) {
            (false, _) => (latency, ok),
            (true, 0) => (latency / 8 + 1, 20),
            (true, _) => (latency * 8, 20),
        }
    });
    let judged = town.judged();
    let named = judged.statement.flags.iter().flat_map(|flag| &flag.attesters);
    let flagged: std::collections::BTreeSet<usize> = named.map(|id| town.world.actor(id.parse().unwrap())).collect();
    assert_eq!(flagged.into_iter().collect::<Vec<_>>(), liars, "{:#?}", judged.statement.flags);
    for liar in &liars {
        let id = town.world.actors[*liar].id;
        assert!(town.named("attesterFlagged").iter().any(|event| event.ids[0] == id));
    }
    assert!(judged.statement.flags.iter().all(|flag| !flag.evidence.is_empty()));
    let victim = 3;
    assert_ne!(verdicts(&judged, town.hosters[victim])[&Term::Latency], Verdict::Fails, "a victim");
    assert_eq!(town.standing(victim), Some(Standing::Qualified));
    assert_ne!(town.standing(0), Some(Standing::Qualified), "a friend");
}

/// Must show: the same entries in another order within a block, a replay, and a snapshot in between lead to the same hash.
#[test]
fn the_same_entries_lead_to_the_same_findings() {
    let [one, other] = [false, true].map(|reversed| {
        let mut town = Town::ordered(policy(), asked(), reversed);
        town.epochs(2, &|place, _| truth(place));
        town
    });
    assert!(!one.named("evaluated").is_empty());
    assert_eq!(one.world.state().hash(), other.world.state().hash());
    let mut machine = Machine::new(one.world.state().genesis().clone());
    let half = one.world.history.len() - 40;
    for (height, entries) in (1..).zip(&one.world.history) {
        machine.finalize(&Block { height, beacon: Bytes([height as u8; 32]), entries });
        if height as usize == half {
            let genesis = machine.state().genesis().clone();
            machine = Machine::restore(&genesis, &machine.snapshot()).unwrap();
        }
    }
    assert_eq!(machine.state().hash(), one.world.state().hash());
    assert_eq!(machine.state().judged(&one.job(), None).unwrap(), one.judged());
}

/// The circuit breaker: while two camps of the same size contradict each other, verdicts stand and nobody moves.
#[test]
fn a_dispute_freezes_everything() {
    let mut town = Town::new(Policy { committee: 12, ..policy() }, asked());
    let camp: Vec<usize> = town.attesters().into_iter().step_by(2).collect();
    town.epochs(2, &|_, _| (40, 20));
    let standings = |town: &Town| -> Vec<_> { (0..town.hosters.len()).map(|place| town.standing(place)).collect() };
    let before = standings(&town);
    let standing = |town: &Town| -> BTreeMap<String, Vec<Verdict>> {
        let hosters = town.judged().statement.hosters;
        let of = |hoster: &peermark_judge::case::HosterStatement| {
            hoster.placements.iter().flat_map(|placement| &placement.terms).map(|term| term.standing).collect()
        };
        hosters.iter().map(|hoster| (hoster.hoster.clone(), of(hoster))).collect()
    };
    let verdicts = standing(&town);
    town.epochs(3, &|place, actor| match (camp.contains(&actor), place % 2) {
        (false, _) => (40, 20),
        (true, 0) => (5, 20),
        (true, _) => (900, 20),
    });
    assert!(!town.named("disputed").is_empty(), "{:#?}", town.judged().statement.flags);
    assert!(!town.named("standingFrozen").is_empty());
    assert!(!town.judged().statement.disputes.is_empty());
    assert_eq!(before, standings(&town));
    assert_eq!(verdicts, standing(&town));
    let state = town.world.state();
    assert!(state.qualities_of(town.hosters[2]).all(|(_, quality)| quality.disputed));
}

/// What a hoster says about itself raises nothing.
#[test]
fn a_self_report_never_raises() {
    let fast =
        Performance { egress: Some(Speed { bits_per_s: 50_000_000, guarantee: 700_000 }), ..Performance::default() };
    let mut town = Town::new(policy(), fast);
    town.epochs(1, &|_, _| (40, 20));
    for hoster in town.hosters.clone() {
        let contract = town
            .contracts
            .iter()
            .copied()
            .find(|id| town.world.item::<Contract>(*id).active_hosters.contains(&hoster))
            .unwrap();
        let epoch = town.world.state().epoch();
        let report = SelfReport {
            contract,
            epoch,
            ingress: Traffic::default(),
            egress: Traffic::default(),
            per_index: vec![],
            availability: vec![],
            resources: ResourceUse::default(),
            metrics_root: Bytes([1; 32]),
        };
        let actor = town.world.actor(hoster);
        town.world.submit(actor, Transaction::SelfReport(report));
    }
    town.epochs(2, &|_, _| (40, 20));
    let judged = town.judged();
    let claims: Vec<_> = judged.statement.hosters.iter().flat_map(|hoster| &hoster.claims).collect();
    assert!(claims.len() >= 5, "{claims:?}");
    for claim in claims {
        assert_eq!(claim.egress_bps, 1_000_000_000);
        assert!(claim.used_bps.is_some_and(|bps| bps < 20_000_000) && claim.deviates, "{claim:?}");
    }
    for hoster in &town.hosters {
        assert_eq!(verdicts(&judged, *hoster)[&Term::Egress], Verdict::Fails);
    }
}

/// New rules are first observed: they are computed and recorded beside, and nothing follows from them.
#[test]
fn observed_rules_change_nothing_but_records() {
    let strict =
        Judge { qualification: QualificationPolicy { vetting_epochs: 1_000, ..judge().qualification }, ..judge() };
    let [plain, observed] = [false, true].map(|observes| {
        let mut town = Town::new(policy(), asked());
        if observes {
            let policy = Policy { version: 2, judge: Box::new(strict.clone()), ..policy() };
            let from = town.world.height() + 2;
            let change = PolicyChange { policy, from, observe_only: true };
            town.world.submit(0, Transaction::Policy(change));
        }
        town.epochs(1, &|place, _| truth(place));
        town
    });
    let found = |town: &Town| -> Vec<_> {
        let state = town.world.state();
        town.hosters.iter().flat_map(|hoster| state.qualities_of(*hoster).map(|(_, row)| row.clone())).collect()
    };
    assert!(!found(&plain).is_empty());
    assert_eq!(found(&plain), found(&observed));
    assert_eq!(plain.judged(), observed.judged());
    assert!(plain.world.state().judged(&plain.job(), Some(2)).is_err());
    let beside = observed.world.state().judged(&observed.job(), Some(2)).unwrap();
    assert_eq!((beside.statement.policy.as_str(), beside.observed), ("public/2", Some(2)));
    let records = |town: &Town| town.world.state().judged_records().count();
    assert_eq!(records(&observed), 2 * records(&plain));
}

/// An epoch in which nothing was measured costs nothing: no event, no record, no case.
#[test]
fn an_epoch_without_evidence_changes_nothing() {
    let mut world = World::new(6, policy());
    let mut events = Vec::new();
    for _ in 0..2 * EPOCH {
        events.extend(world.block().1);
    }
    assert!(events.iter().all(|event| !matches!(event.name.as_str(), "evaluated" | "actionRefused")), "{events:?}");
    assert_eq!((world.state().judged_jobs().len(), world.state().judged_records().count()), (0, 0));
}
