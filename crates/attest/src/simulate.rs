//! What liars do to the estimates: a document ([`AdversaryReport`]), the table and the page made of it, and its contract.
//!
//! [`run`] simulates; [`text`], [`html`] and [`schema`] are functions of the document. The same seed, trials and epochs give the same
//! document on any number of threads.

mod convert;
mod document;
mod page;
mod schema;
mod terminal;
mod words;

use peermark_core::Seed;
use peermark_judge::adversary::{self, Effort};

pub use document::{
    AdversaryReport, Bound, BreakingPoint, Estimator, Figures, GateLine, NoiseSetup, Part, RowLine, SCHEMA, Setup,
    World,
};

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The gates alone.
    Gates,
    /// Gates, zoo, committee sizes, histories and breaking points.
    Everything,
}

/// Simulates. `told` is called with the name of each part before it begins.
pub fn run(scope: Scope, effort: &Effort, seed: Seed, told: impl FnMut(&str)) -> AdversaryReport {
    let found = match scope {
        Scope::Gates => adversary::gates(effort, seed),
        Scope::Everything => adversary::campaign(effort, seed, told),
    };
    convert::report(&found, effort, seed)
}

/// The table for a terminal.
pub fn text(report: &AdversaryReport) -> String {
    terminal::text(report)
}

/// The page: one self-contained HTML document that loads nothing and needs no script, light and dark.
pub fn html(report: &AdversaryReport) -> String {
    page::html(report)
}

/// The JSON Schema (draft 2020-12) of [`AdversaryReport`] as it is written.
pub fn schema() -> serde_json::Value {
    schema::report()
}
