//! Who provides what, as a DHT server keeps it: bounded, with expiry, shared between the swarm that answers from it and the
//! lookups that look here first.
//!
//! libp2p's own store holds 1,024 keys in all and refuses the records of others once it is full, which makes lookups miss for a
//! reason that is not the network's. Expiry follows Go's DHT: 48 hours.

mod disk;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;
use peermark_core::Clock;

pub use disk::DiskError;
use disk::{Change, Disk, Kept};

/// How long a provider record is kept.
pub(crate) const RECORD_TTL: Duration = Duration::from_secs(48 * 3600);

/// Providers of one key. Enough for every publisher of a measurement.
const MAX_PROVIDERS: usize = 64;

/// Longest key: Go's DHT refuses longer ones too.
const MAX_KEY_BYTES: usize = 80;

/// Addresses of one record, and the longest of them.
const MAX_ADDRESSES: usize = 16;
const MAX_ADDRESS_BYTES: usize = 256;

/// Memory that all records may take, by their contents and [`RECORD_BYTES`] each.
const MAX_BYTES: usize = 256 << 20;
const RECORD_BYTES: usize = 256;

/// Values (not provider records) of others; nothing of ours reads them.
const MAX_VALUES: usize = 1024;

/// Longest value.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// A bounded store of provider records. Clones share it.
#[derive(Clone)]
pub(crate) struct ProviderStore {
    local: PeerId,
    max_keys: usize,
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    providers: HashMap<RecordKey, Vec<ProviderRecord>>,
    /// Keys in the order in which they came: the oldest goes when there is no room.
    order: VecDeque<RecordKey>,
    bytes: usize,
    values: HashMap<RecordKey, Record>,
    received: u64,
    /// Where records are kept over a restart, if they are.
    disk: Option<Disk>,
}

impl ProviderStore {
    pub(crate) fn new(local: PeerId, max_keys: usize, clock: Arc<dyn Clock>) -> Self {
        Self { local, max_keys, clock, inner: Arc::new(Mutex::new(Inner::default())) }
    }

    /// A store that keeps its records in a directory, with what is there already and did not expire.
    pub(crate) fn open(
        local: PeerId,
        max_keys: usize,
        clock: Arc<dyn Clock>,
        directory: &Path,
    ) -> std::result::Result<Self, DiskError> {
        let (disk, kept) = Disk::open(directory, Arc::clone(&clock))?;
        let store = Self::new(local, max_keys, clock);
        for record in kept {
            store.inner.lock().add(store.record_of(record), max_keys, 0);
        }
        store.inner.lock().disk = Some(disk);
        Ok(store)
    }

    fn record_of(&self, kept: Kept) -> ProviderRecord {
        let left = Duration::from_millis(kept.until_ms.saturating_sub(self.clock.wall_ms()));
        let mut record = ProviderRecord::new(RecordKey::from(kept.key), kept.provider, read_addresses(&kept.addresses));
        record.expires = Some(now() + left);
        record
    }

    fn until_ms(&self) -> u64 {
        self.clock.wall_ms() + RECORD_TTL.as_millis() as u64
    }

    /// The local node provides a key from now on.
    pub(crate) fn provide(&self, key: &[u8]) {
        let record = ProviderRecord::new(RecordKey::new(&key), self.local, Vec::new());
        let until_ms = self.until_ms();
        self.inner.lock().add(record, self.max_keys, until_ms);
    }

    /// The local node provides a key no longer.
    pub(crate) fn withdraw(&self, key: &[u8]) {
        self.inner.lock().remove(&RecordKey::new(&key), &self.local);
    }

    /// Who provides a key, as far as this node was told.
    pub(crate) fn known_providers(&self, key: &[u8]) -> Vec<PeerId> {
        let inner = self.inner.lock();
        let records = inner.providers.get(&RecordKey::new(&key)).map(Vec::as_slice).unwrap_or_default();
        records.iter().filter(|record| !is_expired(record)).map(|record| record.provider).collect()
    }

