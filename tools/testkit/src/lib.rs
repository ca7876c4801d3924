//! What tests share, and nothing that a user runs: a crate may name this one under `[dev-dependencies]` only.
//!
//! `tests/tidy` holds the rules that are about the repository itself.

pub mod fake_clock;
pub mod postgres;
pub mod wellformed;

pub use fake_clock::FakeClock;
pub use postgres::Postgres;
