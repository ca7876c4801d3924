//! What people and programs read of a run: the page, the summary and the contract of the document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod document;
mod fixture;
mod load;
mod page;
mod summary;
