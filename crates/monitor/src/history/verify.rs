//! Checking everything that is stored.

use std::collections::BTreeSet;

use peermark_core::sealed::{Chain, Digest32, Sealed, Value};
use peermark_store::{RecordFilter, StoredRecord};

use super::{DOMAIN, History, HistoryError, Shared, payload};

/// Most faults that are described.
pub const MAX_FAULTS: usize = 100;

/// Records that are looked at at a time.
const PAGE: u32 = 500;

/// What [`History::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Records whose signature and place in the chain were checked.
    pub records: u64,
    /// Records from before the last pruning, kept because they are their task's latest success: they follow none, but the pruning names
    /// them.
    pub kept: u64,
    /// Observations that were compared with their record.
    pub observations: u64,
    /// Rollups that the last pruning vouches for.
    pub rollups: u64,
    /// The last record that was pruned; 0 where none was.
    pub pruned_upto: u64,
    /// Number of the newest record.
    pub head: u64,
    /// What is wrong, at most [`MAX_FAULTS`]; checking stops there.
    pub faults: Vec<String>,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What the newest record about pruning says.
pub(super) struct LastPruned {
    pub(super) upto: u64,
    pub(super) hash: Digest32,
    /// What is left up to there; `None` in records of before.
    kept: Option<Vec<u64>>,
    rollups: u64,
    digest: Digest32,
}

impl History {
    /// Walks the chain from what the last pruning left, in order: that each record is signed by this node's key, follows the one
    /// before, and says what its observation and its row say; and that the rollups are those that the last pruning signed.
    /// Nothing is appended meanwhile.
    ///
    /// # Errors
    /// That the store fails. What is wrong with its content is in the answer.
    pub async fn verify(&self) -> Result<Verification, HistoryError> {
        let shared = &self.shared;
        let mut writer = shared.writer.lock().await;
        let (head, hash) = shared.settle(&mut writer).await?;
        let mut found = Verification { head, ..Verification::default() };
        let pruned = shared.last_pruned(&mut found).await?;
        let chain = Chain::new(DOMAIN, &shared.network, shared.key.public());
        let mut chain = match &pruned {
            Some(pruned) => chain.resume(pruned.upto, pruned.hash),
            None => chain,
        };
        found.pruned_upto = pruned.as_ref().map_or(0, |pruned| pruned.upto);
        let mut kept = BTreeSet::new();
        shared.walk(&mut chain, &mut found, &mut kept).await?;
        if let Some(signed) = pruned.as_ref().and_then(|pruned| pruned.kept.as_ref()) {
            check_kept(&signed.iter().copied().collect(), &kept, &mut found);
        }
        if found.is_sound() && (chain.next(), chain.last()) != (head + 1, hash) {
            found.faults.push(format!("the chain ends with record {}, not {head}", chain.next() - 1));
        }
        shared.check_rollups(pruned.as_ref(), &mut found).await?;
        Ok(found)
    }
}

impl Shared {
    async fn last_pruned(&self, found: &mut Verification) -> Result<Option<LastPruned>, HistoryError> {
        let filter = RecordFilter::Newest { topic: payload::PRUNED, status: "" };
        let Some(record) = self.store.records(self.chain, filter, 1).await?.pop() else { return Ok(None) };
        // Its signature is checked where its turn comes.
        let pruned = Sealed::decode(&record.sealed).ok().and_then(|sealed| LastPruned::read(sealed.payload()));
        if pruned.is_none() {
            found.faults.push(format!("record {}: unreadable record about pruning", record.seq));
        }
        Ok(pruned)
    }

    /// The numbers of kept records come into `kept`.
    async fn walk(
        &self,
        chain: &mut Chain,
        found: &mut Verification,
        kept: &mut BTreeSet<u64>,
    ) -> Result<(), HistoryError> {
        let mut from = 0;
        loop {
            let page = self.store.readable_records(self.chain, RecordFilter::From(from), PAGE).await?;
            let records = page.records;
            if page.unreadable > 0 {
                found.faults.push(format!("{} records from {from} on cannot be unpacked", page.unreadable));
            }
            let Some(last) = records.last() else { return Ok(()) };
            from = last.seq + 1;
            kept.extend(records.iter().map(|record| record.seq).take_while(|seq| *seq <= found.pruned_upto));
            for record in &records {
                if found.faults.len() >= MAX_FAULTS {
                    return Ok(());
                }
                if let Err(fault) = self.check(record, chain, found).await? {
                    found.faults.push(format!("record {}: {fault}", record.seq));
                }
            }
        }
    }

