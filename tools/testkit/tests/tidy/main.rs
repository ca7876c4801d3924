//! The repository keeps its own rules: who may depend on whom, how long a file may be, what no source contains, where links lead.
//!
//! Every rule is a function from text to findings, a finding names `file:line`, and each rule has a test that shows it can fail.
//! What clippy and cargo-deny can hold is theirs (`clippy.toml`, `deny.toml`): lengths of functions, `unwrap`, licences.

mod documents;
mod levels;
mod manifests;
mod repository;
mod requirements;
mod sources;
