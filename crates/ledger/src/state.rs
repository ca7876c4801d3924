//! Everything that follows from the entries so far.
//!
//! The state is tables and a storage, and changes only through them: a transaction that is refused is taken back whole, and the
//! hash of a block covers every row that it changed. Nothing here reads a clock, a file or the environment, nothing is random but
//! what the beacon of a block decides, and there are no floats.

pub mod accounts;
pub mod agenda;
mod apply;
mod copy;
mod hashing;
mod registry;
pub(crate) use registry::timing;
pub mod standing;
pub mod storage;
pub mod table;
pub mod work;

use std::collections::BTreeSet;

use peermark_core::region::Geohash;
use peermark_core::sealed::PublicKey;
use peermark_judge::alert::TaskKey as TaskName;
use peermark_judge::case::Case;
use peermark_judge::coordinates::Estimator;
use serde::{Deserialize, Serialize};

use crate::genesis::{Genesis, Policy};
use crate::item::judged::JobKey;
use crate::item::user::{Job, Role};
use crate::item::{Item, Kind, expected};
use crate::outcome::{Event, Refusal};
use crate::select::CellKey;
use crate::{Amount, Digest, Height, Id, Key};
use accounts::Account;
use agenda::{Action, Task, TaskKey};
pub(crate) use copy::Changes;
use copy::Part;
use hashing::Hashing;
use standing::{Quality, QualityKey};
use storage::Storage;
use table::Table;
use work::judging::{CaseKey, ProofKey, Topic, Watch, WatchKey};
use work::{
    Accused, Cycle, EpochSpan, Lag, Market, MarketKey, Observation, ObservationKey, Paid, Pilot, RootDoubt, Staffing,
    Subject,
};

/// The end of one signer's chain of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// Number of its last entry.
    pub sequence: u64,
    /// Hash of its last entry.
    pub last: Digest,
    /// Why its entries are refused, where they are.
    pub suspended: Option<String>,
}

/// An entry that somebody showed, as one half of a proof of two histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// Who signed it.
    pub offender: PublicKey,
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// Numbers that count up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// Actions of the agenda, so that two of one height keep their order.
    Action,
    /// The epoch that was evaluated last.
    Epoch,
}

