//! Documents for people, from small simulations and from the measurements of the examples.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capacity;
mod simulate;
mod statements;
