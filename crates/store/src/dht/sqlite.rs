//! The calls on SQLite, in the file of [`crate::Store`]: writes queue for its one connection that writes.

pub(super) mod directory;
pub(super) mod measurements;
pub(super) mod traces;