/// The state after a block. Fields are read by everybody and changed by the crate alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// What was agreed on before the first entry.
    pub(crate) genesis: Genesis,
    /// Height of the last block; 0 before the first.
    pub(crate) height: Height,
    /// Hash of the state after that block: of the one before, and of every row that changed.
    pub(crate) hash: Digest,
    /// Randomness of the block that is being executed.
    pub(crate) beacon: Digest,
    /// Rules that hold, from this height on each.
    pub(crate) policies: Table<Height, Policy>,
    /// All entries of all types.
    pub(crate) storage: Storage,
    /// Ends of the signers' chains.
    pub(crate) chains: Table<PublicKey, ChainEnd>,
    /// Immutable lookups (S11-S13): set once, never changed.
    pub(crate) user_by_address: Table<PublicKey, Id>,
    pub(crate) user_by_noise_key: Table<Key, Id>,
    pub(crate) user_by_signing_key: Table<Key, Id>,
    pub(crate) feed_by_key: Table<Key, Id>,
    /// Components by the hash of their content (S46).
    pub(crate) component_by_hash: Table<Digest, Id>,
    /// Users that can take a task, by role (S4).
    pub(crate) idle: Table<(Role, Id), ()>,
    /// Tasks that wait for providers.
    pub(crate) queue: Table<TaskKey, Task>,
    /// What is due at which height.
    pub(crate) agenda: Table<(Height, u64), Action>,
    /// Money and capacity, as double entry.
    pub(crate) balances: Table<Account, Amount>,
    pub(crate) counters: Table<Counter, u64>,
    /// Live challenges (S7).
    pub(crate) active_storage: Table<Id, ()>,
    pub(crate) active_performance: Table<Id, ()>,
    /// Admins that asked for new rules, by the hash of what they asked for, and when.
    pub(crate) policy_votes: Table<(Digest, PublicKey), Height>,
    /// Rules that are only computed and shown, from this height on each.
    pub(crate) observed_policies: Table<Height, Policy>,
    /// How well hosters serve regions: written by the evaluation.
    pub(crate) qualities: Table<QualityKey, Quality>,
    /// Where idle users are: a row for each cell that they answer to.
    pub(crate) cells: Table<CellKey, ()>,
    /// Bytes under the nodes of feeds' trees: more with every proof (S27).
    pub(crate) node_sizes: Table<(Id, u64), u64>,
    /// Plans that have not ended, by sponsor.
    pub(crate) live_plans: Table<(Id, Id), ()>,
    /// Who holds which place of a contract, and how its set-ups went.
    pub(crate) staffing: Table<Id, Staffing>,
    /// Which contract of a feed is tried first, and whether it was proved (S32, S33).
    pub(crate) pilots: Table<Id, Pilot>,
    /// What each hoster hosts: the place, by (hoster, contract).
    pub(crate) hostings: Table<(Id, Id), u32>,
    /// Challenges that go on and on: one at a time for each subject.
    pub(crate) cycles: Table<Subject, Cycle>,
    /// Hosters that somebody accused without their signature.
    pub(crate) accused: Table<Id, Accused>,
    /// Contracts that wait for their feed to be proven, by (feed, contract).
    pub(crate) waiting: Table<(Id, Id), ()>,
    /// Contracts whose hosters are paid: a row for each that is active.
    pub(crate) paid: Table<Id, Paid>,
    /// Plans that lack money and end with the next block unless they get it: how much.
    pub(crate) spent: Table<Id, Amount>,
    /// What attesters measured, until it is evaluated.
    pub(crate) observations: Table<ObservationKey, Observation>,
    /// Records of hosters' own reports, by (epoch, contract, hoster).
    pub(crate) self_reports: Table<(u64, Id, Id), Id>,
    /// The newest raw benchmark of a user, and the newest coordinates: their records.
    pub(crate) baselines: Table<Id, Id>,
    pub(crate) coordinates: Table<Id, Id>,
    /// Storage proofs that were asked for and valid, until they are evaluated.
    pub(crate) proofs: Table<ProofKey, (u64, u64)>,
    /// What the judge carries from epoch to epoch.
    pub(crate) cases: Table<CaseKey, Case>,
    /// The newest record of each topic of the judge.
    pub(crate) judged: Table<Topic, Id>,
    /// What each job says of a hoster in a region; the qualities that others read are their worst.
    pub(crate) job_qualities: Table<(Id, Geohash, JobKey), Quality>,
    /// Tasks that alerts made, with the height: none is made twice.
    pub(crate) alert_tasks: Table<TaskName, Height>,
    /// Hosters that failed and are paused: when they are replaced.
    pub(crate) away: Table<Id, Height>,
    /// Attesters that alone said of a user's set-ups that it failed, since one of them succeeded.
    pub(crate) doubts: Table<Id, BTreeSet<Id>>,
    /// Roots under which a hoster proved a chunk, by (feed, length): they count for good.
    pub(crate) proven_roots: Table<(Id, u64), Digest>,
    /// Admins that asked for new money, by the hash of what they asked for, and when.
    pub(crate) grant_votes: Table<(Digest, PublicKey), Height>,
    /// The task of the queue that was tried last by turns; none where the next turn begins anew.
    pub(crate) queue_turn: Table<(), TaskKey>,
    /// When plans end by time: the action's key, so that another end replaces it.
    pub(crate) plan_ends: Table<Id, (Height, u64)>,
    /// Roots of feeds that are in doubt, by feed.
    pub(crate) root_doubts: Table<Id, RootDoubt>,
    /// The entry that each signer showed last and that proves nothing alone.
    pub(crate) witnessed: Table<PublicKey, Witnessed>,
    /// Tasks that users hold, by (user, role, task).
    pub(crate) jobs: Table<(Id, Role, Id), Job>,
    /// Epochs: the one that is running, and the last ones before.
    pub(crate) epochs: Table<u64, EpochSpan>,
    /// Money that plans put aside for works under way: the sum of their held accounts.
    pub(crate) held: Table<Id, Amount>,
    /// What there is of each role and what is wanted, as of the end of the last epoch.
    pub(crate) markets: Table<MarketKey, Market>,
    /// What rules about hosters themselves remember.
    pub(crate) watches: Table<WatchKey, Watch>,
    /// Lags between users, by direction: who measures, who answers.
    pub(crate) lags: Table<(Id, Id), Lag>,
    /// Where users lie in the space of delays.
    pub(crate) estimators: Table<Id, Estimator>,
    /// What happened in the block that is being executed, and how much of it is kept.
    #[serde(skip)]
    events: Vec<Event>,
    #[serde(skip)]
    events_kept: usize,
}

