//! Time as an argument, so that schedulers and deadlines can be tested in virtual time.

/// Nanoseconds on one monotonic clock since an epoch that the clock's owner chose. Never compared across hosts or clocks.
pub type MonotonicNs = u64;

/// The one source of time that measuring code may ask.
pub trait Clock: Send + Sync {
    /// Nanoseconds since this clock's epoch. Never goes backwards.
    fn now_ns(&self) -> MonotonicNs;

    /// Milliseconds since the Unix epoch, for the one wall stamp of a run. Never used for durations.
    fn wall_ms(&self) -> u64;
}
