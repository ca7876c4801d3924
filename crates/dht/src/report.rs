//! What the DHT tables say about a period: a document ([`DhtReport`]), the page and the table made of it, and its contract.
//!
//! [`read`] takes the rows and traces of a period and of the period of equal length before it from a store, in pages and never all
//! at once. [`html`], [`text`] and [`schema`] are functions of their arguments.
//!
//! - A failed row counts as a value at or above the deadline; none is dropped.
//! - Figures of several regions together are called a composite: no user sees them.
//! - Where every server is on a loopback address there is no distance: regions are pooled and never drawn side by side.

mod anatomy;
mod change;
mod collect;
mod document;
mod figures;
mod group;
mod options;
mod page;
mod schema;
mod terminal;
mod visible;

use peermark_store::StoreError;
use peermark_store::dht::DhtStore;

pub use document::{
    Anatomy, Boxes, ChangeFigures, DhtReport, ErrorCount, HitFigures, LatencyFigures, Moments, Percentile, Period,
    Rows, SCHEMA, Share,
};
pub use options::{BadPeriod, ReportOptions, Span, TableRule};

/// Reads the period and the one before it.
///
/// # Errors
/// [`StoreError`] of the tables.
pub async fn read(store: &DhtStore, options: &ReportOptions) -> Result<DhtReport, StoreError> {
    let collected = collect::collect(store, options).await?;
    Ok(figures::document(options, &collected))
}

/// The page: one self-contained HTML document that loads nothing and needs no script, light and dark.
pub fn html(report: &DhtReport) -> String {
    page::html(report)
}

/// A short table for a terminal.
pub fn text(report: &DhtReport) -> String {
    terminal::text(report)
}

/// The JSON Schema (draft 2020-12) of [`DhtReport`] as it is written.
pub fn schema() -> serde_json::Value {
    schema::report()
}