/// Hands every table to a macro, in one fixed order. New tables come last: the order is part of the state's hash.
macro_rules! tables {
    ($then:ident, $($args:tt)*) => {
        $then!($($args)*,
            policies storage chains user_by_address user_by_noise_key user_by_signing_key feed_by_key component_by_hash idle
            queue agenda balances counters active_storage active_performance
            policy_votes observed_policies qualities cells node_sizes live_plans
            staffing pilots hostings cycles accused waiting paid spent observations self_reports baselines coordinates
            proofs cases judged job_qualities alert_tasks
            away doubts proven_roots
            grant_votes queue_turn plan_ends root_doubts witnessed held epochs jobs
             markets watches lags estimators)
    };
}

/// Calls a method of these tables.
macro_rules! each_of {
    ($state:expr, $table:ident => $do:expr, $($field:ident)+) => {{
        let state = $state;
        $({
            let $table = &mut state.$field;
            $do;
        })+
    }};
}

/// Calls a method of every table.
macro_rules! each_table {
    ($state:expr, $table:ident => $do:expr) => {
        tables!(each_of, $state, $table => $do)
    };
}

/// What these tables changed since a copy.
macro_rules! changes_of {
    ($state:expr, $copy:expr, $($field:ident)+) => {
        vec![$($state.$field.changes_for(&$copy.$field, |state| &mut state.$field)),+]
    };
}

#[cfg(test)]
pub(crate) fn hash_for_tests(number: u64) -> Digest {
    hashing::hash_of("test", &number)
}

impl State {
    /// The state before the first block.
    pub fn new(genesis: Genesis) -> Self {
        let mut state = Self {
            hash: genesis.hash(),
            beacon: genesis.hash(),
            genesis,
            height: 0,
            policies: Table::default(),
            storage: Storage::default(),
            chains: Table::default(),
            user_by_address: Table::default(),
            user_by_noise_key: Table::default(),
            user_by_signing_key: Table::default(),
            feed_by_key: Table::default(),
            component_by_hash: Table::default(),
            idle: Table::default(),
            queue: Table::default(),
            agenda: Table::default(),
            balances: Table::default(),
            counters: Table::default(),
            active_storage: Table::default(),
            active_performance: Table::default(),
            policy_votes: Table::default(),
            observed_policies: Table::default(),
            qualities: Table::default(),
            cells: Table::default(),
            node_sizes: Table::default(),
            live_plans: Table::default(),
            staffing: Table::default(),
            pilots: Table::default(),
            hostings: Table::default(),
            cycles: Table::default(),
            accused: Table::default(),
            waiting: Table::default(),
            paid: Table::default(),
            spent: Table::default(),
            observations: Table::default(),
            self_reports: Table::default(),
            baselines: Table::default(),
            coordinates: Table::default(),
            proofs: Table::default(),
            cases: Table::default(),
            judged: Table::default(),
            job_qualities: Table::default(),
            alert_tasks: Table::default(),
            away: Table::default(),
            doubts: Table::default(),
            proven_roots: Table::default(),
            grant_votes: Table::default(),
            queue_turn: Table::default(),
            plan_ends: Table::default(),
            root_doubts: Table::default(),
            witnessed: Table::default(),
            held: Table::default(),
            epochs: Table::default(),
            jobs: Table::default(),
            markets: Table::default(),
            watches: Table::default(),
            lags: Table::default(),
            estimators: Table::default(),
            events: Vec::new(),
            events_kept: 0,
        };
        let policy = state.genesis.policy.clone();
        state.policies.put(0, policy);
        for (to, amount) in state.genesis.grants.clone() {
            state.mint(to, amount);
        }
        state.begin_epoch(0);
        state.schedule(state.policy().epoch_blocks, Action::Epoch {});
        state.keep();
        state
    }

