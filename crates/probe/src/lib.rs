//! The measuring engine, and load on storage nodes with it.
//!
//! There is one engine: a [`schedule`] says when operations are wanted, the [`executor`] starts each at that moment whatever became
//! of the others, and the [`recorder`] keeps what happened. What an operation *is*, a [`driver::Driver`] says, which does one thing:
//! this task until this deadline, and its outcome. An [`agenda`] is such a schedule and driver, by the wall clock ([`cron`]).
//! There is no second scheduler, retry loop or history.
//!
//! Contracts that every part keeps:
//!
//! * Latency counts from the *intended* start. What the generator itself was late is recorded beside it, and a percentile that it
//!   explains by more than a fifth is to be withheld ([`lateness`]).
//! * A failure is a sample with its class and culprit. In the distribution it counts as a value at or above the deadline.
//! * Every operation ends by its absolute deadline; operations in flight, queues and batches are bounded, and what the bounds
//!   turn away is counted.
//! * Time is a [`peermark_core::Clock`]; the only reading of the system's clock is in [`clock`].

pub mod agenda;
pub mod calibrate;
pub mod clock;
pub mod cron;
pub mod doctor;
pub mod driver;
pub mod environment;
pub mod executor;
pub mod harness;
pub mod host;
pub mod knee;
pub mod lateness;
pub mod load;
pub mod pacer;
pub mod payload;
pub mod recorder;
pub mod schedule;
pub mod thread;
mod trivial_server;
pub mod workload;
