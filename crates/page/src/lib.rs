//! What every report of the product is written with: pages that are well formed by construction and load nothing, charts, tables,
//! and numbers in words. What a report says is its own crate's business; how it looks and reads is decided here, once.
//!
//! - [`document`]: the page around a report: head, style, navigation, parts;
//! - [`markup`]: tags that close, texts that are escaped;
//! - [`table`]: tables and lists of facts;
//! - [`chart`]: distributions, boxes, and the ground that other charts are drawn on;
//! - [`format`](mod@format): numbers as people read them;
//! - [`wording`]: percentiles, shares and tallies in words.
//!
//! Everything is a function of its arguments: nothing here reads a file, a clock or the environment, and nothing is written but
//! text.

pub mod chart;
pub mod document;
pub mod format;
pub mod markup;
pub mod table;
pub mod wording;
