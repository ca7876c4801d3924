//! The storage node. So far its typed HTTP client, which speaks to any node with the Archivist or Codex REST API.

pub mod client;
