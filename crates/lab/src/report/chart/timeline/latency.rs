//! Latency over time: the median of each slice as a line, and the band from it to the slice's 99th percentile.

use plotters::prelude::*;

use crate::result::OperationResult;
use peermark_page::chart::{Area, DrawError, FINE, Ink, axis};

use super::slices::{self, Placed};
use super::{Panel, Scene};

/// A point of the line: where, the median, and the 99th percentile (the median where there is none).
type Point = (i32, i32, i32);

pub(super) fn draw(
    area: &Area<'_>,
    scene: &Scene,
    panel: &Panel,
    operations: &[OperationResult],
    names: &[&str],
) -> Result<(), DrawError> {
    scene.title(area, panel, Ink::Text, "latency: p50 line, band to p99 (log)")?;
    let slices = operations.iter().flat_map(|operation| &operation.timeline);
    let values: Vec<f64> =
        slices.flat_map(|slice| [slice.p50_ns, slice.p99_ns]).flatten().map(|ns| ns.max(1) as f64).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min) / 1.3;
    let high = values.iter().copied().fold(0.0, f64::max) * 1.3;
    if values.is_empty() {
        return scene.level(area, panel.bottom, Ink::Axis, "n/a");
    }
    let share = |ns: u64| (ns.max(1) as f64 / low).ln() / (high / low).ln();
    area.draw(&PathElement::new(
        vec![(scene.left(), panel.bottom), (scene.right(), panel.bottom)],
        Ink::Axis.stroke(4),
    ))?;
    for (ns, label) in axis::logarithmic(low, high, 8) {
        scene.level(area, panel.at((ns / low).ln() / (high / low).ln()), Ink::Grid, &label)?;
    }
    for operation in operations {
        let slot = names.iter().position(|name| *name == operation.op).unwrap_or(0);
        for stretch in slices::unbroken(operation) {
            let point = |placed: &Placed| -> Option<Point> {
                let p50 = placed.slice.p50_ns?;
                let p99 = placed.slice.p99_ns.unwrap_or(p50);
                Some((scene.x(placed.middle_s()), panel.at(share(p50)), panel.at(share(p99))))
            };
            // A line needs neighbours that each have enough values; everything else stands alone.
            for run in stretch.chunk_by(|a, b| [a, b].iter().all(|p| p.supported() && p.slice.p50_ns.is_some())) {
                let points: Vec<Point> = run.iter().filter_map(point).collect();
                let supported = run.first().is_some_and(Placed::supported);
                line(area, &points, supported, slot)?;
            }
        }
    }
    Ok(())
}

fn line(area: &Area<'_>, points: &[Point], supported: bool, slot: usize) -> Result<(), DrawError> {
    if let [(x, p50, p99)] = points {
        let ink = if supported { Ink::Line(slot) } else { Ink::Thin(slot) };
        area.draw(&PathElement::new(vec![(*x, *p50), (*x, *p99)], ink.stroke(6)))?;
        let dot = if supported { Ink::Label(slot).fill() } else { Ink::Line(slot).stroke(6) };
        return area.draw(&Circle::new((*x, *p50), 3 * FINE, dot));
    }
    let medians: Vec<_> = points.iter().map(|(x, p50, _)| (*x, *p50)).collect();
    let mut band = medians.clone();
    band.extend(points.iter().rev().map(|(x, _, p99)| (*x, *p99)));
    if medians.is_empty() {
        return Ok(());
    }
    area.draw(&Polygon::new(band, Ink::Fill(slot).fill()))?;
    area.draw(&PathElement::new(medians, Ink::Line(slot).stroke(7)))
}
