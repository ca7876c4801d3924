//! What an entry may say. The payload of an entry is a map with one member, named after the transaction.

pub mod account;
pub mod hosting;
pub mod plan;
pub mod report;

use peermark_core::sealed::{Sealed, Value};
use serde::{Deserialize, Serialize};

use crate::outcome::Refusal;

pub use account::{
    Evidence, Grant, Pause, PolicyChange, Possession, Register, RegisterForWork, Roles, RotateKeys, Transfer, Witness,
};
pub use hosting::{Commit, ReplacementReport, Reveal, RootReport, SetupAnswer, SetupReport, StorageReport};
pub use plan::{Components, FeedUpdate, Feeds, PlanAt, PublishPlan, Reference, UpdatePlan};
pub use report::{Coordinates, ReportChange, SelfReport};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant carries the documented type of its name")]
#[non_exhaustive]
pub enum Transaction {
    // People (registry).
    Register(Register),
    RegisterForWork(RegisterForWork),
    UnregisterRoles(Roles),
    RotateKeys(RotateKeys),
    DeleteAccount {},
    Pause(Pause),
    Unpause {},
    Grant(Grant),
    Transfer(Transfer),
    Policy(PolicyChange),
    Evidence(Evidence),
    Witness(Witness),
    // Feeds and plans (registry).
    PublishFeeds(Feeds),
    UpdateFeed(FeedUpdate),
    PublishComponents(Components),
    PublishPlan(PublishPlan),
    UpdatePlan(UpdatePlan),
    PausePlan(PlanAt),
    ResumePlan(PlanAt),
    UnpublishPlan(PlanAt),
    // Hosting and measuring (work).
    HostingSetupReport(SetupReport),
    HosterReplacementReport(ReplacementReport),
    AnswerSetup(SetupAnswer),
    SubmitStorageChallenge(StorageReport),
    SubmitRoot(RootReport),
    CommitPerformance(Commit),
    RevealPerformance(Reveal),
    SelfReport(SelfReport),
    ReportChange(ReportChange),
    PublishCoordinates(Coordinates),
}

impl Transaction {
    /// Reads the payload of an entry.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn of(entry: &Sealed) -> Result<Self, Refusal> {
        entry.payload().to().map_err(|error| Refusal::Malformed { what: error.to_string() })
    }

    /// The payload of an entry that says this.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where it holds what cannot be signed.
    pub fn payload(&self) -> Result<Value, Refusal> {
        Value::of(self).map_err(|error| Refusal::Malformed { what: error.to_string() })
    }
}
