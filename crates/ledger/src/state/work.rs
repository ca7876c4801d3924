//! Hosting and measuring: set-ups, replacements, challenges, reports, pay.
//!
//! A contract has three places. Each is held by a hoster or empty; an amendment is one attempt to fill empty ones. Hosters are
//! challenged for as long as they hold a place: storage by hoster, performance by feed. Blame follows signatures: what somebody signed
//! and does not hold is its fault, what nobody signed is never one alone's word.

mod amendment;
mod blame;
mod booking;
mod contract;
mod copies;
mod cycle;
mod epoch;
mod held;
pub(crate) mod judging;
mod map;
mod market;
mod money;
mod performance;
mod pilot;
mod queue;
mod raw;
mod reports;
mod resolve;
mod reveal;
mod roots;
mod setup;
mod storage_challenge;
mod storage_report;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::region::Geohash;
use peermark_core::sealed::PublicKey;
use peermark_judge::histogram::SparseHistogram;
use peermark_judge::outcome::OutcomeCounts;
use serde::{Deserialize, Serialize};

pub use epoch::EpochSpan;
pub use judging::Judged;
pub use map::Lag;
pub use market::{Market, MarketKey};

use super::State;
use super::agenda::Action;
use crate::outcome::Refusal;
use crate::transaction::Transaction;
use crate::{Digest, Height, Id};

/// Places of a contract.
pub const PLACES: u32 = 3;

/// How many failed providers a contract remembers.
pub const MOST_AVOIDED: usize = 16;

/// Who holds which place of a contract, and how its set-ups went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staffing {
    /// By place. A place without a row is empty.
    pub holders: BTreeMap<u32, Holder>,
    /// The amendment that is being worked on.
    pub open: Option<Id>,
    /// Whether a task for it waits in the queue.
    pub queued: bool,
    /// Whether all places were held once: from then on an empty one is a replacement.
    pub started: bool,
    /// Who stays for the next attempt: its attester, and encoder and hoster of each empty place.
    pub kept: Kept,
    /// Who failed here last and does not come again, newest last, at most [`MOST_AVOIDED`].
    pub avoid: Vec<Id>,
    /// Failed attempts since the attester was changed last.
    pub failures: u32,
    /// Attesters changed for failures since the encoders were changed last (S40).
    pub attesters_changed: u32,
}

/// Who holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The hoster.
    pub hoster: Id,
    /// The amendment that filled the place: its copy is encoded for it.
    pub amendment: Id,
    /// It failed, and stays only because nobody else has the data yet.
    pub lost: bool,
    /// What it was promised of a block's price when it took the place, at least.
    pub asked: crate::Amount,
}

/// Who stays for the next attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The attester.
    pub attester: Option<Id>,
    /// Encoders by place.
    pub encoders: BTreeMap<u32, Id>,
    /// Hosters by place.
    pub hosters: BTreeMap<u32, Id>,
}

/// The first contract of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pilot {
    /// The contract.
    pub contract: Id,
    /// A hoster proved a chunk of it: the other contracts of the feed begin (S33).
    pub proven: bool,
    /// When it is looked at again, so that one that cannot begin makes room for another.
    pub review: Height,
}

/// A root of a feed to which proofs did not lead, before anybody proved a chunk under it (S32).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootDoubt {
    /// The contract whose hosters gave them.
    pub contract: Id,
    /// The length whose root it is.
    pub length: u64,
    /// The chunk whose path an attester has to show.
    pub chunk: u64,
    /// Proofs that failed.
    pub failures: u32,
    /// Who is looking for a path and the root's signature (S31).
    pub attester: Option<Id>,
    /// Last block for its report.
    pub until: Height,
    /// Attesters that found none.
    pub in_vain: BTreeSet<Id>,
}

/// Pay of a contract that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// Paid up to this height.
    pub until: Height,
    /// When it is paid next.
    pub next: Height,
}

