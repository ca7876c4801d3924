//! Epochs that are judged, through real entries.

mod consequences;

use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;
use peermark_judge::case::{Fit, Term};
use peermark_judge::histogram::{Scale, SparseHistogram};
use peermark_judge::policy::{Policy as Judge, QualificationPolicy, Threshold};
use peermark_judge::qualification::Standing;
use peermark_judge::verdict::Verdict;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::component::{Lag, Performance, Speed};
use peermark_ledger::item::hosting::{ChallengeStatus, PerformanceChallenge};
use peermark_ledger::item::judged::JobKey;
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::item::{Contract, Item};
use peermark_ledger::machine::{Block, Machine};
use peermark_ledger::outcome::Event;
use peermark_ledger::state::work::Judged;
use peermark_ledger::transaction::report::{Measured, ResourceUse, SelfReport, SwarmBusyness, Traffic, WorkingReport};
use peermark_ledger::transaction::{PolicyChange, Transaction};

use crate::driver::{Wish, World};
use crate::work_performance::{commit, performance, reveal};

const EPOCH: u64 = 32;

fn judge() -> Judge {
    let threshold = |enter, leave| Threshold { enter, leave };
    Judge {
        qualification: QualificationPolicy {
            vetting_epochs: 1,
            vetting_audits: 20,
            availability: threshold(900_000, 850_000),
            latency: threshold(800_000, 700_000),
            integrity: threshold(500_000, 300_000),
            dwell_epochs: 1,
            notice_epochs: 1,
            require_integrity: false,
            ..QualificationPolicy::default()
        },
        ..Judge::default()
    }
}

fn policy() -> Policy {
    Policy {
        epoch_blocks: EPOCH,
        committee: 9,
        challenge_pause_blocks: 4,
        commit_blocks: 2,
        reveal_blocks: 2,
        forced_pause_blocks: 1,
        not_back_blocks: 1_000,
        judge: Box::new(judge()),
        ..Policy::default()
    }
}

fn asked() -> Performance {
    Performance {
        availability: Some(850_000),
        latency: Some(Lag { lag_ms: 100, guarantee: 700_000 }),
        ..Performance::default()
    }
}

/// A network of which two contracts, with six hosters, are hosted.
struct Town {
    world: World,
    contracts: Vec<Id>,
    hosters: Vec<Id>,
    open: Vec<Id>,
    events: Vec<Event>,
}

/// Milliseconds, and served of twenty, by place among hosters and place among attesters.
type Sees<'s> = &'s dyn Fn(usize, usize) -> (u64, u64);

impl Town {
    fn new(policy: Policy, asked: Performance) -> Self {
        Self::ordered(policy, asked, false)
    }

    fn ordered(policy: Policy, asked: Performance, reversed: bool) -> Self {
        let mut world = World::new(18, policy);
        world.reversed = reversed;
        world.answer_raw(90);
        let wish = Wish { ranges: vec![(0, 19)], performance: Some(asked), ..Wish::default() };
        let contracts = world.publish(wish);
        assert_eq!(contracts.len(), 2);
        let mut town = Self { world, contracts, hosters: vec![], open: vec![], events: vec![] };
        town.set_up();
        town
    }

    fn set_up(&mut self) {
        let mut waiting = Vec::new();
        for _ in 0..40 {
            waiting.extend(self.step(&|_, _| (40, 20)).iter().filter(|e| e.name == "hostingSetup").map(|e| e.ids[0]));
            for amendment in std::mem::take(&mut waiting) {
                let places = self.world.all_hosted(amendment);
                let (result, events) = self.world.report_setup(amendment, places);
                result.unwrap();
                self.note(events);
            }
            let active = |id: &Id| self.world.item::<Contract>(*id).active_hosters;
            let mut hosters: Vec<Id> = self.contracts.iter().flat_map(active).collect();
            hosters.sort_unstable();
            hosters.dedup();
            if self.contracts.iter().all(|id| active(id).len() == 3) {
                self.hosters = hosters;
                return;
            }
        }
        panic!("not hosted");
    }

