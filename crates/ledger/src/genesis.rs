//! What a network agreed on before its first entry.

use std::collections::BTreeSet;

use peermark_core::sealed::cbor::CborError;
use peermark_core::sealed::{Bytes, PublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{Amount, Digest};

/// The beginning of a ledger. Its hash is part of the network's name, so an entry of one ledger is never one of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Name of the network, 1 to 40 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub name: String,
    /// Who closes blocks and signs checkpoints.
    pub sequencer: PublicKey,
    /// Who may change the policy and grant money. Policy entries need [`Self::admin_threshold`] of them.
    pub admins: Vec<PublicKey>,
    /// How many admins must say the same before a policy changes.
    pub admin_threshold: u32,
    /// Money that exists from the start.
    pub grants: Vec<(PublicKey, Amount)>,
    /// Where randomness comes from.
    #[serde(default)]
    pub beacon: crate::beacon::BeaconRule,
    /// Rules that can be changed by a policy entry later.
    pub policy: Policy,
}

/// Rules of the ledger. Those of evaluation are the judge's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Number of this set of rules; every verdict names it.
    pub version: u32,
    /// Seconds that a block stands for.
    pub block_seconds: u32,
    /// Blocks of an epoch: so often the judge evaluates.
    pub epoch_blocks: u64,
    /// Leading zero bits that the proof of work of a registration needs.
    pub work_bits: u32,
    /// Most chunks of a contract.
    pub contract_chunks: u32,
    /// Most bytes of a contract, where sizes of chunks are known.
    pub contract_bytes: u64,
    /// Blocks that a set-up, replacement or storage challenge may take.
    pub task_blocks: u64,
    /// Blocks between a challenge and the next of the same subject.
    pub challenge_pause_blocks: u64,
    /// Blocks for commits, and then for reveals, of a performance challenge.
    pub commit_blocks: u64,
    /// Blocks for reveals.
    pub reveal_blocks: u64,
    /// Attesters of a performance challenge.
    pub committee: u32,
    /// Longest pause that a user may ask for, blocks.
    pub max_pause_blocks: u64,
    /// Pause that a failure imposes, blocks.
    pub forced_pause_blocks: u64,
    /// Failed set-ups before the attester, and then the encoders, are changed too.
    pub setup_failures: u32,
    /// Blocks that a hoster has to come back after a failure before its hostings are handed over.
    pub not_back_blocks: u64,
    /// Attesters of different operators that must say, without the hoster's signature, that it failed a storage challenge, before it
    /// is paused and replaced. 1 is the rule of the seed, under which one liar is enough.
    pub accusers: u32,
    /// Most contracts of a storage challenge.
    pub challenge_contracts: u32,
    /// Blocks between two measurements of an idle user that the ledger asks for.
    pub raw_pause_blocks: u64,
    /// Blocks between two payments of a contract.
    pub pay_blocks: u64,
    /// What single works earn, from the plan's money.
    pub pay: Pay,
    /// Least reputation for new work.
    pub reputation_floor: i64,
    /// What a pause that a user asks for costs of its reputation.
    pub pause_cost: i64,
    /// Hosters on probation among the three of a contract, where a performance is asked for.
    pub probation_quota: u32,
    /// Most entries of each list of a transaction: components, program items, ranges, areas.
    pub max_list: u32,
    /// Most contracts of a plan.
    pub max_contracts: u32,
    /// Least time that a plan must be funded for, blocks; its own length where that is shorter.
    pub funded_blocks: u64,
    /// Least pay of a plan per block and contract. 0 for a network where plans may be free and nothing is kept ready for single works.
    pub min_price: Amount,
    /// Most contracts of the live plans of one sponsor.
    pub sponsor_contracts: u32,
    /// Least blocks of an activity of a timing, and of the pause between two.
    pub min_window_blocks: u64,
    /// Most blocks that a plan may begin or end ahead.
    pub max_horizon_blocks: u64,
    /// Blocks for which what an admin asked for stays asked for, where others have to ask for the same.
    pub vote_blocks: u64,
    /// Whether providers that say no network count as of one network, so that a task takes one of them at most. Only a laboratory, where
    /// all are on one machine and told apart by operator, does without.
    pub networks_known: bool,
    /// Largest share that a plan may ask for: more is never proven with the probes that there are.
    pub max_guarantee: crate::Ppm,
    /// By what the judge evaluates. Its version, its times and its committee are those above.
    pub judge: Box<peermark_judge::policy::Policy>,
}

