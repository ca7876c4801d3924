//! The latency distribution of one operation in one phase: which share of all operations, failures included, ended in time.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::report::wording;
use crate::result::{OperationResult, Percentile};

use super::axis::{self, Tick};
use super::{Area, DrawError, FINE, Ink, Shapes, TEXT, draw, text_width, write};

const SIZE: (i32, i32) = (420, 260);
/// Room left of, above, right of and below the plot, in pixels.
const MARGIN: (i32, i32, i32, i32) = (46, 12, 18, 40);

/// The horizontal axis that all distributions of a run share, so that they can be compared by eye.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Domain {
    from_ns: f64,
    to_ns: f64,
}

impl Domain {
    /// Covers every value, and the deadline where an operation ran into it.
    fn of(operations: &[OperationResult]) -> Self {
        let mut values: Vec<u64> =
            operations.iter().flat_map(|operation| operation.cdf.iter().map(|(ns, _)| *ns)).collect();
        for operation in operations {
            let bounds = percentiles(operation).filter_map(|(_, p)| p).flat_map(|p| [Some(p.value), p.low, p.high]);
            values.extend(bounds.flatten());
            values.extend(runs_into_deadline(operation).then_some(operation.deadline_ns));
        }
        values.retain(|ns| *ns > 0);
        let from = values.iter().min().map_or(1e6, |ns| *ns as f64) / 1.15;
        let to = values.iter().max().map_or(1e9, |ns| *ns as f64) * 1.15;
        Self { from_ns: from, to_ns: to.max(from * 10.0) }
    }
}

/// The distribution of one operation, on an axis that suits all `operations` of the run.
pub(crate) fn cdf(
    operation: &OperationResult,
    operations: &[OperationResult],
    slot: usize,
) -> Result<Shapes, DrawError> {
    let frame = Frame { domain: Domain::of(operations) };
    draw(SIZE, |area| {
        frame.axes(area)?;
        if runs_into_deadline(operation) {
            frame.deadline(area, operation)?;
        }
        frame.curve(area, operation, slot)?;
        for (share, percentile) in percentiles(operation) {
            if let Some(percentile) = percentile {
                frame.mark(area, share, percentile, operation.deadline_ns, slot)?;
            }
        }
        Ok(())
    })
}

struct Frame {
    domain: Domain,
}

impl Frame {
    /// From latency and share to the fine pixel. Values outside of the axis stay at its ends.
    fn at(&self, ns: f64, share: f64) -> (i32, i32) {
        let along =
            ((ns.max(1.0) / self.domain.from_ns).ln() / (self.domain.to_ns / self.domain.from_ns).ln()).clamp(0.0, 1.0);
        let (left, top, right, bottom) = MARGIN;
        let width = f64::from((SIZE.0 - left - right) * FINE);
        let height = f64::from((SIZE.1 - top - bottom) * FINE);
        let x = f64::from(left * FINE) + along * width;
        let y = f64::from(top * FINE) + (1.0 - share.clamp(0.0, 1.0)) * height;
        (x.round() as i32, y.round() as i32)
    }