    fn note(&mut self, events: Vec<Event>) {
        self.open.extend(events.iter().filter(|event| event.name == "performanceChallenge").map(|event| event.ids[0]));
        self.events.extend(events);
    }

    /// A block in which everybody does its part.
    fn step(&mut self, sees: Sees<'_>) -> Vec<Event> {
        for challenge in self.open.clone() {
            let item: PerformanceChallenge = self.world.item(challenge);
            for attester in &item.attester_ids {
                let actor = self.world.actor(*attester);
                let report = self.report(&item, challenge, actor, sees);
                if item.status == ChallengeStatus::Assigned && !item.commits.contains_key(attester) {
                    commit(&mut self.world, challenge, actor, &report);
                }
                if item.status == ChallengeStatus::Committed && !item.reveals.contains_key(attester) {
                    reveal(&mut self.world, challenge, actor, report);
                }
            }
        }
        let events = self.world.live(1);
        self.note(events.clone());
        let world = &self.world;
        self.open.retain(|id| {
            let status = world.item::<PerformanceChallenge>(*id).status;
            matches!(status, ChallengeStatus::Assigned | ChallengeStatus::Committed)
        });
        events
    }

    fn report(&self, item: &PerformanceChallenge, challenge: Id, actor: usize, sees: Sees<'_>) -> Measured {
        let of = |hoster: &Id| {
            let place = self.hosters.iter().position(|other| other == hoster).unwrap_or(0);
            let (latency_ms, ok) = sees(place, actor);
            // Nobody measures exactly what another does.
            let draw = (actor as u64 * 7_919 + place as u64 * 104_729 + challenge * 1_299_709) * 2_654_435_761;
            let noise = 75 + (draw >> 16) % 51;
            let mut seen = performance(&self.world, challenge, *hoster, latency_ms, ok);
            seen.latency = SparseHistogram::new(Scale::LatencyUs);
            for sample in 0..ok {
                let spread = 85 + (draw >> 24).wrapping_mul(sample + 1) % 31;
                seen.latency.record(latency_ms * noise * spread / 10);
            }
            seen
        };
        Measured::Working(WorkingReport {
            region: "u33".parse().unwrap(),
            hosting_health: Default::default(),
            swarm_busyness: SwarmBusyness { window_s: 60, ..SwarmBusyness::default() },
            hoster_performances: item.hosters.iter().map(of).collect(),
            raw_root: Bytes([8; 32]),
        })
    }

    /// Until so many epochs have ended.
    fn epochs(&mut self, epochs: u64, sees: Sees<'_>) {
        let end = (self.world.height() / EPOCH + epochs) * EPOCH;
        while self.world.height() < end {
            self.step(sees);
        }
    }

    fn job(&self) -> JobKey {
        self.world.state().jobs_of_contract(self.contracts[0]).unwrap()[0].clone()
    }

    fn judged(&self) -> Judged {
        self.world.state().judged(&self.job(), None).unwrap()
    }

    fn standing(&self, place: usize) -> Option<Standing> {
        let state = self.world.state();
        state.qualities_of(self.hosters[place]).map(|(_, quality)| quality.standing).next()
    }

    fn why(&self, place: usize) -> Vec<peermark_judge::qualification::CriterionLine> {
        let name = self.hosters[place].to_string();
        let hosters = self.judged().statement.hosters;
        hosters.into_iter().filter(|hoster| hoster.hoster == name).flat_map(|one| one.explanation.criteria).collect()
    }

    fn named(&self, name: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.name == name).collect()
    }

    /// The attesters: everybody that hosts nothing.
    fn attesters(&self) -> Vec<usize> {
        let actors = &self.world.actors;
        (2..actors.len()).filter(|actor| !self.hosters.contains(&actors[*actor].id)).collect()
    }
}

/// What is true: the first is slow, the second fails half of what it is asked for, the others are good.
fn truth(place: usize) -> (u64, u64) {
    match place {
        0 => (400, 20),
        1 => (40, 9),
        _ => (40 + 5 * place as u64, 20),
    }
}

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