/// Bytes of an entry that a report may take; the rest is for the entry itself.
const MOST_REPORT_BYTES: u64 = 64_800;
/// Most bytes of the proof of a chunk, names of the fields included: the nodes beside its way up and the other peaks are at most two
/// for each level.
const PROOF_BYTES: u64 = 56 * 2 * (crate::feed_tree::MAX_LENGTH.ilog2() as u64 + 1) + 128;
/// Most bytes of a chunk of a copy in a report, names of the fields included.
const CHUNK_BYTES: u64 = 72;
/// Most blocks that a rule may name: months.
const MOST_BLOCKS: u64 = 1 << 20;
/// Most pay for a single work or block.
const MOST_PAY: Amount = 1 << 40;

/// What single works earn. Hosters earn by time and tier instead: the price of their plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pay {
    /// An encoder, for a copy that its hoster took.
    pub encoder: Amount,
    /// An attester, for the report of a set-up or replacement, however it ended.
    pub setup: Amount,
    /// An attester, for the report of a storage challenge that its hoster signed.
    pub storage: Amount,
    /// An attester, for a valid reveal.
    pub performance: Amount,
}

impl Default for Pay {
    fn default() -> Self {
        Self { encoder: 5, setup: 5, storage: 10, performance: 10 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            block_seconds: 6,
            epoch_blocks: 600,
            work_bits: 0,
            contract_chunks: 10,
            contract_bytes: 1 << 20,
            task_blocks: 5,
            challenge_pause_blocks: 5,
            commit_blocks: 5,
            reveal_blocks: 3,
            committee: 5,
            max_pause_blocks: 600,
            forced_pause_blocks: 100,
            setup_failures: 3,
            not_back_blocks: 10,
            accusers: 2,
            challenge_contracts: 14,
            raw_pause_blocks: 14_400,
            pay_blocks: 100,
            pay: Pay::default(),
            reputation_floor: -20,
            pause_cost: 10,
            probation_quota: 1,
            max_list: 64,
            max_contracts: 1024,
            funded_blocks: 600,
            min_price: 1,
            sponsor_contracts: 16_384,
            min_window_blocks: 5,
            max_horizon_blocks: 1 << 26,
            vote_blocks: 14_400,
            networks_known: true,
            max_guarantee: 999_900,
            judge: Box::default(),
        }
    }
}

/// Why something is no genesis.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not in its one form.
    #[error(transparent)]
    Encoding(#[from] CborError),
    /// A value outside its range.
    #[error("genesis: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
}

impl Genesis {
    /// SHA-256 over a tag and its one form.
    pub fn hash(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update("peermark/genesis/v1\0");
        hash.update(self.encode());
        Bytes(hash.finalize().into())
    }

    /// The network that entries name: the name and the first 8 digits of the hash.
    pub fn network(&self) -> String {
        format!("{}-{}", self.name, &self.hash().to_string()[..8])
    }

    /// Whether its values are within their ranges.
    ///
    /// # Errors
    /// [`GenesisError::Invalid`].
    pub fn check(&self) -> Result<(), GenesisError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let invalid = |what: &str| Err(GenesisError::Invalid { what: what.to_owned() });
        if !(1..=40).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return invalid("a name has 1 to 40 of a-z, 0-9, '.', '_' and '-'");
        }
        if self.admin_threshold == 0 || self.admin_threshold as usize > self.admins.len().max(1) {
            return invalid("the threshold is between 1 and the number of admins");
        }
        if self.admins.iter().collect::<BTreeSet<_>>().len() != self.admins.len() {
            return invalid("an admin is named twice");
        }
        // Shares of one account add up to no more than all of it, so the sum of all grants is the only bound.
        let all = self.grants.iter().try_fold(0, |sum: Amount, (_, amount)| sum.checked_add(*amount));
        if all.is_none() {
            return invalid("all grants together are more than an account holds");
        }
        self.policy.validate().map_err(|what| GenesisError::Invalid { what })
    }
}

