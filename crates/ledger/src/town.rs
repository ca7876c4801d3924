//! A small world for tests: people who sign real entries, one block for each.

use std::collections::BTreeMap;

use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, PublicKey, Sealed, SigningKey};

use crate::feed_tree::Tree;
use crate::genesis::{Genesis, Policy};
use crate::item::component::{Dataset, Performance, Region, Resources};
use crate::item::plan::{ProgramItem, Until};
use crate::item::user::{Foreign, Form, Role};
use crate::machine::{Block, DOMAIN, Machine};
use crate::outcome::{Event, Refusal};
use crate::state::State;
use crate::statement::feed_version;
use crate::transaction::plan::{FeedDraft, ProgramDraft, VersionDraft};
use crate::transaction::{Components, PublishPlan, Register, RegisterForWork, Transaction};
use crate::{Height, Id};

/// A ledger and the ends of its signers' chains.
#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) machine: Machine,
    ends: BTreeMap<u16, (u64, [u8; 32])>,
    /// What happened in the last block.
    pub(crate) events: Vec<Event>,
    /// All blocks: their entries.
    pub(crate) blocks: Vec<Vec<Sealed>>,
}

/// The admin of every town.
pub(crate) const ADMIN: u16 = 0;
/// Money that each of the first 100 people has from the start.
pub(crate) const MONEY: u64 = 1_000_000;

pub(crate) fn key(who: u16) -> SigningKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&who.to_be_bytes());
    SigningKey::from_seed(seed)
}

pub(crate) fn address(who: u16) -> PublicKey {
    key(who).public()
}

impl Town {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { machine: Machine::new(genesis(policy)), ends: BTreeMap::new(), events: vec![], blocks: vec![] }
    }

    pub(crate) fn state(&self) -> &State {
        self.machine.state()
    }

    pub(crate) fn height(&self) -> Height {
        self.state().height()
    }

    pub(crate) fn seal(&mut self, who: u16, transaction: &Transaction) -> Sealed {
        let (sequence, previous) = self.ends.get(&who).copied().unwrap_or((0, NO_PREVIOUS));
        let network = self.machine.network().to_owned();
        let payload = transaction.payload().unwrap();
        let draft = Draft { domain: DOMAIN.into(), network, sequence: sequence + 1, previous, payload };
        let entry = Sealed::seal(&key(who), draft).unwrap();
        self.ends.insert(who, (sequence + 1, entry.hash()));
        entry
    }

    /// One block with these entries.
    pub(crate) fn block(&mut self, entries: Vec<Sealed>) -> Vec<Result<Vec<Id>, Refusal>> {
        let height = self.height() + 1;
        let beacon = beacon(height);
        let result = self.machine.finalize(&Block { height, beacon, entries: &entries });
        self.blocks.push(entries);
        self.events = result.events;
        result.outcomes.into_iter().map(|outcome| outcome.result).collect()
    }

    /// One block with one entry of this signer.
    pub(crate) fn say(&mut self, who: u16, transaction: Transaction) -> Result<Vec<Id>, Refusal> {
        let entry = self.seal(who, &transaction);
        self.block(vec![entry]).remove(0)
    }

    /// Empty blocks up to a height.
    pub(crate) fn go_to(&mut self, height: Height) {
        while self.height() < height {
            self.block(vec![]);
        }
    }

    pub(crate) fn register(&mut self, who: u16) -> Id {
        self.say(who, register(who)).unwrap()[0]
    }

    /// Registers a hoster, encoder and attester at a place, on a network of its own where the offer names none.
    pub(crate) fn settle(&mut self, who: u16, mut offer: Offer) -> Id {
        if offer.form.prefix.is_empty() {
            let [high, low] = who.to_be_bytes();
            offer.form.prefix = vec![100, high, low];
        }
        self.settle_as_it_is(who, offer)
    }

    pub(crate) fn settle_as_it_is(&mut self, who: u16, offer: Offer) -> Id {
        let id = self.register(who);
        self.say(who, offer.transaction()).unwrap();
        id
    }

    /// Whether the last block had an event of this name.
    pub(crate) fn happened(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.name == name)
    }
}

