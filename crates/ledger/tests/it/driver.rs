//! A whole network in one process: every role signs real entries, and the machine executes them block by block.

use std::collections::BTreeMap;

use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, PublicKey, Sealed, SigningKey};
use peermark_ledger::beacon::Beacon as _;
use peermark_ledger::feed_tree::Tree;
use peermark_ledger::genesis::{Genesis, Policy};
use peermark_ledger::item::component::{Dataset, Performance, Region, Resources, Timing};
use peermark_ledger::item::hosting::{
    Amendment, ChallengeStatus, HeldCopy, PerformanceChallenge, Sizes, StorageChallenge,
};
use peermark_ledger::item::plan::{ProgramItem, Until};
use peermark_ledger::item::user::{Foreign, Form, Role};
use peermark_ledger::item::{Contract, Kind};
use peermark_ledger::machine::{Block, DOMAIN, Machine};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::state::State;
use peermark_ledger::statement;
use peermark_ledger::transaction::hosting::{Answer, Check, EncodedChunk, Found, Made, Place};
use peermark_ledger::transaction::plan::{Components, FeedDraft, ProgramDraft, VersionDraft};
use peermark_ledger::transaction::{
    Possession, PublishPlan, Reference, Register, RegisterForWork, SetupAnswer, SetupReport, StorageReport, Transaction,
};
use peermark_ledger::{Amount, Digest, Height, Id, Signature};

/// Bytes of every chunk.
pub(crate) const CHUNK_BYTES: u64 = 64;

/// Where everybody is, if nothing else is said.
const HOME: &str = "u33";

/// Somebody with keys.
pub(crate) struct Actor {
    pub(crate) key: SigningKey,
    pub(crate) signing: SigningKey,
    pub(crate) id: Id,
    sequence: u64,
    previous: [u8; 32],
}

/// What a plan asks for, where it differs from the usual.
pub(crate) struct Wish {
    pub(crate) ranges: Vec<(u64, u64)>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) until: Until,
    pub(crate) price: Amount,
    pub(crate) deposit: Amount,
    pub(crate) performance: Option<Performance>,
    /// Where.
    pub(crate) area: &'static str,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            ranges: vec![(0, 9)],
            timings: vec![],
            until: Until::default(),
            price: 12,
            deposit: 1_000_000,
            performance: None,
            area: HOME,
        }
    }
}

/// A machine and everybody that talks to it.
pub(crate) struct World {
    pub(crate) machine: Machine,
    /// 0 is the sponsor, 1 the author of the feed, the others work.
    pub(crate) actors: Vec<Actor>,
    pub(crate) tree: Tree,
    pub(crate) feed: SigningKey,
    height: Height,
    pending: Vec<Sealed>,
    /// Whether entries are executed in the opposite order of their submission.
    pub(crate) reversed: bool,
    /// Whether the randomness is that of the network's rule, as a sequencer takes it, and not one of the test's own.
    pub(crate) by_rule: bool,
    by_id: BTreeMap<Id, usize>,
    /// Storage challenges that nobody answered yet, as far as it is known.
    open: Vec<Id>,
    /// All blocks so far, for another machine.
    pub(crate) history: Vec<Vec<Sealed>>,
}

impl World {
    /// A network with so many workers that take every role.
    pub(crate) fn new(workers: usize, policy: Policy) -> Self {
        Self::begun(workers, policy, false)
    }

