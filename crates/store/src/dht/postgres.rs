//! The calls on PostgreSQL. Moments are `TIMESTAMPTZ` there and integers here: the arithmetic below is exact, since it stays within
//! whole microseconds.

/// The moment of a parameter, or of an expression, in milliseconds since the Unix epoch.
macro_rules! moment_of_ms {
    ($ms:literal) => {
        concat!("(timestamptz 'epoch' + ", $ms, "::bigint * interval '1 millisecond')")
    };
}

/// The same in microseconds.
macro_rules! moment_of_us {
    ($us:literal) => {
        concat!("(timestamptz 'epoch' + ", $us, "::bigint * interval '1 microsecond')")
    };
}

pub(super) mod directory;
pub(super) mod measurements;
pub(super) mod traces;
