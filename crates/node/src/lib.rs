//! The storage node.
#[cfg(feature = "server")]
pub mod blocks;
#[cfg(feature = "server")]
pub mod content;