    /// The same; `by_rule` as the field says.
    pub(crate) fn begun(workers: usize, policy: Policy, by_rule: bool) -> Self {
        let actors: Vec<Actor> = (0..workers as u8 + 2).map(Actor::new).collect();
        let genesis = Genesis {
            name: "lab".into(),
            sequencer: SigningKey::from_seed([250; 32]).public(),
            admins: vec![actors[0].key.public()],
            admin_threshold: 1,
            grants: vec![(actors[0].key.public(), 100_000_000)],
            beacon: Default::default(),
            policy,
        };
        let chunks = (0..64_u8).map(|chunk| vec![chunk; CHUNK_BYTES as usize]);
        let mut world = Self {
            machine: Machine::new(genesis),
            actors,
            tree: Tree::of_chunks(chunks),
            feed: SigningKey::from_seed([251; 32]),
            height: 0,
            pending: vec![],
            reversed: false,
            by_rule,
            by_id: BTreeMap::new(),
            open: vec![],
            history: vec![],
        };
        for actor in 0..world.actors.len() {
            let signing_key = Bytes(world.actors[actor].signing.public().0);
            let noise = SigningKey::from_seed([actor as u8 + 171; 32]);
            let (network, noise_key) = (world.machine.network(), Bytes(noise.public().0));
            let address = world.actors[actor].key.public();
            let said = statement::possession(network, address, &noise_key, &signing_key);
            let sign = |key: &SigningKey| Some(Bytes(key.sign(said.as_bytes())));
            let possession = Possession { noise: sign(&noise), signing: sign(&world.actors[actor].signing) };
            world.submit(actor, Transaction::Register(Register { noise_key, signing_key, work: 0, possession }));
        }
        let ids: Vec<Id> = world.block_ok().into_iter().flatten().collect();
        for id in ids {
            let address = world.item::<peermark_ledger::item::User>(id).address;
            let actor = world.actors.iter().position(|actor| actor.key.public() == address).unwrap();
            world.actors[actor].id = id;
            world.by_id.insert(id, actor);
        }
        for actor in 2..world.actors.len() {
            world.offer(actor, 10);
        }
        world.block_ok();
        world
    }

    /// Offers all roles, with so many tasks of each.
    pub(crate) fn offer(&mut self, actor: usize, capacity: u32) {
        self.offer_with(actor, capacity, |_| ());
    }

    /// The same, with a form that is changed.
    pub(crate) fn offer_with(&mut self, actor: usize, capacity: u32, change: impl FnOnce(&mut Form<Reference>)) {
        let roles = [Role::Encoder, Role::Hoster, Role::Attester];
        let mut form = Form {
            from: 0,
            until: None,
            timings: vec![],
            region: -1,
            radius: 0,
            performance: None,
            resources: -1,
            foreign: Foreign::None,
            min_price: 0,
            capacity: roles.into_iter().map(|role| (role, capacity)).collect(),
            operator: format!("operator {actor}"),
            prefix: vec![10, actor as u8, 0],
            measuring_share: 0,
        };
        change(&mut form);
        let components = Components {
            regions: vec![region(HOME)],
            resources: vec![Resources {
                storage_bytes: 100 << 20,
                upload_bits_per_s: 1_000_000_000,
                ..Resources::default()
            }],
            ..Components::default()
        };
        let work = RegisterForWork { roles: roles.into_iter().collect(), components, form };
        self.submit(actor, Transaction::RegisterForWork(work));
    }

    /// The sponsor publishes a plan for a part of the feed, from the next block on. Gives its contracts.
    pub(crate) fn publish(&mut self, wish: Wish) -> Vec<Id> {
        self.publish_quietly(wish);
        let made = self.block_ok().into_iter().flatten().collect::<Vec<Id>>();
        made.into_iter().filter(|id| self.state().is(*id, Contract::KIND)).collect()
    }

    /// The sponsor submits a plan for the next block.
    pub(crate) fn publish_quietly(&mut self, wish: Wish) {
        let version = self.version(self.tree.len());
        let datasets = vec![Dataset { feed: -1, ranges: wish.ranges }];
        let item = ProgramItem {
            datasets: vec![-1],
            regions: vec![-1],
            performance: wish.performance.as_ref().map(|_| -1),
            timings: (1..=wish.timings.len() as i64).map(|at| -at).collect(),
        };
        let plan = PublishPlan {
            components: Components {
                feeds: vec![FeedDraft { key: Bytes(self.feed.public().0), version }],
                datasets,
                regions: vec![region(wish.area)],
                timings: wish.timings,
                performances: wish.performance.into_iter().collect(),
                ..Components::default()
            },
            from: 0,
            until: wish.until,
            program: vec![ProgramDraft::Item(item)],
            importance: 1,
            price: wish.price,
            deposit: wish.deposit,
        };
        self.submit(0, Transaction::PublishPlan(plan));
    }