impl Policy {
    /// The judge's rules under these: every verdict names this version.
    pub fn judged_by(&self) -> peermark_judge::policy::Policy {
        let mut judge = (*self.judge).clone();
        judge.version = self.version;
        judge.time.block_s = self.block_seconds;
        judge.time.epoch_blocks = u32::try_from(self.epoch_blocks).unwrap_or(u32::MAX);
        judge.committee.size = self.committee;
        judge
    }

    /// Whether the rules make sense together.
    ///
    /// # Errors
    /// Why they do not.
    pub fn validate(&self) -> Result<(), String> {
        let ranges: [(&str, u64, u64, u64); 35] = [
            ("block_seconds", self.block_seconds.into(), 1, 3600),
            ("epoch_blocks", self.epoch_blocks, 1, MOST_BLOCKS),
            ("work_bits", self.work_bits.into(), 0, 64),
            ("contract_chunks", self.contract_chunks.into(), 1, 10_000),
            ("contract_bytes", self.contract_bytes, 1, 1 << 40),
            ("task_blocks", self.task_blocks, 1, MOST_BLOCKS),
            ("challenge_pause_blocks", self.challenge_pause_blocks, 1, MOST_BLOCKS),
            ("commit_blocks", self.commit_blocks, 1, MOST_BLOCKS),
            ("reveal_blocks", self.reveal_blocks, 1, MOST_BLOCKS),
            ("committee", self.committee.into(), 1, 1024),
            ("max_pause_blocks", self.max_pause_blocks, 1, MOST_BLOCKS),
            ("forced_pause_blocks", self.forced_pause_blocks, 1, MOST_BLOCKS),
            ("setup_failures", self.setup_failures.into(), 1, 1024),
            ("not_back_blocks", self.not_back_blocks, 1, MOST_BLOCKS),
            ("accusers", self.accusers.into(), 1, 1024),
            ("challenge_contracts", self.challenge_contracts.into(), 1, 1024),
            ("raw_pause_blocks", self.raw_pause_blocks, 1, MOST_BLOCKS),
            ("pay_blocks", self.pay_blocks, 1, MOST_BLOCKS),
            ("pay.encoder", self.pay.encoder, 0, MOST_PAY),
            ("pay.setup", self.pay.setup, 0, MOST_PAY),
            ("pay.storage", self.pay.storage, 0, MOST_PAY),
            ("pay.performance", self.pay.performance, 0, MOST_PAY),
            ("reputation_floor", self.reputation_floor.unsigned_abs(), 0, MOST_BLOCKS),
            ("pause_cost", u64::try_from(self.pause_cost).unwrap_or(u64::MAX), 0, MOST_BLOCKS),
            ("probation_quota", self.probation_quota.into(), 0, 1024),
            ("max_list", self.max_list.into(), 1, 1024),
            ("max_contracts", self.max_contracts.into(), 1, 1 << 20),
            ("funded_blocks", self.funded_blocks, 1, MOST_BLOCKS),
            ("min_price", self.min_price, 0, MOST_PAY),
            ("sponsor_contracts", self.sponsor_contracts.into(), 1, 1 << 20),
            ("min_window_blocks", self.min_window_blocks, 1, MOST_BLOCKS),
            ("max_horizon_blocks", self.max_horizon_blocks, 1, 1 << 40),
            ("vote_blocks", self.vote_blocks, 1, MOST_BLOCKS),
            ("max_guarantee", self.max_guarantee.into(), 1, 1_000_000),
            ("version", self.version.into(), 1, u32::MAX.into()),
        ];
        match ranges.into_iter().find(|(_, value, low, high)| !(low..=high).contains(&value)) {
            Some((name, value, low, high)) => Err(format!("{name} is {value}, not within {low} and {high}")),
            None if self.pause_cost < 0 => Err("pause_cost is below 0".into()),
            None if u64::from(self.challenge_contracts).saturating_mul(self.check_bytes()) > MOST_REPORT_BYTES => {
                let each = self.check_bytes();
                Err(format!("challenge_contracts: each is up to {each} bytes of a report of {MOST_REPORT_BYTES}"))
            }
            None => self.judged_by().validate().map_err(|error| error.to_string()),
        }
    }

