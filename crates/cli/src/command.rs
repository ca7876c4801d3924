//! One module per command: it turns arguments into calls.

pub(crate) mod bench;
pub(crate) mod lab;
pub(crate) mod node;
pub(crate) mod up;