    async fn check(
        &self,
        record: &StoredRecord,
        chain: &mut Chain,
        found: &mut Verification,
    ) -> Result<Result<(), String>, HistoryError> {
        let sealed = match Sealed::decode(&record.sealed) {
            Ok(sealed) if sealed.sequence() == record.seq => sealed,
            Ok(sealed) => return Ok(Err(format!("it has the number {}", sealed.sequence()))),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if record.seq <= found.pruned_upto {
            found.kept += 1;
            if sealed.signer() != self.key.public() || sealed.verify().is_err() {
                return Ok(Err("signature does not hold".into()));
            }
            if (sealed.domain(), sealed.network()) != (DOMAIN, self.network.as_str()) {
                return Ok(Err(format!("it is of {} in {}", sealed.domain(), sealed.network())));
            }
        } else {
            found.records += 1;
            if let Err(error) = chain.accept(&sealed) {
                // One fault, not one for each that follows.
                *chain = chain.clone().resume(sealed.sequence(), sealed.hash());
                return Ok(Err(error.to_string()));
            }
        }
        self.check_row(record, sealed.payload(), found).await
    }

    /// The row, the observation and what was signed must say the same.
    async fn check_row(
        &self,
        record: &StoredRecord,
        payload: &Value,
        found: &mut Verification,
    ) -> Result<Result<(), String>, HistoryError> {
        let text = |name: &str| payload.get(name).and_then(Value::as_text).unwrap_or_default();
        if record.kind == payload::PRUNED {
            let same = text("kind") == payload::PRUNED && record.topic == payload::PRUNED;
            return Ok(if same { Ok(()) } else { Err("its row is of another kind".into()) });
        }
        let (attempt, _) = match payload::decode(record.seq, payload) {
            Ok(attempt) => attempt,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let ended_ms = attempt.ended_ms.min(i64::MAX.unsigned_abs());
        if (record.topic.as_str(), record.status.as_str(), record.ended_ms)
            != (attempt.task.as_str(), attempt.status.as_str(), ended_ms)
        {
            return Ok(Err("its row says something else".into()));
        }
        let observed = match record.series {
            Some(series) => self.store.observation(series, record.seq).await?,
            None => None,
        };
        found.observations += u64::from(observed.is_some());
        if observed == payload::sample(&attempt, self.epoch_ms) {
            return Ok(Ok(()));
        }
        Ok(Err("its observation says something else".into()))
    }

    async fn check_rollups(&self, pruned: Option<&LastPruned>, found: &mut Verification) -> Result<(), HistoryError> {
        let (rollups, digest) = self.store.rollup_digest(&self.run).await?;
        found.rollups = rollups;
        match pruned {
            Some(pruned) if (pruned.rollups, pruned.digest) != (rollups, digest) => {
                found.faults.push("the rollups are not those that the last pruning signed".into());
            }
            None if rollups > 0 => found.faults.push("there are rollups, but no record about pruning".into()),
            _ => {}
        }
        Ok(())
    }
}

/// What is kept must be what the last pruning signed.
fn check_kept(signed: &BTreeSet<u64>, there: &BTreeSet<u64>, found: &mut Verification) {
    let missing = signed.difference(there).map(|seq| format!("record {seq}: it was kept and is gone"));
    let more = there.difference(signed).map(|seq| format!("record {seq}: it was given up and is there"));
    let room = MAX_FAULTS.saturating_sub(found.faults.len());
    found.faults.extend(missing.chain(more).take(room));
}

impl LastPruned {
    pub(super) fn read(payload: &Value) -> Option<Self> {
        let kept = match payload.get("kept") {
            None => None,
            Some(kept) => Some(kept.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?),
        };
        let number = |name| payload.get(name).and_then(Value::as_u64);
        let hash = |name| payload.get(name).and_then(Value::as_bytes).and_then(|bytes| bytes.try_into().ok());
        Some(Self {
            upto: number("last_sequence")?,
            hash: hash("last_hash")?,
            kept,
            rollups: number("rollups")?,
            digest: hash("rollups_digest")?,
        })
    }
}
