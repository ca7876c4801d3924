//! Rounds in which committees measure, and a town that is judged: what several tests of whole epochs share.

use peermark_core::sealed::{Bytes, SigningKey};
use peermark_judge::histogram::{Scale, SparseHistogram};
use peermark_judge::outcome::{OutcomeCounts, ProbeOutcome};
use peermark_judge::policy::{Policy as Judge, QualificationPolicy, Threshold};
use peermark_judge::qualification::Standing;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::Contract;
use peermark_ledger::item::component::{Lag, Performance};
use peermark_ledger::item::hosting::{ChallengeStatus, PerformanceChallenge};
use peermark_ledger::item::judged::JobKey;
use peermark_ledger::outcome::Event;
use peermark_ledger::state::work::Judged;
use peermark_ledger::statement;
use peermark_ledger::transaction::report::{
    Contact, HosterPerformance, Measured, RawReport, SwarmBusyness, WorkingReport,
};
use peermark_ledger::transaction::{Commit, Reveal, Transaction};
use peermark_ledger::{Digest, Id};

use crate::driver::{Wish, World};

pub(crate) const EPOCH: u64 = 32;

pub(crate) fn judge() -> Judge {
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

pub(crate) fn policy() -> Policy {
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

pub(crate) fn asked() -> Performance {
    Performance {
        availability: Some(850_000),
        latency: Some(Lag { lag_ms: 100, guarantee: 700_000 }),
        ..Performance::default()
    }
}

/// A network of which two contracts, with six hosters, are hosted.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) contracts: Vec<Id>,
    pub(crate) hosters: Vec<Id>,
    pub(crate) open: Vec<Id>,
    pub(crate) events: Vec<Event>,
}

/// Milliseconds, and served of twenty, by place among hosters and place among attesters.
pub(crate) type Sees<'s> = &'s dyn Fn(usize, usize) -> (u64, u64);

impl Town {
    pub(crate) fn new(policy: Policy, asked: Performance) -> Self {
        Self::ordered(policy, asked, false)
    }

    pub(crate) fn ordered(policy: Policy, asked: Performance, reversed: bool) -> Self {
        let mut world = World::new(18, policy);
        world.reversed = reversed;
        Self::of(world, asked)
    }

    /// Two contracts in a world of 18 workers in which nothing has happened yet.
    pub(crate) fn of(mut world: World, asked: Performance) -> Self {
        world.answer_raw(90);
        let wish = Wish { ranges: vec![(0, 19)], performance: Some(asked), ..Wish::default() };
        let contracts = world.publish(wish);
        assert_eq!(contracts.len(), 2);
        let mut town = Self { world, contracts, hosters: vec![], open: vec![], events: vec![] };
        town.set_up();
        town
    }

    pub(crate) fn set_up(&mut self) {
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

    pub(crate) fn note(&mut self, events: Vec<Event>) {
        self.open.extend(events.iter().filter(|event| event.name == "performanceChallenge").map(|event| event.ids[0]));
        self.events.extend(events);
    }

    /// A block in which everybody does its part.
    pub(crate) fn step(&mut self, sees: Sees<'_>) -> Vec<Event> {
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

    pub(crate) fn report(&self, item: &PerformanceChallenge, challenge: Id, actor: usize, sees: Sees<'_>) -> Measured {
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
    pub(crate) fn epochs(&mut self, epochs: u64, sees: Sees<'_>) {
        let end = (self.world.height() / EPOCH + epochs) * EPOCH;
        while self.world.height() < end {
            self.step(sees);
        }
    }

    pub(crate) fn job(&self) -> JobKey {
        self.world.state().jobs_of_contract(self.contracts[0]).unwrap()[0].clone()
    }

    pub(crate) fn judged(&self) -> Judged {
        self.world.state().judged(&self.job(), None).unwrap()
    }

    pub(crate) fn standing(&self, place: usize) -> Option<Standing> {
        let state = self.world.state();
        state.qualities_of(self.hosters[place]).map(|(_, quality)| quality.standing).next()
    }

    pub(crate) fn why(&self, place: usize) -> Vec<peermark_judge::qualification::CriterionLine> {
        let name = self.hosters[place].to_string();
        let hosters = self.judged().statement.hosters;
        hosters.into_iter().filter(|hoster| hoster.hoster == name).flat_map(|one| one.explanation.criteria).collect()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.name == name).collect()
    }

    /// The attesters: everybody that hosts nothing.
    pub(crate) fn attesters(&self) -> Vec<usize> {
        let actors = &self.world.actors;
        (2..actors.len()).filter(|actor| !self.hosters.contains(&actors[*actor].id)).collect()
    }
}

/// What is true: the first is slow, the second fails half of what it is asked for, the others are good.
pub(crate) fn truth(place: usize) -> (u64, u64) {
    match place {
        0 => (400, 20),
        1 => (40, 9),
        _ => (40 + 5 * place as u64, 20),
    }
}

pub(crate) fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

/// How one hoster did, as an attester saw it.
pub(crate) fn performance(world: &World, challenge: Id, hoster: Id, latency_ms: u64, ok: u64) -> HosterPerformance {
    let mut outcomes = OutcomeCounts::default();
    outcomes.add(ProbeOutcome::Ok, ok);
    outcomes.add(ProbeOutcome::ConnectTimeout, 20 - ok);
    let mut latency = SparseHistogram::new(Scale::LatencyUs);
    let mut egress = SparseHistogram::new(Scale::ThroughputBps);
    for _ in 0..ok {
        latency.record(latency_ms * 1000);
        egress.record(8_000_000);
    }
    let one_time_key = Bytes(SigningKey::from_seed([77; 32]).public().0);
    let transcript = Bytes([4; 32]);
    let said = statement::contact(world.machine.network(), challenge, &one_time_key, &transcript);
    let signature = Bytes(world.actors[world.actor(hoster)].signing.sign(said.as_bytes()));
    let contact = (ok > 0).then_some(Contact { one_time_key, transcript, signature });
    HosterPerformance { hoster, outcomes, latency, egress, ingress: None, bytes: ok * 64, contact }
}

pub(crate) fn hash(world: &World, challenge: Id, actor: usize, salt: Digest, report: &Measured) -> Digest {
    let attester = world.actors[actor].key.public();
    statement::commitment(world.machine.network(), challenge, attester, &salt, report)
}

pub(crate) fn commit(world: &mut World, challenge: Id, actor: usize, report: &Measured) {
    let hash = hash(world, challenge, actor, World::digest(actor as u8), report);
    world.submit(actor, Transaction::CommitPerformance(Commit { challenge, hash }));
}

pub(crate) fn reveal(world: &mut World, challenge: Id, actor: usize, report: Measured) {
    let salt = World::digest(actor as u8);
    world.submit(actor, Transaction::RevealPerformance(Reveal { challenge, salt, report }));
}

pub(crate) fn status(world: &World, challenge: Id) -> ChallengeStatus {
    world.item::<PerformanceChallenge>(challenge).status
}

impl World {
    /// What a committee sees of an idle user.
    pub(crate) fn raw_report(&self, challenge: Id) -> Measured {
        let hoster = self.item::<PerformanceChallenge>(challenge).hosters[0];
        Measured::Raw(Box::new(RawReport {
            region: "u33".parse().unwrap(),
            performance: performance(self, challenge, hoster, 40, 20),
            host_load_ppm: Some(100_000),
            raw_root: Bytes([8; 32]),
        }))
    }

    /// Blocks in which every committee answers the raw benchmarks.
    pub(crate) fn answer_raw(&mut self, blocks: usize) {
        let mut live: Vec<Id> = Vec::new();
        for _ in 0..blocks {
            let (results, events) = self.block();
            for result in results {
                result.unwrap();
            }
            live.extend(named(&events, "rawBenchmark").iter().map(|ids| ids[0]));
            live.retain(|id| matches!(status(self, *id), ChallengeStatus::Assigned | ChallengeStatus::Committed));
            for challenge in live.clone() {
                let item: PerformanceChallenge = self.item(challenge);
                let report = self.raw_report(challenge);
                for attester in &item.attester_ids {
                    let actor = self.actor(*attester);
                    if item.status == ChallengeStatus::Assigned && !item.commits.contains_key(attester) {
                        commit(self, challenge, actor, &report);
                    }
                    if item.status == ChallengeStatus::Committed && !item.reveals.contains_key(attester) {
                        reveal(self, challenge, actor, report.clone());
                    }
                }
            }
        }
        let waiting = self.actors[2..].iter().filter(|actor| self.state().baseline_of(actor.id).is_none()).count();
        assert_eq!(waiting, 0, "users that are not measured");
    }
}
