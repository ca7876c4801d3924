//! How fast the state machine executes entries, and how fast signatures are checked, both on one core.

use peermark_core::Clock;
use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, PublicKey, Sealed, SigningKey};
use peermark_ledger::feed_tree::Tree;
use peermark_ledger::genesis::{Genesis, Policy};
use peermark_ledger::item::component::{Dataset, Region};
use peermark_ledger::item::plan::{ProgramItem, Until};
use peermark_ledger::machine::{Block, DOMAIN, Machine};
use peermark_ledger::statement::feed_version;
use peermark_ledger::transaction::plan::{FeedDraft, ProgramDraft, VersionDraft};
use peermark_ledger::transaction::{Components, PublishPlan, Register, Transaction, Transfer};

use crate::BenchError;
use crate::figure::{Figure, Hold};

/// Who signs, and how many entries each.
const SIGNERS: u8 = 64;
const EACH: u64 = 512;

/// Entries of a block.
const BLOCK: usize = 1_024;

const ROUNDS: usize = 7;

/// Signatures that are checked in a round.
const SIGNATURES: usize = 4_096;

/// Transitions and signatures per second.
pub(super) fn figures(clock: &dyn Clock) -> Result<Vec<Figure>, BenchError> {
    let genesis = genesis();
    let mut signers = Signers::new(&genesis.network());
    let entries = (0..u64::from(SIGNERS) * EACH).map(|_| signers.next()).collect::<Result<Vec<_>, _>>()?;
    let (mut transitions, mut signatures) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started_ns = clock.now_ns();
        execute(&genesis, &entries)?;
        transitions.push(per_second(entries.len(), clock.now_ns() - started_ns));
        let started_ns = clock.now_ns();
        for entry in &entries[..SIGNATURES] {
            entry.verify().map_err(|error| BenchError::subject("checking a signature", error))?;
        }
        signatures.push(per_second(SIGNATURES, clock.now_ns() - started_ns));
    }
    let hold = Hold::AtLeast(50_000.0);
    let mut executed = Figure::of_values("ledger.transitions_per_s", "entries/s", &transitions, hold);
    executed.notes.push(format!(
        "{} entries in blocks of {BLOCK}, decoded before, with the state's hash after each block; {}; one core",
        entries.len(),
        mix()
    ));
    let hold = Hold::AtLeast(15_000.0);
    let mut checked = Figure::of_values("ledger.verify_per_s", "entries/s", &signatures, hold);
    checked.notes.push("one signature after another, by ZIP-215; one core".to_owned());
    Ok(vec![executed, checked])
}

fn per_second(entries: usize, elapsed_ns: u64) -> f64 {
    entries as f64 * 1e9 / elapsed_ns.max(1) as f64
}

pub(super) fn key(signer: u8) -> SigningKey {
    SigningKey::from_seed([signer; 32])
}

pub(super) fn genesis() -> Genesis {
    Genesis {
        name: "bench".into(),
        sequencer: key(255).public(),
        admins: vec![key(254).public()],
        admin_threshold: 1,
        grants: (0..SIGNERS).map(|signer| (key(signer).public(), 1_000_000_000_000)).collect(),
        beacon: peermark_ledger::beacon::BeaconRule::Checkpoint,
        policy: Policy::default(),
    }
}

/// One entry in this many of a signer is a plan.
const PLAN_EVERY: u64 = 64;

/// Chunks of a plan's feed, and bytes of each.
const CHUNKS: u64 = 100;
const CHUNK_BYTES: usize = 1_000;

/// First block of a plan: after the last that is measured, so that none becomes work.
const FROM: u64 = 1_000_000;

/// Pay per block and contract, and what is put aside for it.
const PRICE: u64 = 1;
const DEPOSIT: u64 = 1_000_000;

/// What the entries are, for the notes.
pub(super) fn mix() -> String {
    format!(
        "each of {SIGNERS} signers registers, then transfers, one entry in {PLAN_EVERY} a plan with a feed and three contracts"
    )
}

