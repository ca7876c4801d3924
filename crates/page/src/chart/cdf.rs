//! Distributions of latency: which share of all operations, failures included, ended within a time.

use peermark_judge::Quantile;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::wording;

use super::axis::{self, Tick};
use super::{Area, DrawError, FINE, Ink, Shapes, TEXT, draw, text_width, write};

const SIZE: (i32, i32) = (420, 260);
/// Room left of, above, right of and below the plot, in pixels.
const MARGIN: (i32, i32, i32, i32) = (46, 12, 18, 40);

/// The distribution of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve<'a> {
    /// Latency in nanoseconds and share of all operations that ended within it, ascending. Ends below 1 where operations failed.
    pub points: &'a [(u64, f64)],
    /// Percentiles that get a dot, their interval and their value: the share, and the percentile where there is one.
    pub percentiles: &'a [(f64, Option<Quantile>)],
    /// Where operations were given up.
    pub deadline_ns: u64,
    /// Whether operations ran into the deadline, so that it is drawn.
    pub shows_deadline: bool,
    /// Whether enough values stand behind it; if not, it is dotted.
    pub supported: bool,
    /// Number of its colour.
    pub slot: usize,
}

/// A horizontal axis that distributions share, so that they can be compared by eye.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    from_ns: f64,
    to_ns: f64,
}

impl Domain {
    /// Covers every value, and the deadline where operations ran into it.
    pub fn of<'a>(curves: impl IntoIterator<Item = &'a Curve<'a>>) -> Self {
        let mut values: Vec<u64> = Vec::new();
        for curve in curves {
            values.extend(curve.points.iter().map(|(ns, _)| *ns));
            let percentiles = curve.percentiles.iter().filter_map(|(_, percentile)| *percentile);
            values.extend(percentiles.flat_map(|p| [Some(p.value), p.low, p.high]).flatten());
            values.extend(curve.shows_deadline.then_some(curve.deadline_ns));
        }
        values.retain(|ns| *ns > 0);
        let from = values.iter().min().map_or(1e6, |ns| *ns as f64) / 1.15;
        let to = values.iter().max().map_or(1e9, |ns| *ns as f64) * 1.15;
        Self { from_ns: from, to_ns: to.max(from * 10.0) }
    }
}

/// Draws distributions over one another. `clock` says under the axis what the latency is.
///
/// # Errors
/// [`DrawError`] of the library.
pub fn cdf(curves: &[Curve<'_>], domain: Domain, clock: &str) -> Result<Shapes, DrawError> {
    let frame = Frame { domain };
    draw(SIZE, |area| {
        frame.axes(area, clock)?;
        // One line for one deadline, however many curves run into it.
        let mut deadlines: Vec<u64> =
            curves.iter().filter(|curve| curve.shows_deadline).map(|curve| curve.deadline_ns).collect();
        deadlines.dedup();
        for deadline_ns in deadlines {
            frame.deadline(area, deadline_ns)?;
        }
        for curve in curves {
            frame.curve(area, curve)?;
        }
        for curve in curves {
            for (share, percentile) in curve.percentiles {
                if let Some(percentile) = percentile {
                    frame.mark(area, *share, *percentile, curve)?;
                }
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

    fn axes(&self, area: &Area<'_>, clock: &str) -> Result<(), DrawError> {
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
        write(area, Ink::Muted, HPos::Center, (middle, bottom + 31 * FINE), clock)
    }

    fn deadline(&self, area: &Area<'_>, deadline_ns: u64) -> Result<(), DrawError> {
        let deadline = deadline_ns as f64;
        let ((x, bottom), (_, top)) = (self.at(deadline, 0.0), self.at(deadline, 1.0));
        area.draw(&PathElement::new(vec![(x, bottom), (x, top)], Ink::Target.stroke(5)))?;
        let label = format!("deadline {}", axis::round_duration(deadline));
        write(area, Ink::Muted, HPos::Right, (x - 5 * FINE, bottom - 10 * FINE), &label)
    }

    /// Steps, because nothing is known between two values.
    fn curve(&self, area: &Area<'_>, curve: &Curve<'_>) -> Result<(), DrawError> {
        let mut path = Vec::new();
        let mut share_before = 0.0;
        for (ns, share) in curve.points.iter().filter(|(_, share)| share.is_finite()) {
            path.push(self.at(*ns as f64, share_before));
            path.push(self.at(*ns as f64, *share));
            share_before = *share;
        }
        path.dedup();
        // Where not even the median is supported, the curve must not look as if it was.
        let ink = if curve.supported { Ink::Line(curve.slot) } else { Ink::Thin(curve.slot) };
        area.draw(&PathElement::new(path, ink.stroke(8)))
    }

    /// A percentile as a dot with its interval, and its value beside it where the curve does not run.
    fn mark(&self, area: &Area<'_>, share: f64, percentile: Quantile, curve: &Curve<'_>) -> Result<(), DrawError> {
        let (x, y) = self.at(percentile.value as f64, share);
        let low = percentile.low.map_or(x, |ns| self.at(ns as f64, share).0);
        let high = percentile.high.map_or(x, |ns| self.at(ns as f64, share).0);
        if low < high {
            let whisker = |x| PathElement::new(vec![(x, y - 4 * FINE), (x, y + 4 * FINE)], Ink::Text.stroke(5));
            area.draw(&PathElement::new(vec![(low, y), (high, y)], Ink::Text.stroke(5)))?;
            area.draw(&whisker(low))?;
            area.draw(&whisker(high))?;
        }
        let dot = if percentile.censored { Ink::Line(curve.slot).stroke(8) } else { Ink::Label(curve.slot).fill() };
        area.draw(&Circle::new((x, y), 4 * FINE, dot))?;
        let value = wording::percentile(Some(percentile), curve.deadline_ns).value;
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