    fn axes(&self, area: &Area<'_>) -> Result<(), DrawError> {
        let Domain { from_ns, to_ns } = self.domain;
        for (share, label) in [(0.0, "0 %"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (0.9, "90"), (1.0, "100 %")] {
            let (left, y) = self.at(from_ns, share);
            let (right, _) = self.at(to_ns, share);
            let ink = if share == 0.0 { Ink::Axis } else { Ink::Grid };
            area.draw(&PathElement::new(vec![(left, y), (right, y)], ink.stroke(4)))?;
            write(area, Ink::Muted, HPos::Right, (left - 6 * FINE, y), label)?;
        }
        let ticks: Vec<Tick> = axis::logarithmic(from_ns, to_ns, 7);
        for (ns, label) in ticks {
            let (x, bottom) = self.at(ns, 0.0);
            area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + 4 * FINE)], Ink::Axis.stroke(4)))?;
            write(area, Ink::Muted, HPos::Center, (x, bottom + 13 * FINE), &label)?;
        }
        let (middle, bottom) = self.at((from_ns * to_ns).sqrt(), 0.0);
        write(
            area,
            Ink::Muted,
            HPos::Center,
            (middle, bottom + 31 * FINE),
            "latency from the intended start (log scale)",
        )
    }

    fn deadline(&self, area: &Area<'_>, operation: &OperationResult) -> Result<(), DrawError> {
        let deadline = operation.deadline_ns as f64;
        let ((x, bottom), (_, top)) = (self.at(deadline, 0.0), self.at(deadline, 1.0));
        area.draw(&PathElement::new(vec![(x, bottom), (x, top)], Ink::Target.stroke(5)))?;
        let label = format!("deadline {}", axis::round_duration(deadline));
        write(area, Ink::Muted, HPos::Right, (x - 5 * FINE, bottom - 10 * FINE), &label)
    }

    /// Steps, because nothing is known between two values.
    fn curve(&self, area: &Area<'_>, operation: &OperationResult, slot: usize) -> Result<(), DrawError> {
        let mut path = Vec::new();
        let mut share_before = 0.0;
        for (ns, share) in operation.cdf.iter().filter(|(_, share)| share.is_finite()) {
            path.push(self.at(*ns as f64, share_before));
            path.push(self.at(*ns as f64, *share));
            share_before = *share;
        }
        path.dedup();
        // Where not even the median is supported, the curve must not look as if it was.
        let ink = if operation.latency_ns.p50.is_some() { Ink::Line(slot) } else { Ink::Thin(slot) };
        area.draw(&PathElement::new(path, ink.stroke(8)))
    }

    /// A percentile as a dot with its interval, and its value beside it where the curve does not run.
    fn mark(
        &self,
        area: &Area<'_>,
        share: f64,
        percentile: Percentile,
        deadline_ns: u64,
        slot: usize,
    ) -> Result<(), DrawError> {
        let (x, y) = self.at(percentile.value as f64, share);
        let low = percentile.low.map_or(x, |ns| self.at(ns as f64, share).0);
        let high = percentile.high.map_or(x, |ns| self.at(ns as f64, share).0);
        if low < high {
            let whisker = |x| PathElement::new(vec![(x, y - 4 * FINE), (x, y + 4 * FINE)], Ink::Text.stroke(5));
            area.draw(&PathElement::new(vec![(low, y), (high, y)], Ink::Text.stroke(5)))?;
            area.draw(&whisker(low))?;
            area.draw(&whisker(high))?;
        }
        let dot = if percentile.censored { Ink::Line(slot).stroke(8) } else { Ink::Label(slot).fill() };
        area.draw(&Circle::new((x, y), 4 * FINE, dot))?;
        let value = wording::percentile(Some(percentile), deadline_ns).value;
        let label = format!("p{:.0} {value}", share * 100.0);
        let gap = 8 * FINE;
        // The curve rises: below and right of the dot is free, and so is above and left of it.
        let (position, at) = if high + gap + text_width(&label) <= SIZE.0 * FINE {
            (HPos::Left, (high + gap, y + TEXT * FINE / if share > 0.95 { 2 } else { 4 }))
        } else {
            (HPos::Right, (low - gap, y - TEXT * FINE / 4))
        };
        write(area, Ink::Text, position, at, &label)
    }
}

fn percentiles(operation: &OperationResult) -> impl Iterator<Item = (f64, Option<Percentile>)> {
    let latency = &operation.latency_ns;
    [(0.5, latency.p50), (0.9, latency.p90), (0.99, latency.p99)].into_iter()
}

fn runs_into_deadline(operation: &OperationResult) -> bool {
    wording::failures(operation) > 0 || percentiles(operation).any(|(_, p)| p.is_some_and(|p| p.censored))
}
