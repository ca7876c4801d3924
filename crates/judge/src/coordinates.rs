//! The performance map: who is how far from whom, measured in both directions, and coordinates that predict what was not measured.
//!
//! Distances are asymmetric where they are measured and symmetric (the lesser of both) where they are compared. Coordinates are Vivaldi's
//! (Dabek et al., SIGCOMM 2004) with the constants of Serf: 8 dimensions and a height, error weights 0.25, adjustment over 20
//! samples, a filter over 3, and a weak pull to the origin. They only rank; where a hoster may work is decided by its region. All in
//! fixed point, so that a snapshot can be recomputed.

mod map;
#[cfg(test)]
mod tests;
mod vivaldi;

pub use map::{Cell, LagMap, Suggestion, suggestions};
pub use vivaldi::{Coordinate, DIMENSIONS, Estimator, SnapshotError, accept_snapshot};
