//! Who is better than whom.

pub mod paired;
