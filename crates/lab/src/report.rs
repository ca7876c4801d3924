//! What a run looks like to people: a page ([`html()`]), the end of a terminal session ([`summary()`]), and the contract of the
//! document that both are made of ([`schema()`]).
//!
//! All three are functions of a [`RunResult`]: they read no file, clock or environment and write nowhere. Text that a run carries
//! (names, reasons, details) is shown, never interpreted.

mod chart;
mod page;
mod schema;
mod terminal;
mod wording;

use std::path::Path;

use crate::dht::result::DhtResult;
use crate::result::RunResult;

/// The page of a run: one self-contained HTML document that loads nothing, for screen (light and dark), paper and phone.
pub fn html(run: &RunResult) -> String {
    page::html(run)
}

/// The summary of a run for a terminal of `width` columns: at most 30 lines, without escape sequences unless `colour`.
///
/// `files` are the documents that the run left behind; their paths are written in full at the end, even where they are longer than
/// a line, so that they can be copied.
pub fn summary(run: &RunResult, files: &[&Path], width: usize, colour: bool) -> String {
    terminal::summary(run, files, width, colour)
}

/// The summary of a run that measured a DHT, for a terminal as [`summary()`] is, but as long as it takes.
pub fn dht_summary(run: &DhtResult, files: &[&Path], width: usize, colour: bool) -> String {
    terminal::dht_summary(run, files, width, colour)
}

/// The JSON Schema of a document that carries its name in `schema`.
pub(crate) fn schema_of<T: schemars::JsonSchema>(name: &str) -> serde_json::Value {
    schema::of::<T>(name)
}

/// The JSON Schema (draft 2020-12) of [`RunResult`] as it is written: the contract of `result.json`.
pub fn schema() -> serde_json::Value {
    schema::run()
}