    /// Keys with at least one provider.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().providers.len()
    }

    /// Keys that it has room for.
    pub(crate) fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// Records of other peers that were stored since the start.
    pub(crate) fn received(&self) -> u64 {
        self.inner.lock().received
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "libp2p stamps its records with the system's clock and compares them with it"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn is_expired(record: &ProviderRecord) -> bool {
    record.is_expired(now())
}

fn bytes_of(record: &ProviderRecord) -> usize {
    let addresses: usize = record.addresses.iter().map(Multiaddr::len).sum();
    RECORD_BYTES + record.key.as_ref().len() + addresses
}

/// Addresses one behind the other, each with its length in two bytes.
fn write_addresses(addresses: &[Multiaddr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for address in addresses {
        let address = address.to_vec();
        if let Ok(length) = u16::try_from(address.len()) {
            bytes.extend(length.to_be_bytes());
            bytes.extend(address);
        }
    }
    bytes
}

fn read_addresses(mut bytes: &[u8]) -> Vec<Multiaddr> {
    let mut addresses = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let Some((address, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        addresses.extend(Multiaddr::try_from(address.to_vec()));
        bytes = rest;
    }
    addresses
}

impl Inner {
    fn add(&mut self, record: ProviderRecord, max_keys: usize, until_ms: u64) {
        self.keep(|| Change::Add {
            key: record.key.to_vec(),
            provider: record.provider,
            addresses: write_addresses(&record.addresses),
            until_ms,
        });
        self.bytes += bytes_of(&record);
        if !self.providers.contains_key(&record.key) {
            self.order.push_back(record.key.clone());
        }
        let records = self.providers.entry(record.key.clone()).or_default();
        let mut gone: Vec<ProviderRecord> =
            records.extract_if(.., |known| known.provider == record.provider || is_expired(known)).collect();
        if records.len() >= MAX_PROVIDERS {
            gone.push(records.remove(0));
        }
        records.push(record.clone());
        for old in gone {
            self.bytes -= bytes_of(&old);
            if old.provider != record.provider {
                self.keep(|| Change::Remove { key: old.key.to_vec(), provider: old.provider });
            }
        }
        self.make_room(max_keys);
    }

    /// Lets the oldest keys go while there are too many, or too many bytes, or while the oldest is expired.
    fn make_room(&mut self, max_keys: usize) {
        while let Some(oldest) = self.order.front() {
            let records = self.providers.get(oldest).map(Vec::as_slice).unwrap_or_default();
            let expired = records.iter().all(is_expired);
            if !expired && self.providers.len() <= max_keys && self.bytes <= MAX_BYTES {
                return;
            }
            let Some(oldest) = self.order.pop_front() else { return };
            for record in self.providers.remove(&oldest).unwrap_or_default() {
                self.bytes -= bytes_of(&record);
            }
            self.keep(|| Change::Forget { key: oldest.to_vec() });
        }
    }

    fn keep(&mut self, change: impl FnOnce() -> Change) {
        if let Some(disk) = &mut self.disk {
            disk.change(change());
        }
    }

    fn remove(&mut self, key: &RecordKey, provider: &PeerId) {
        self.keep(|| Change::Remove { key: key.to_vec(), provider: *provider });
        let Some(records) = self.providers.get_mut(key) else { return };
        let gone: usize =
            records.extract_if(.., |record| record.provider == *provider).map(|record| bytes_of(&record)).sum();
        self.bytes -= gone;
        if records.is_empty() {
            self.providers.remove(key);
            self.order.retain(|known| known != key);
        }
    }
}

impl RecordStore for ProviderStore {
    type RecordsIter<'a> = std::vec::IntoIter<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        self.inner.lock().values.get(key).cloned().map(Cow::Owned)
    }

    fn put(&mut self, record: Record) -> Result<()> {
        if record.value.len() > MAX_VALUE_BYTES || record.key.as_ref().len() > MAX_KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        let mut inner = self.inner.lock();
        if inner.values.len() >= MAX_VALUES && !inner.values.contains_key(&record.key) {
            return Err(Error::MaxRecords);
        }
        inner.values.insert(record.key.clone(), record);
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) {
        self.inner.lock().values.remove(key);
    }

    /// None: values of others are kept for them and replicated by their publishers.
    fn records(&self) -> Self::RecordsIter<'_> {
        Vec::new().into_iter()
    }

    fn add_provider(&mut self, mut record: ProviderRecord) -> Result<()> {
        if record.key.as_ref().len() > MAX_KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.retain(|address| address.len() <= MAX_ADDRESS_BYTES);
        record.addresses.truncate(MAX_ADDRESSES);
        let mut inner = self.inner.lock();
        inner.received += 1;
        let until_ms = self.until_ms();
        inner.add(record, self.max_keys, until_ms);
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        self.inner.lock().providers.get(key).cloned().unwrap_or_default()
    }

    /// None: a measurement publishes a key once, so nothing is announced again behind its back.
    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        self.inner.lock().remove(key, provider);
    }
}

#[cfg(test)]
mod tests;
