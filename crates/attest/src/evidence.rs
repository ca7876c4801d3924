//! What a ledger admitted, as evidence in the store: the same series and histograms that runs, monitors and DHT measurements leave, so
//! that one reader reads them all.
//!
//! A ledger that is stored is one run. Its kind is `ledger`, its name the network, its beginning the clock of the first block. A block
//! lasts as long as the ledger's policy says: heights become nanoseconds since the beginning.
//!
//! | kind | class | value | from |
//! |---|---|---|---|
//! | `block.get` | WORKING, RAW | time to the first byte, ns | working reports, raw benchmarks |
//! | `block.rate` | WORKING, RAW | bits per second | the same |
//! | `block.get.excused` | WORKING, RAW | none | probes that failed by fault of the attester or of the path |
//! | `self.egress` | SELF_REPORT | bytes | self-reports |
//!
//! Reports carry buckets of at most 12.5 %: a latency is stored as the upper end of its bucket, a rate as the lower end, so that
//! nobody looks better than measured. A probe that failed is stored under its class as beyond the scale (65.536 s).

mod measured;
mod write;

pub use measured::{Hists, Observed, observed};
pub use write::{StoreEvidenceError, Stored, store};