pub(crate) fn beacon(height: Height) -> crate::Digest {
    crate::state::hash_for_tests(height)
}

/// Plans of a town may be free, whatever the policy says; a price that a policy of a later block asks holds.
pub(crate) fn genesis(policy: Policy) -> Genesis {
    let policy = Policy { min_price: 0, ..policy };
    Genesis {
        name: "town".into(),
        sequencer: address(999),
        admins: vec![address(ADMIN)],
        admin_threshold: 1,
        grants: (0..100).map(|who| (address(who), MONEY)).collect(),
        beacon: crate::beacon::BeaconRule::Checkpoint,
        policy,
    }
}

pub(crate) fn register(who: u16) -> Transaction {
    let public = Bytes(address(who).0);
    Transaction::Register(Register { noise_key: public, signing_key: public, work: 0, possession: Default::default() })
}

/// What somebody offers; the fields that tests change.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) roles: Vec<Role>,
    pub(crate) place: &'static str,
    pub(crate) operator: String,
    pub(crate) storage_bytes: u64,
    pub(crate) form: Form<i64>,
    pub(crate) components: Components,
}

impl Offer {
    pub(crate) fn new(place: &'static str, operator: impl Into<String>) -> Self {
        let form = Form {
            from: 0,
            until: None,
            timings: vec![],
            region: -1,
            radius: 0,
            performance: None,
            resources: -1,
            foreign: Foreign::None,
            min_price: 0,
            capacity: BTreeMap::new(),
            operator: String::new(),
            prefix: vec![],
            measuring_share: 0,
        };
        let roles = vec![Role::Encoder, Role::Hoster, Role::Attester];
        let components = Components::default();
        Self { roles, place, operator: operator.into(), storage_bytes: 1 << 30, form, components }
    }

    pub(crate) fn only(mut self, role: Role) -> Self {
        self.roles = vec![role];
        self
    }

    pub(crate) fn transaction(self) -> Transaction {
        let mut components = self.components;
        components.regions.insert(0, region(&[self.place]));
        components.resources.insert(0, Resources { storage_bytes: self.storage_bytes, ..Resources::default() });
        let mut form = self.form;
        form.operator = self.operator;
        if form.capacity.is_empty() {
            form.capacity = self.roles.iter().map(|role| (*role, 20)).collect();
        }
        Transaction::RegisterForWork(RegisterForWork { roles: self.roles.into_iter().collect(), components, form })
    }
}

pub(crate) fn region(cells: &[&str]) -> Region {
    Region { geohashes: cells.iter().map(|cell| cell.parse().unwrap()).collect() }
}

/// A feed of 100 chunks of 1,000 bytes, with the version of a length.
pub(crate) fn feed(town: &Town, author: u16, length: u64) -> FeedDraft {
    let tree = Tree::of_chunks((0..length).map(|chunk| vec![chunk as u8; 1000]));
    let root = tree.root(length);
    signed_feed(town, author, VersionDraft { length, bytes: tree.bytes(), root, signature: Bytes([0; 64]) })
}

pub(crate) fn signed_feed(town: &Town, author: u16, mut version: VersionDraft) -> FeedDraft {
    let author = key(author);
    let feed = Bytes(author.public().0);
    version.signature = Bytes(author.sign(feed_version(town.machine.network(), &feed, &version).as_bytes()));
    FeedDraft { key: feed, version }
}

/// A plan about the chunks 0 to 24 of a new feed of 100: three contracts, free of charge.
pub(crate) fn plan(town: &Town, author: u16) -> PublishPlan {
    PublishPlan {
        components: Components {
            feeds: vec![feed(town, author, 100)],
            datasets: vec![Dataset { feed: -1, ranges: vec![(0, 24)] }],
            regions: vec![region(&["u33"])],
            performances: vec![Performance { availability: Some(900_000), ..Performance::default() }],
            ..Components::default()
        },
        from: 0,
        until: Until::default(),
        program: vec![ProgramDraft::Item(ProgramItem {
            datasets: vec![-1],
            regions: vec![-1],
            performance: None,
            timings: vec![],
        })],
        importance: 1,
        price: 0,
        deposit: 0,
    }
}
