//! One module per command: it turns arguments into calls.

pub(crate) mod node;
