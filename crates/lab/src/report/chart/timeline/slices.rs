//! What the slices of a phase allow to be drawn: where one follows another, and how many values stand behind each.

use crate::result::{OperationResult, TimeSlice};
use peermark_page::chart::SUPPORTED;

/// A slice with its place on the time axis of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) slice: TimeSlice,
}

impl Placed {
    pub(super) fn middle_s(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }

    /// Whether enough operations ended in the slice for its median to mean something.
    pub(super) fn supported(&self) -> bool {
        let ended = self.slice.ops_per_second * (self.to_s - self.from_s) + self.slice.failed as f64;
        // Half an operation of slack: the count comes back from a rate.
        ended >= SUPPORTED - 0.5
    }
}

/// How long one slice is: the shortest distance between two, the phase itself where there is only one.
pub(super) fn width_s(operation: &OperationResult) -> f64 {
    let distances =
        operation.timeline.windows(2).map(|pair| pair[1].at_s - pair[0].at_s).filter(|distance| *distance > 0.0);
    let shortest = distances.fold(f64::INFINITY, f64::min);
    if shortest.is_finite() { shortest } else { super::seconds(operation.duration_ns) }
}

/// The slices in stretches without a gap.
pub(super) fn unbroken(operation: &OperationResult) -> Vec<Vec<Placed>> {
    let width = width_s(operation);
    let start = super::seconds(operation.started_ns);
    let mut stretches: Vec<Vec<Placed>> = Vec::new();
    for slice in operation.timeline.iter().filter(|slice| slice.at_s.is_finite() && slice.ops_per_second.is_finite()) {
        let placed = Placed { from_s: start + slice.at_s, to_s: start + slice.at_s + width, slice: *slice };
        match stretches.last_mut() {
            Some(stretch) if stretch.last().is_some_and(|last| placed.from_s - last.from_s <= 1.5 * width) => {
                stretch.push(placed);
            }
            _ => stretches.push(vec![placed]),
        }
    }
    stretches
}