    /// Most bytes of a check in a storage report: its proof, and place, length and hash of every chunk of the copy.
    fn check_bytes(&self) -> u64 {
        PROOF_BYTES.saturating_add(u64::from(self.contract_chunks).saturating_mul(CHUNK_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Genesis {
        Genesis {
            name: "lab".into(),
            sequencer: PublicKey([1; 32]),
            admins: vec![PublicKey([2; 32])],
            admin_threshold: 1,
            grants: vec![(PublicKey([2; 32]), 7)],
            beacon: Default::default(),
            policy: Policy::default(),
        }
    }

    /// The longest report of a storage challenge that rules allow is an entry, also under the longest name.
    #[test]
    fn the_longest_report_is_an_entry() {
        use peermark_core::sealed::{Draft, Sealed, SigningKey};

        use crate::feed_tree::{Proof, ProofNode};
        use crate::machine::{DOMAIN, MAX_ENTRY_BYTES};
        use crate::transaction::hosting::{Check, EncodedChunk, Found};
        use crate::transaction::{StorageReport, Transaction};
        for chunks in [1, 10, 100] {
            let allowed = |contracts: &u32| {
                Policy { contract_chunks: chunks, challenge_contracts: *contracts, ..Policy::default() }
                    .validate()
                    .is_ok()
            };
            let contracts = (1..=1024).rev().find(allowed).unwrap();
            let (hash, bytes) = (Bytes([255; 32]), u64::MAX);
            let nodes = |count| vec![ProofNode { hash, bytes: Some(bytes) }; count];
            let proof = Proof { digest: hash, bytes, siblings: nodes(32), peaks: nodes(32) };
            let encoded = vec![EncodedChunk { index: bytes, bytes, digest: hash }; chunks as usize];
            let check = Check::Proved { length: bytes, proof, encoded };
            let found = Found::Answered { checks: vec![check; contracts as usize], contact: Bytes([255; 64]) };
            let report = StorageReport { challenge: bytes, draw: Bytes([255; 64]), found };
            let draft = Draft {
                domain: DOMAIN.into(),
                network: format!("{}-00000000", "n".repeat(40)),
                sequence: bytes,
                previous: [255; 32],
                payload: Transaction::SubmitStorageChallenge(report).payload().unwrap(),
            };
            let entry = Sealed::seal(&SigningKey::from_seed([1; 32]), draft).unwrap();
            assert!(entry.bytes().len() <= MAX_ENTRY_BYTES, "{contracts} contracts: {}", entry.bytes().len());
        }
    }

    #[test]
    fn a_genesis_outside_its_ranges_is_none() {
        genesis().check().unwrap();
        let policy = |change: fn(&mut Policy)| {
            let mut genesis = genesis();
            change(&mut genesis.policy);
            genesis
        };
        let to = PublicKey([3; 32]);
        for wrong in [
            Genesis { name: "LAB".into(), ..genesis() },
            Genesis { admin_threshold: 2, ..genesis() },
            Genesis { admins: vec![to, to], ..genesis() },
            Genesis { grants: vec![(to, u64::MAX), (to, 1)], ..genesis() },
            policy(|policy| policy.epoch_blocks = 0),
            policy(|policy| policy.pay_blocks = 0),
            policy(|policy| policy.challenge_pause_blocks = 0),
            policy(|policy| policy.pay.performance = u64::MAX),
            policy(|policy| policy.pause_cost = -1),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