/// Whom a cycle of challenges is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A hoster and all that it stores.
    Storage(Id),
    /// A feed and all its hosters.
    Performance(Id),
    /// A user while idle.
    Raw(Id),
}

/// Where a cycle of challenges is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// The next challenge is planned for a height.
    Planned(Height),
    /// It waits for attesters.
    Queued,
    /// It is under way.
    Live(Id),
}

/// A hoster that somebody accused without its signature: the same chunks are asked for again, by others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accused {
    /// What was asked for, by contract.
    pub checks: BTreeMap<Id, u64>,
    /// Attesters that accused it.
    pub by: BTreeSet<Id>,
    /// When the first of them did. Where nobody is found to check it, it is dropped after a forced pause's time.
    pub since: Height,
}

/// Whose measurement of whom an observation is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObservationKey {
    /// The epoch in which it was revealed.
    pub epoch: u64,
    /// The hoster.
    pub hoster: Id,
    /// Where the attester was.
    pub region: Geohash,
    /// The challenge.
    pub challenge: Id,
    /// The attester.
    pub attester: Id,
}

/// One attester's measurement of one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// How each request ended.
    pub outcomes: OutcomeCounts,
    /// Time to the first byte.
    pub latency: SparseHistogram,
    /// Rate towards the attester.
    pub egress: SparseHistogram,
    /// Rate towards the hoster.
    pub ingress: Option<SparseHistogram>,
    /// Bytes that came.
    pub bytes: u64,
    /// Harvested requests per minute: how busy the swarm was (R5).
    pub busyness_per_min: u32,
    /// Its record.
    pub record: Id,
}

impl State {
    /// Applies a transaction about hosting and measuring.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn apply_work(
        &mut self,
        signer: PublicKey,
        entry: Digest,
        transaction: &Transaction,
    ) -> Result<Vec<Id>, Refusal> {
        use Transaction as T;
        let user = self.user_of(signer)?;
        match transaction {
            T::HostingSetupReport(report) | T::HosterReplacementReport(report) => self.report_setup(user, report),
            T::AnswerSetup(answer) => self.answer_setup(user, answer),
            T::SubmitStorageChallenge(report) => self.report_storage(user, signer, report),
            T::SubmitRoot(report) => self.report_root(user, report),
            T::CommitPerformance(commit) => self.commit_performance(user, commit),
            T::RevealPerformance(reveal) => self.reveal_performance(user, signer, entry, reveal),
            T::SelfReport(report) => self.self_report(user, entry, report),
            T::ReportChange(change) => self.report_change(user, entry, change),
            T::PublishCoordinates(coordinates) => self.publish_coordinates(user, entry, coordinates),
            _ => Err(Refusal::not_allowed("no transaction about hosting")),
        }
    }

    /// Runs an action about hosting and measuring.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run_work(&mut self, action: &Action) -> Result<(), Refusal> {
        match *action {
            Action::PlanExecution { contract } => self.execute_contract(contract),
            Action::AmendmentTimeout { amendment } => self.amendment_timeout(amendment),
            Action::MakeStorageChallenge { hoster } => self.make_challenge(Subject::Storage(hoster)),
            Action::MakePerformanceChallenge { feed } => self.make_challenge(Subject::Performance(feed)),
            Action::StorageChallengeTimeout { challenge } => self.storage_timeout(challenge),
            Action::RootTimeout { feed } => self.root_timeout(feed),
            Action::CommitsClose { challenge } => self.commits_close(challenge),
            Action::RevealsClose { challenge } => self.reveals_close(challenge),
            Action::ReplaceIfPaused { user } => self.replace_if_paused(user),
            Action::Pay { contract } => self.pay_contract(contract),
            Action::Epoch {} => self.end_epoch(),
            Action::AlertTask { record } => self.alert_task(record),
            Action::PlanEnd { .. } | Action::Window { .. } | Action::PauseEnds { .. } | Action::Again { .. } => Ok(()),
        }
    }
}
