//! What tests share, and nothing that a user runs: a crate may name this one under `[dev-dependencies]` only.
//!
//! `tests/tidy` holds the rules that are about the repository itself.

pub mod certificates;
pub mod fake_clock;
pub mod postgres;
pub mod program;
pub mod redis;
pub mod wellformed;

pub use certificates::{Certificate, Certificates};
pub use fake_clock::FakeClock;
pub use postgres::Postgres;
pub use program::program;
pub use redis::Redis;

/// How often something is done in a test: as often as usual, or as a `make prove-...` asks when it builds the test
/// (`times(option_env!("PEERMARK_KILLS"), 10)`).
///
/// # Panics
/// For anything but a number above 0.
pub fn times(asked: Option<&str>, usual: u32) -> u32 {
    let Some(asked) = asked else { return usual };
    match asked.parse() {
        Ok(times @ 1..) => times,
        _ => panic!("{asked:?} is no number above 0"),
    }
}
