//! The cache in front of the database, bounded by bytes.

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::content::Digest;

/// Slices below this size are copied: a small block must not keep the whole network frame alive that it came in.
const COPY_BELOW: usize = 4096;

/// Bytes that an entry costs beside its block.
const ENTRY_OVERHEAD: u64 = 96;

pub(super) struct MemoryCache {
    cache: Cache<Digest, Bytes, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Digest, Bytes> for ByBytes {
    fn weight(&self, _: &Digest, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + ENTRY_OVERHEAD
    }
}

impl MemoryCache {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let typical_blocks = (capacity_bytes / (64 << 10)).clamp(16, 1 << 20) as usize;
        Self { cache: Cache::with_weighter(typical_blocks, capacity_bytes, ByBytes) }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.cache.get(digest)
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.cache.contains_key(digest)
    }

    pub(super) fn insert(&self, digest: Digest, bytes: Bytes) {
        let own = if bytes.len() < COPY_BELOW { Bytes::copy_from_slice(&bytes) } else { bytes };
        self.cache.insert(digest, own);
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.cache.remove(digest);
    }
}

impl std::fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryCache({} bytes)", self.cache.weight())
    }
}
