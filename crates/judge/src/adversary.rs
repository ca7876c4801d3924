//! The adversary suite: what liars do to the estimates, measured on simulated worlds whose truth is known.
//!
//! A trial draws a [`World`] of hosters and attesters, lets the liars among the attesters follow one [`Attack`] for a number of epochs
//! and hands each epoch's reports, liars' and honest ones alike, to an [`Estimator`], which does not know who is who. What it states
//! about the last epoch is compared with the truth. The robust estimate stands beside four plain ones on the same reports.
//!
//! Randomness is an argument: a trial's streams derive from the seed and the number of the trial, so that figures do not depend on the
//! order of the trials or on the number of threads. Nothing here is signed or hashed, so floating point is used freely.

mod baseline;
mod campaign;
mod estimator;
mod gate;
mod metric;
mod report;
mod robust;
mod run;
mod tau;
mod world;
mod zoo;

pub use baseline::{Majority, Mean, Median, TrimmedMean};
pub use campaign::{Breaking, Campaign, Effort, campaign, gates};
pub use estimator::{Contender, Estimator, Findings, Round, Statement, Verdict};
pub use gate::{ENOUGH_TRIALS, Gate, GateResult, Limit};
pub use metric::Figures;
pub use report::Observation;
pub use run::{Row, Setting, measure};
pub use tau::kendall_tau_b;
pub use world::{Kind, Noise, Role, World};
pub use zoo::{Attack, Targets};

#[cfg(test)]
mod tests;