    pub(crate) fn version(&self, length: u64) -> VersionDraft {
        let bytes = length * CHUNK_BYTES;
        let mut version = VersionDraft { length, bytes, root: self.tree.root(length), signature: Bytes([0; 64]) };
        let key = Bytes(self.feed.public().0);
        let said = statement::feed_version(self.machine.network(), &key, &version);
        version.signature = Bytes(self.feed.sign(said.as_bytes()));
        version
    }

    /// Signs an entry for the next block.
    pub(crate) fn submit(&mut self, actor: usize, transaction: Transaction) {
        let network = self.machine.network().to_owned();
        let actor = &mut self.actors[actor];
        actor.sequence += 1;
        let draft = Draft {
            domain: DOMAIN.into(),
            network,
            sequence: actor.sequence,
            previous: actor.previous,
            payload: transaction.payload().unwrap(),
        };
        let entry = Sealed::seal(&actor.key, draft).unwrap();
        actor.previous = entry.hash();
        self.pending.push(entry);
    }

    /// Executes a block of what was submitted.
    pub(crate) fn block(&mut self) -> (Vec<Result<Vec<Id>, Refusal>>, Vec<Event>) {
        self.height += 1;
        let mut entries = std::mem::take(&mut self.pending);
        if self.reversed {
            entries.reverse();
        }
        let beacon = if self.by_rule { self.rule() } else { beacon(self.height) };
        let result = self.machine.finalize(&Block { height: self.height, beacon, entries: &entries });
        self.history.push(entries);
        let begun = result.events.iter().filter(|event| event.name == "storageChallenge");
        self.open.extend(begun.map(|event| event.ids[0]));
        (result.outcomes.into_iter().map(|outcome| outcome.result).collect(), result.events)
    }

    fn rule(&self) -> Digest {
        let (genesis, state) = (self.state().genesis(), self.state().hash());
        genesis.beacon.value(self.machine.network(), self.height, state, None).unwrap()
    }