/// Everybody registers and sends something to the next, in turn, and publishes a plan now and then.
pub(super) struct Signers {
    network: String,
    /// Version of a feed; each feed has the same chunks under a key of its own.
    version: VersionDraft,
    keys: Vec<SigningKey>,
    last: Vec<[u8; 32]>,
    said: usize,
}

impl Signers {
    pub(super) fn new(network: &str) -> Self {
        let keys: Vec<SigningKey> = (0..SIGNERS).map(key).collect();
        let tree = Tree::of_chunks((0..CHUNKS).map(|chunk| vec![chunk as u8; CHUNK_BYTES]));
        let (bytes, root) = (tree.bytes(), tree.root(CHUNKS));
        let version = VersionDraft { length: CHUNKS, bytes, root, signature: Bytes([0; 64]) };
        Self { network: network.to_owned(), version, last: vec![NO_PREVIOUS; keys.len()], keys, said: 0 }
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Result<Sealed, BenchError> {
        let failed = |error: &dyn std::error::Error| BenchError::subject("signing an entry", error);
        let count = self.keys.len();
        let (number, sequence) = (self.said % count, (self.said / count) as u64 + 1);
        let transaction = match sequence {
            1 => register(self.keys[number].public()),
            sequence if sequence % PLAN_EVERY == 2 => self.plan(number, sequence),
            _ => Transaction::Transfer(Transfer { to: self.keys[(number + 1) % count].public(), amount: 1 }),
        };
        let payload = transaction.payload().map_err(|error| failed(&error))?;
        let (domain, network) = (DOMAIN.to_owned(), self.network.clone());
        let draft = Draft { domain, network, sequence, previous: self.last[number], payload };
        let entry = Sealed::seal(&self.keys[number], draft).map_err(|error| failed(&error))?;
        (self.last[number], self.said) = (entry.hash(), self.said + 1);
        Ok(entry)
    }

    /// A plan about the first 25 chunks of a feed that nobody had before: three contracts.
    fn plan(&self, number: usize, sequence: u64) -> Transaction {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        seed[8..16].copy_from_slice(&sequence.to_be_bytes());
        let author = SigningKey::from_seed(seed);
        let (key, mut version) = (Bytes(author.public().0), self.version.clone());
        version.signature = Bytes(author.sign(feed_version(&self.network, &key, &version).as_bytes()));
        let item = ProgramItem { datasets: vec![-1], regions: vec![-1], performance: None, timings: Vec::new() };
        Transaction::PublishPlan(PublishPlan {
            components: Components {
                feeds: vec![FeedDraft { key, version }],
                datasets: vec![Dataset { feed: -1, ranges: vec![(0, 24)] }],
                regions: vec![Region { geohashes: "u33".parse().into_iter().collect() }],
                ..Components::default()
            },
            from: FROM,
            until: Until::default(),
            program: vec![ProgramDraft::Item(item)],
            importance: 1,
            price: PRICE,
            deposit: DEPOSIT,
        })
    }
}

fn register(signer: PublicKey) -> Transaction {
    let own = Bytes(signer.0);
    Transaction::Register(Register { noise_key: own, signing_key: own, work: 0, possession: Default::default() })
}

fn execute(genesis: &Genesis, entries: &[Sealed]) -> Result<(), BenchError> {
    let mut machine = Machine::new(genesis.clone());
    for (height, entries) in (1..).zip(entries.chunks(BLOCK)) {
        let done = machine.finalize(&Block { height, beacon: Bytes([0; 32]), entries });
        if let Some(refused) = done.outcomes.iter().find_map(|outcome| outcome.result.as_ref().err()) {
            return Err(BenchError::subject("executing an entry", refused));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every entry of the mix does something: a benchmark of refusals would be fast.
    #[test]
    fn no_entry_of_the_mix_is_refused() {
        let genesis = genesis();
        let mut signers = Signers::new(&genesis.network());
        let entries: Vec<Sealed> = (0..u64::from(SIGNERS) * 4).map(|_| signers.next().unwrap()).collect();
        execute(&genesis, &entries).unwrap();
    }
}
