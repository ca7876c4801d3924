//! The lab: start a network of real storage nodes on this machine, load it, break it, watch it and report what was seen.

pub mod compare;
pub mod guard;
pub mod launch;
pub mod leftovers;
pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