    /// The same, where nothing may be refused.
    pub(crate) fn block_ok(&mut self) -> Vec<Vec<Id>> {
        let (results, events) = self.block();
        for event in &events {
            assert!(!event.name.ends_with("Refused"), "{event:?}");
        }
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    /// Executes one entry in a block of its own; gives what became of it and what happened.
    pub(crate) fn say(&mut self, actor: usize, transaction: Transaction) -> (Result<Vec<Id>, Refusal>, Vec<Event>) {
        self.submit(actor, transaction);
        let (mut results, events) = self.block();
        (results.remove(0), events)
    }

    /// Blocks without entries until an event of this name, at most `most`; gives its ids.
    pub(crate) fn until(&mut self, name: &str, most: usize) -> Vec<Id> {
        for _ in 0..most {
            let (_, events) = self.block();
            if let Some(event) = events.into_iter().find(|event| event.name == name) {
                return event.ids;
            }
        }
        panic!("no {name} within {most} blocks");
    }

    /// Another machine that executes the same blocks, with the entries of each in the opposite order.
    pub(crate) fn replayed(&self) -> Machine {
        let mut machine = Machine::new(self.state().genesis().clone());
        for (height, entries) in (1..).zip(&self.history) {
            let entries: Vec<Sealed> = entries.iter().rev().cloned().collect();
            machine.finalize(&Block { height, beacon: beacon(height), entries: &entries });
        }
        machine
    }

    pub(crate) fn state(&self) -> &State {
        self.machine.state()
    }

    pub(crate) fn height(&self) -> Height {
        self.height
    }

    pub(crate) fn item<T: Kind + Clone>(&self, id: Id) -> T {
        self.state().item::<T>(id).unwrap().clone()
    }

    /// The actor of a user.
    pub(crate) fn actor(&self, user: Id) -> usize {
        self.by_id[&user]
    }

    pub(crate) fn address(&self, user: Id) -> PublicKey {
        self.actors[self.actor(user)].key.public()
    }

    /// The encoded chunks of a contract for a place: what encoder, hoster and attester exchange.
    pub(crate) fn encoded(&self, amendment: Id, place: u32) -> Vec<EncodedChunk> {
        let contract = self.item::<Contract>(self.item::<Amendment>(amendment).contract);
        let chunks = contract.ranges.iter().flat_map(|(first, last)| *first..=*last);
        let digest = |index: u64| Bytes([amendment as u8, place as u8, index as u8, 9].repeat(8).try_into().unwrap());
        chunks.map(|index| EncodedChunk { index, bytes: CHUNK_BYTES + 3, digest: digest(index) }).collect()
    }

    pub(crate) fn copy(&self, amendment: Id, place: u32) -> HeldCopy {
        let encoded = self.encoded(amendment, place);
        let chunks = encoded.len() as u64;
        let sizes = Sizes { plain_bytes: chunks * CHUNK_BYTES, encoded_bytes: chunks * (CHUNK_BYTES + 3) };
        HeldCopy { sizes, manifest: statement::manifest_digest(&encoded) }
    }

    /// A copy as the encoder of its place signs it.
    pub(crate) fn made(&self, amendment: Id, place: u32, copy: HeldCopy) -> Made {
        let encoder = self.item::<Amendment>(amendment).providers.encoders[place as usize];
        let said = statement::manifest(self.machine.network(), amendment, place, &copy);
        Made { copy, encoder: Bytes(self.actors[self.actor(encoder)].signing.sign(said.as_bytes())) }
    }

    /// A place that both signed for.
    pub(crate) fn hosted(&self, amendment: Id, place: u32, copy: HeldCopy) -> Place {
        let hoster = self.item::<Amendment>(amendment).providers.hosters[place as usize];
        let said = statement::accept(self.machine.network(), amendment, place, &copy);
        let hoster = Bytes(self.actors[self.actor(hoster)].signing.sign(said.as_bytes()));
        Place::Hosted { made: self.made(amendment, place, copy), hoster }
    }

    /// All places of an amendment as they should end.
    pub(crate) fn all_hosted(&self, amendment: Id) -> Vec<Place> {
        let positions = self.item::<Amendment>(amendment).positions;
        positions.iter().map(|place| self.hosted(amendment, *place, self.copy(amendment, *place))).collect()
    }

    /// The attester reports an amendment.
    pub(crate) fn report_setup(&mut self, amendment: Id, places: Vec<Place>) -> (Result<Vec<Id>, Refusal>, Vec<Event>) {
        let attester = self.actor(self.item::<Amendment>(amendment).providers.attesters[0]);
        self.say(attester, Transaction::HostingSetupReport(SetupReport { amendment, places }))
    }

    /// A hoster answers for itself.
    pub(crate) fn answer(&mut self, amendment: Id, place: u32, answer: Answer) -> Result<Vec<Id>, Refusal> {
        let hoster = self.actor(self.item::<Amendment>(amendment).providers.hosters[place as usize]);
        self.say(hoster, Transaction::AnswerSetup(SetupAnswer { amendment, answer })).0
    }

    /// Publishes the usual plan and sets its only contract up: gives contract and amendment.
    pub(crate) fn hosted_contract(&mut self, wish: Wish) -> (Id, Id) {
        let contract = self.publish(wish)[0];
        let amendment = self.until("hostingSetup", 3)[0];
        let places = self.all_hosted(amendment);
        let (result, events) = self.report_setup(amendment, places);
        result.unwrap();
        assert!(events.iter().any(|event| event.name == "hostingStarted"), "{events:?}");
        (contract, amendment)
    }

    /// What a hoster gives for every check of a challenge.
    pub(crate) fn proofs(&self, challenge: Id) -> Vec<Check> {
        let StorageChallenge { hoster, .. } = self.item(challenge);
        let checks = self.state().drawn_chunks(challenge, &self.drawn(challenge)).unwrap();
        let prove = |(contract, chunk): (&Id, &u64)| {
            let holders = &self.state().staffing_of(*contract).unwrap().holders;
            let (place, holder) = holders.iter().find(|(_, holder)| holder.hoster == hoster).unwrap();
            let length = self.tree.len();
            let proof = self.tree.proof(*chunk, length).unwrap();
            Check::Proved { length, proof, encoded: self.encoded(holder.amendment, *place) }
        };
        checks.iter().map(prove).collect()
    }

    /// The signature by which the attester of a challenge draws its chunks.
    pub(crate) fn drawn(&self, challenge: Id) -> Signature {
        let StorageChallenge { attester, seed, .. } = self.item(challenge);
        let said = statement::storage_draw(self.machine.network(), challenge, &seed);
        Bytes(self.actors[self.actor(attester)].key.sign(said.as_bytes()))
    }

    /// An answer that the challenge's hoster signed for its attester.
    pub(crate) fn answered(&self, challenge: Id, checks: Vec<Check>) -> Found {
        let StorageChallenge { hoster, attester, .. } = self.item(challenge);
        let network = self.machine.network();
        let (address, draw) = (self.address(attester), self.drawn(challenge));
        let said = statement::storage_contact(network, challenge, address, &draw, &checks);
        let contact = Bytes(self.actors[self.actor(hoster)].signing.sign(said.as_bytes()));
        Found::Answered { checks, contact }
    }

    /// The attester reports a storage challenge.
    pub(crate) fn report_storage(&mut self, challenge: Id, found: Found) -> (Result<Vec<Id>, Refusal>, Vec<Event>) {
        let attester = self.actor(self.item::<StorageChallenge>(challenge).attester);
        let draw = self.drawn(challenge);
        self.say(attester, Transaction::SubmitStorageChallenge(StorageReport { challenge, draw, found }))
    }

    /// Blocks until a challenge of this hoster is under way; those of others are proved meanwhile.
    pub(crate) fn storage_challenge_of(&mut self, hoster: Id, most: usize) -> Id {
        for _ in 0..most {
            let mut found = None;
            for challenge in std::mem::take(&mut self.open) {
                let item: StorageChallenge = self.item(challenge);
                if item.status != ChallengeStatus::Assigned {
                    continue;
                }
                if item.hoster == hoster {
                    found = Some(challenge);
                } else {
                    self.prove(challenge);
                }
            }
            if let Some(found) = found {
                return found;
            }
            self.block();
        }
        panic!("no challenge of {hoster} within {most} blocks");
    }

    /// Submits what a challenge asks for, for the next block.
    pub(crate) fn prove(&mut self, challenge: Id) {
        let StorageChallenge { hoster, attester, checks, .. } = self.item(challenge);
        let holds = |id: &Id| self.item::<Contract>(*id).active_hosters.contains(&hoster);
        // What it no longer hosts it cannot show: nothing follows from the report.
        let found = match checks.keys().all(holds) {
            true => self.answered(challenge, self.proofs(challenge)),
            false => Found::NoContact {},
        };
        let (attester, draw) = (self.actor(attester), self.drawn(challenge));
        self.submit(attester, Transaction::SubmitStorageChallenge(StorageReport { challenge, draw, found }));
    }

    /// Blocks in which everybody proves what it is asked for.
    pub(crate) fn live(&mut self, blocks: usize) -> Vec<Event> {
        let mut all = Vec::new();
        for _ in 0..blocks {
            for challenge in std::mem::take(&mut self.open) {
                if self.item::<StorageChallenge>(challenge).status == ChallengeStatus::Assigned {
                    self.prove(challenge);
                }
            }
            all.extend(self.block().1);
        }
        all
    }

    pub(crate) fn committee(&self, challenge: Id) -> Vec<usize> {
        self.item::<PerformanceChallenge>(challenge).attester_ids.iter().map(|id| self.actor(*id)).collect()
    }

    pub(crate) fn reputation(&self, user: Id) -> i64 {
        self.item::<peermark_ledger::item::User>(user).reputation
    }

    pub(crate) fn is_paused(&self, user: Id) -> bool {
        self.item::<peermark_ledger::item::User>(user).paused.is_some()
    }

    pub(crate) fn money(&self, user: Id) -> Amount {
        self.state().balance(&peermark_ledger::state::accounts::Account::Money(self.address(user)))
    }

    /// A digest that means nothing.
    pub(crate) fn digest(number: u8) -> Digest {
        Bytes([number; 32])
    }
}

impl Actor {
    fn new(number: u8) -> Self {
        Self {
            key: SigningKey::from_seed([number + 1; 32]),
            signing: SigningKey::from_seed([number + 101; 32]),
            id: 0,
            sequence: 0,
            previous: NO_PREVIOUS,
        }
    }
}

fn beacon(height: Height) -> Digest {
    Bytes([height as u8; 32])
}

fn region(area: &str) -> Region {
    Region { geohashes: vec![area.parse().unwrap()] }
}
