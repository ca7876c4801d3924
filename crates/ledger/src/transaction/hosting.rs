//! Transactions about hosting and measuring.

use serde::{Deserialize, Serialize};

use super::plan::VersionDraft;
use super::report::Measured;
use crate::feed_tree::Proof;
use crate::item::hosting::HeldCopy;
use crate::{Digest, Id, Signature};

/// How a set-up ended for each of the three places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupReport {
    /// The amendment.
    pub amendment: Id,
    /// One for each position of the amendment, in their order: nothing but a failure or both signatures (S36).
    pub places: Vec<Place>,
}

/// How one place of an amendment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The encoder did not deliver, or what it signed is wrong.
    EncoderFailed {},
    /// The hoster did not take the copy, or did not sign.
    HosterFailed {
        /// What the encoder had made by then, so that it is paid whatever the hoster did.
        made: Option<Made>,
    },
    /// The hoster holds its copy.
    Hosted {
        /// The copy, and the encoder's signature over it.
        made: Made,
        /// The hoster's signature, [`crate::statement::accept`].
        hoster: Signature,
    },
}

/// A copy as its encoder signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The copy.
    pub copy: HeldCopy,
    /// The encoder's signature, [`crate::statement::manifest`].
    pub encoder: Signature,
}

/// How a replacement ended.
pub type ReplacementReport = SetupReport;

/// What a hoster says to the ledger itself about the copy that it was given, so that nobody can say it in its place (S35, S41).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupAnswer {
    /// The amendment.
    pub amendment: Id,
    /// What it says.
    pub answer: Answer,
}

/// Whether a hoster took its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It did, and this is the copy.
    Took(Made),
    /// What the encoder made is wrong.
    Refused {},
    /// The attester brought nothing.
    NothingCame {},
}

/// What a storage challenge found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageReport {
    /// The challenge.
    pub challenge: Id,
    /// The attester's signature over [`crate::statement::storage_draw`], with the key of its entries: it says which chunk of each contract
    /// was asked for, so that nobody knows it before the attester asks and everybody can check it afterwards.
    pub draw: Signature,
    /// What came of it.
    pub found: Found,
}

/// What an attester found when it asked a hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The hoster could not be reached.
    NoContact {},
    /// The hoster answered.
    Answered {
        /// One for each contract of the challenge, in the order of their ids.
        checks: Vec<Check>,
        /// The hoster's signature over [`crate::statement::storage_contact`]: what it is given for here, it said.
        contact: Signature,
    },
    /// The hoster was reached, but did not sign what it gave.
    Unsigned {},
}

/// What an attester found that was asked for a root of a feed to which the proofs of its hosters do not lead (S31, S32).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootReport {
    /// The feed.
    pub feed: Id,
    /// What it found.
    pub found: RootFound,
}

/// What an attester found that was asked for a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootFound {
    /// A path of the chunk that was asked for to the root.
    Proved {
        /// The version with another root, where the one that was published is signed wrongly.
        corrected: Option<Box<VersionDraft>>,
        /// The path.
        proof: Proof,
    },
    /// Nobody has a path of that chunk to a root that the feed's key signed.
    Unobtainable {},
}

/// What a hoster gave for one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Proof that the chunk is the feed's, and that its encoding is the one that was set up.
    Proved {
        /// Which signed version of the feed the path leads to, by its length: one that was proven before where there is one, because the
        /// root of another may be signed wrongly. The root that was proven counts for good, also after a correction.
        length: u64,
        /// Path from the chunk to its root.
        proof: Proof,
        /// All encoded chunks of the copy: their hash is the manifest.
        encoded: Vec<EncodedChunk>,
    },
    /// The hoster says that it does not have it.
    NoData {},
}

/// One encoded chunk of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedChunk {
    /// Its place in the feed.
    pub index: u64,
    /// Encoded bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub digest: Digest,
}

/// A promise of what will be revealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The challenge.
    pub challenge: Id,
    /// [`crate::statement::commitment`].
    pub hash: Digest,
}

/// What was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// The challenge.
    pub challenge: Id,
    /// The salt.
    pub salt: Digest,
    /// The report.
    pub report: Measured,
}
