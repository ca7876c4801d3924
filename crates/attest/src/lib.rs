//! What attesters, ledger and judge say about hosters, for people: each document with the table and the page made of it and its
//! contract.
//!
//! - [`rank`], [`qualify`], [`explain`], [`sla`]: what the evidence about a job allows to be said, from any [`source`].
//! - [`backtest`]: which past decisions another policy would have made.
//! - [`capacity`]: whether one more job fits, and what would make it fit.
//! - [`simulate`]: what liars do to the estimates, on simulated worlds.
//! - [`statement`]: the same over every job of a ledger, and what a bundle holds.
//! - [`client`], [`ledger`]: a ledger elsewhere, and a ledger that is read and checked whole; [`network`]: which one is meant;
//!   [`export`]: its records as lines; [`evidence`]: its measurements in the store, beside those of the other jobs.

pub mod backtest;
pub mod capacity;
pub mod client;
pub mod evidence;
pub mod explain;
pub mod export;
pub mod ledger;
pub mod network;
pub mod qualify;
pub mod rank;
pub mod simulate;
pub mod sla;
pub mod source;
pub mod statement;
mod table;
mod words;
