//! What a run looks like to people: a page ([`html()`]), and the contract of the document that it is made of ([`schema()`]).
//!
//! Both are functions of a [`RunResult`]: they read no file, clock or environment and write nowhere. Text that a run carries
//! (names, reasons, details) is shown, never interpreted.

mod chart;
mod format;
mod markup;
mod page;
mod schema;
mod wording;

use crate::result::RunResult;

/// The page of a run: one self-contained HTML document that loads nothing, for screen (light and dark), paper and phone.
pub fn html(run: &RunResult) -> String {
    page::html(run)
}

/// The JSON Schema (draft 2020-12) of [`RunResult`] as it is written: the contract of `result.json`.
pub fn schema() -> serde_json::Value {
    schema::run()
}
