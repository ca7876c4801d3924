//! One operation's completed operations per second, with the rate that was asked for and the slices in which operations failed.

use plotters::prelude::*;

use crate::result::OperationResult;
use peermark_page::chart::{Area, DrawError, FINE, Ink, axis};

use super::slices::{self, Placed};
use super::{Panel, Scene, seconds};

pub(super) fn draw(
    area: &Area<'_>,
    scene: &Scene,
    panel: &Panel,
    operations: &[&OperationResult],
    slot: usize,
) -> Result<(), DrawError> {
    let name = operations.first().map_or("", |operation| operation.op.as_str());
    scene.title(area, panel, Ink::Label(slot), &format!("{name}: completed per second"))?;
    let rates = operations.iter().flat_map(|operation| {
        operation
            .timeline
            .iter()
            .map(|slice| slice.ops_per_second)
            .chain(operation.target_rate)
            .filter(|r| r.is_finite())
    });
    // Room above the highest value for the marks of failures.
    let top = (rates.fold(0.0, f64::max) * 1.25).max(1e-9);
    for rate in axis::linear(top, 2) {
        let ink = if rate == 0.0 { Ink::Axis } else { Ink::Grid };
        scene.level(area, panel.at(rate / top), ink, &axis::round_number(rate))?;
    }
    for operation in operations {
        if let Some(target) = operation.target_rate {
            let from = seconds(operation.started_ns);
            let y = panel.at(target / top);
            let ends = [from, from + seconds(operation.duration_ns)].map(|at_s| (scene.x(at_s), y));
            area.draw(&PathElement::new(ends.to_vec(), Ink::Target.stroke(5)))?;
        }
        for stretch in slices::unbroken(operation) {
            steps(area, scene, panel, &stretch, top, slot)?;
        }
    }
    Ok(())
}

/// A rate belongs to its whole slice, so it is a step; a rate of zero is a measurement and is drawn.
fn steps(
    area: &Area<'_>,
    scene: &Scene,
    panel: &Panel,
    stretch: &[Placed],
    top: f64,
    slot: usize,
) -> Result<(), DrawError> {
    let mut path: Vec<(i32, i32)> = stretch
        .iter()
        .flat_map(|placed| {
            let y = panel.at(placed.slice.ops_per_second / top);
            [(scene.x(placed.from_s), y), (scene.x(placed.to_s), y)]
        })
        .collect();
    path.dedup();
    let (Some(first), Some(last)) = (path.first().copied(), path.last().copied()) else { return Ok(()) };
    let mut outline = path.clone();
    outline.extend([(last.0, panel.bottom), (first.0, panel.bottom)]);
    area.draw(&Polygon::new(outline, Ink::Fill(slot).fill()))?;
    area.draw(&PathElement::new(path, Ink::Line(slot).stroke(6)))?;
    for placed in stretch.iter().filter(|placed| placed.slice.failed > 0) {
        let at = (scene.x(placed.middle_s()), panel.top + 3 * FINE);
        area.draw(&Cross::new(at, 3 * FINE, Ink::Failure.stroke(7)))?;
    }
    Ok(())
}
