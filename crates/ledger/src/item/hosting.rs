//! Contracts, the attempts to staff them, and the challenges to their hosters.

use std::collections::BTreeMap;

pub use peermark_judge::baseline::RawReason;
use serde::{Deserialize, Serialize};

use crate::{Digest, Height, Id};

/// One set of chunks of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The feed.
    pub feed: Id,
    /// The plan.
    pub plan: Id,
    /// Which item of the plan's program.
    pub program: u32,
    /// First and last chunk of each range, both within it.
    pub ranges: Vec<(u64, u64)>,
    /// Attempts to staff it, oldest first.
    pub amendments: Vec<Id>,
    /// Hosters that serve it now.
    pub active_hosters: Vec<Id>,
    /// Where it is.
    pub status: ContractStatus,
}

/// Where a contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractStatus {
    /// Waits for its plan, or for the pilot contract of its feed.
    Pending,
    /// Is being set up.
    Setup,
    /// Is hosted.
    Active,
    /// Is hosted, outside its windows: no challenge, no blame.
    Dormant,
    /// Came to its end.
    Ended,
    /// Was ended by its sponsor.
    Cancelled,
}

/// One attempt to staff a contract. Encoder i works for hoster i.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The contract.
    pub contract: Id,
    /// Why it was made.
    pub kind: AmendmentKind,
    /// Who works on it.
    pub providers: Providers,
    /// Places that are filled anew; the others are kept.
    pub positions: Vec<u32>,
    /// The amendment whose providers are kept.
    pub reference: Option<Id>,
    /// Where it is.
    pub status: AmendmentStatus,
    /// Last block for its report.
    pub deadline: Height,
    /// Copies that both signed for, by place.
    pub copies: BTreeMap<u32, HeldCopy>,
    /// What hosters said to the ledger themselves, by place: it counts for more than what others say about them.
    pub answers: BTreeMap<u32, HosterAnswer>,
}

/// Why an amendment was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the amendment of its name")]
pub enum AmendmentKind {
    HostingSetup,
    RetryHostingSetup,
    HosterReplacement,
}

/// Who works on an amendment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Providers {
    /// Three.
    pub encoders: Vec<Id>,
    /// Three.
    pub hosters: Vec<Id>,
    /// One.
    pub attesters: Vec<Id>,
}

/// Where an amendment is. It moves from the first to one of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentStatus {
    /// Waits for providers.
    Init,
    /// Providers work.
    InProgress,
    /// All three hosters hold their copies.
    Done,
    /// Somebody failed.
    Failed,
    /// Nobody reported in time.
    TimedOut,
    /// The contract ended before.
    Cancelled,
}

/// A copy that its encoder made and its hoster took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldCopy {
    /// Its total bytes.
    pub sizes: Sizes,
    /// [`crate::statement::manifest_digest`] of its encoded chunks.
    pub manifest: Digest,
}

/// What a hoster says about the copy that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HosterAnswer {
    /// It holds the copy; the encoder's signature over it was checked.
    Took(HeldCopy),
    /// What the encoder made is wrong.
    Refused,
    /// The attester brought nothing.
    NothingCame,
}

/// Total bytes of one hoster's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// As the chunks are.
    pub plain_bytes: u64,
    /// As they are encoded for this hoster.
    pub encoded_bytes: u64,
}

/// A task to show that chunks are there: one attester, one hoster, many contracts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageChallenge {
    /// Who must show them.
    pub hoster: Id,
    /// Who asks.
    pub attester: Id,
    /// One chunk of each contract: nothing where nobody but its attester can tell yet, because it draws it
    /// ([`crate::statement::storage_draw`]). Of a hoster that was accused the chunks of before.
    pub checks: BTreeMap<Id, Option<u64>>,
    /// What the attester draws from: known to nobody before the challenge began.
    pub seed: Digest,
    /// Last block for the report.
    pub deadline: Height,
    /// Where it is.
    pub status: ChallengeStatus,
}

/// A task to measure: a committee, and one feed with all its hosters, or one user alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerformanceChallenge {
    /// The feed; `None` where a user is measured while idle.
    pub feed: Option<Id>,
    /// Why a user is measured while idle (R15).
    pub raw: Option<RawRequest>,
    /// Whom to measure.
    pub hosters: Vec<Id>,
    /// Who measures.
    pub attester_ids: Vec<Id>,
    /// Last block for commits.
    pub commit_by: Height,
    /// Last block for reveals.
    pub reveal_by: Height,
    /// Hashes that attesters committed to.
    pub commits: BTreeMap<Id, Digest>,
    /// Records of what they revealed.
    pub reveals: BTreeMap<Id, Id>,
    /// Where it is.
    pub status: ChallengeStatus,
}

/// Why a user is measured while idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRequest {
    /// The reason.
    pub reason: RawReason,
    /// What the data to transfer is derived from: incompressible, and known to nobody before.
    pub blob_seed: Digest,
}

/// Where a challenge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeStatus {
    /// Attesters work, or commit.
    Assigned,
    /// Commits are closed, attesters reveal.
    Committed,
    /// Ended with a result.
    Settled,
    /// Ended: fewer reports than the quorum.
    TooSmall,
    /// Ended: one attester alone says, without the hoster's signature, that it failed. Others are asked.
    Unconfirmed,
    /// Ended: the hoster failed.
    Failed,
    /// Ended: the attester failed; nothing is said about the hoster.
    AttesterFault,
    /// Ended: no report came.
    TimedOut,
    /// Ended: the contract or the window ended before.
    Cancelled,
}
