//! The vocabulary that every part of peermark shares.
//!
//! A lab run, a self-test, a DHT probe and a verdict are the same kind of evidence: a [`Series`] says once what is measured by
//! whom about whom, and each [`Sample`] is one operation in it. Nothing here reads a clock, a file, the network or the
//! environment: time is an argument ([`Clock`]) and so is randomness ([`Seed`]).

pub mod calibration;
pub mod clock;
pub mod environment;
pub mod event;
pub mod failure;
pub mod histogram;
pub mod region;
pub mod sealed;
pub mod seed;
pub mod series;
pub mod size;
mod words;

pub use calibration::Calibration;
pub use clock::{Clock, MonotonicNs};
pub use environment::Environment;
pub use event::{Event, EventKind};
pub use failure::{Culprit, FailureClass, Outcome};
pub use histogram::Histogram;
pub use seed::Seed;
pub use series::{EvidenceClass, Sample, Series, Unit};
pub use size::ByteSize;
pub use words::in_words;
