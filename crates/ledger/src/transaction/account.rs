//! Transactions about people, money and rules.

use std::collections::BTreeSet;

use peermark_core::sealed::PublicKey;
use serde::{Deserialize, Serialize};

use super::plan::{Components, Reference};
use crate::item::user::{Form, Role};
use crate::{Amount, Height, Key, Signature};

/// A new user: the signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its key on the network: ed25519, the identity that its handshakes prove, as those of libp2p and hypercore do.
    pub noise_key: Key,
    /// Its key for proofs.
    pub signing_key: Key,
    /// Proof of work: SHA-256 of a tag, the network, the signer, both keys and this number begins with as many zero bits as the policy
    /// asks.
    pub work: u64,
    /// That both keys are its own.
    #[serde(default)]
    pub possession: Possession,
}

/// Signatures over [`statement::possession`](crate::statement::possession): nobody takes a key that is another's. Each may be missing
/// where the key is the signer's own, which signs all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Possession {
    /// Of the key on the network.
    pub noise: Option<Signature>,
    /// Of the key for proofs.
    pub signing: Option<Signature>,
}

/// What a user offers. A new form replaces the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterForWork {
    /// For what.
    pub roles: BTreeSet<Role>,
    /// Components that come with it.
    pub components: Components,
    /// The offer.
    pub form: Form<Reference>,
}

/// Roles to give up. Jobs that are held must end first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Which.
    pub roles: BTreeSet<Role>,
}

/// New keys for a user; its address stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// New key on the network.
    pub noise_key: Key,
    /// New key for proofs.
    pub signing_key: Key,
    /// As in [`Register`].
    #[serde(default)]
    pub possession: Possession,
}

/// A pause that the user asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// First block back; `None` to stop for good: all hostings are handed over.
    pub until: Option<Height>,
}

/// New money, by an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// For whom.
    pub to: PublicKey,
    /// How much.
    pub amount: Amount,
}

/// Money from the signer to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// To whom.
    pub to: PublicKey,
    /// How much.
    pub amount: Amount,
}

/// New rules. They hold from a block on when as many admins as the genesis asks have said the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// The rules; their version is one more than that of today.
    pub policy: crate::genesis::Policy,
    /// First block under them.
    pub from: Height,
    /// Only compute and publish what they would have decided; nothing follows from it.
    pub observe_only: bool,
}

/// Two entries of one signer with one sequence number: proof of two histories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The bytes of one.
    #[serde(with = "peermark_core::sealed::bytes::long")]
    pub first: Vec<u8>,
    /// The bytes of the other.
    #[serde(with = "peermark_core::sealed::bytes::long")]
    pub second: Vec<u8>,
}

/// One of two entries of a signer with one sequence number, where both are too long for one [`Evidence`]: the next witness of the same
/// signer shows the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its bytes.
    #[serde(with = "peermark_core::sealed::bytes::long")]
    pub entry: Vec<u8>,
}
