//! What a server measures with.

use futures::future::BoxFuture;
use peermark_core::MonotonicNs;

use crate::key::RecordKey;
use crate::operation::Operation;

/// Does DHT operations. Implemented by the lookup engine; a trait, so that the HTTP side can be tested with operations of any kind.
pub trait Measure: Send + Sync + 'static {
    /// Publishes a provider record. Ends by the deadline, as a failed operation if need be.
    fn provide(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation>;

    /// Looks up the first provider. Ends by the deadline, as a failed operation if need be.
    fn retrieve(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation>;

    /// Peers in the routing table now.
    fn table_len(&self) -> usize;
}