    /// Height of the last block, or of the one that is being executed.
    pub fn height(&self) -> Height {
        self.height
    }

    /// Hash of the state after the last block.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The rules that hold now.
    pub fn policy(&self) -> &Policy {
        self.policies.range(..=self.height).next_back().map_or(&self.genesis.policy, |(_, policy)| policy)
    }

    /// What was agreed on before the first entry.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The end of a signer's chain of entries; `None` before its first one.
    pub fn chain_end(&self, signer: PublicKey) -> Option<&ChainEnd> {
        self.chains.get(&signer)
    }

    /// All entries of all types.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The newest version of an entry of a type.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`].
    pub fn item<T: Kind>(&self, id: Id) -> Result<&T, Refusal> {
        expected(id, self.storage.get(id))
    }

    /// Adds a version that differs from the newest one by `change`; none where nothing differs.
    ///
    /// # Errors
    /// As [`Self::item`].
    pub(crate) fn change<T: Kind + Clone + PartialEq>(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut T),
    ) -> Result<(), Refusal> {
        let before = self.item::<T>(id)?;
        let mut value = before.clone();
        change(&mut value);
        if value != *before {
            self.storage.set(id, value.into_item());
        }
        Ok(())
    }

    /// Stores a new entry.
    pub(crate) fn create(&mut self, item: impl Kind) -> Id {
        self.storage.create(item.into_item())
    }

    /// The user that signs with this key.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] where it is not registered.
    pub(crate) fn user_of(&self, signer: PublicKey) -> Result<Id, Refusal> {
        let id = self.user_by_address.get(&signer).copied();
        // Lookups stay when an account is deleted.
        id.filter(|id| self.storage.get(*id).is_some())
            .ok_or_else(|| Refusal::not_allowed("the signer is not registered"))
    }

    /// Says that something happened.
    pub(crate) fn emit(&mut self, name: &str, ids: &[Id]) {
        self.events.push(Event { name: name.to_owned(), ids: ids.to_vec(), detail: None });
    }

    /// Says that something happened, and more about it.
    pub(crate) fn emit_with(&mut self, name: &str, ids: &[Id], detail: impl Into<String>) {
        self.events.push(Event { name: name.to_owned(), ids: ids.to_vec(), detail: Some(detail.into()) });
    }

    /// Keeps what a transaction or an action changed.
    pub(crate) fn keep(&mut self) {
        each_table!(&mut *self, table => table.keep());
        self.events_kept = self.events.len();
    }

    /// Takes back everything since the last [`Self::keep`].
    pub(crate) fn take_back(&mut self) {
        each_table!(&mut *self, table => table.take_back());
        self.events.truncate(self.events_kept);
    }

    /// Begins a block.
    pub(crate) fn begin(&mut self, height: Height, beacon: Digest) {
        (self.height, self.beacon) = (height, beacon);
    }

    /// Ends a block: its events, and the new hash of the state.
    pub(crate) fn end(&mut self) -> Vec<Event> {
        let mut hashing = Hashing::new("state");
        hashing.item(&(self.hash, self.height, self.beacon));
        each_table!(&mut *self, table => table.hash_into(&mut hashing));
        let events = std::mem::take(&mut self.events);
        hashing.item(&events);
        self.events_kept = 0;
        self.hash = hashing.finish();
        events
    }

    /// What the last block changed, for a copy of the state from before it.
    pub(crate) fn changes_for(&self, copy: &Self) -> Changes {
        let (height, hash, beacon) = (self.height, self.hash, self.beacon);
        let mut parts: Vec<Part> = tables!(changes_of, self, copy);
        parts.push(Box::new(move |state| (state.height, state.hash, state.beacon) = (height, hash, beacon)));
        Changes(parts)
    }

    /// A number that nobody chose, for one purpose: SHA-256 over a tag, the block's beacon and what it is for.
    pub(crate) fn draw(&self, purpose: &str, about: &impl Serialize) -> Digest {
        hashing::hash_of("draw", &(self.beacon, purpose, about))
    }

    /// Whether there is an entry of a type under an id.
    pub fn is(&self, id: Id, kind: &str) -> bool {
        self.storage.get(id).is_some_and(|item: &Item| item.kind() == kind)
    }
}
