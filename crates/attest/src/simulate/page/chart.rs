//! Lines over a share from 0 to 60 %.

use peermark_page::chart::{Area, DrawError, FINE, Ink, Shapes, draw, write};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

const SIZE: (i32, i32) = (300, 190);
/// Room left of, above, right of and below the plot, in pixels.
const MARGIN: (i32, i32, i32, i32) = (46, 10, 14, 38);
/// Shares of the horizontal axis.
const MOST_SHARE: f64 = 0.6;
/// Smallest height of the vertical axis, so that noise does not look like a bias.
const LEAST_RANGE: f64 = 0.1;
/// Deviations beyond this are drawn at the edge: how far beyond does not matter.
const MOST_RANGE: f64 = 1.0;
/// Heights of the vertical axis that have round ticks.
const RANGES: [f64; 4] = [LEAST_RANGE, 0.2, 0.5, MOST_RANGE];

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// What it is.
    pub(super) name: &'static str,
    /// Share and relative deviation, ascending by share.
    pub(super) points: Vec<(f64, f64)>,
    /// Number of its colour.
    pub(super) slot: usize,
}

/// Draws lines over one another, with dashed lines at `allowed` above and below zero.
pub(super) fn lines(drawn: &[Line], allowed: f64) -> Result<Shapes, DrawError> {
    let most = drawn.iter().flat_map(|line| &line.points).map(|point| point.1.abs()).fold(LEAST_RANGE, f64::max);
    let range = RANGES.into_iter().find(|range| *range >= most).unwrap_or(MOST_RANGE);
    let frame = Frame { range };
    draw(SIZE, |area| {
        frame.axes(area)?;
        for level in [allowed, -allowed] {
            let ends = vec![frame.at(0.0, level), frame.at(MOST_SHARE, level)];
            area.draw(&PathElement::new(ends, Ink::Target.stroke(4)))?;
        }
        for line in drawn {
            let points: Vec<(i32, i32)> = line.points.iter().map(|&(share, bias)| frame.at(share, bias)).collect();
            area.draw(&PathElement::new(points, Ink::Line(line.slot).stroke(8)))?;
        }
        Ok(())
    })
}

struct Frame {
    range: f64,
}

impl Frame {
    fn at(&self, share: f64, bias: f64) -> (i32, i32) {
        let (left, top, right, bottom) = MARGIN;
        let width = f64::from((SIZE.0 - left - right) * FINE);
        let height = f64::from((SIZE.1 - top - bottom) * FINE);
        let along = (share / MOST_SHARE).clamp(0.0, 1.0);
        let up = (bias / self.range).clamp(-1.0, 1.0);
        let x = f64::from(left * FINE) + along * width;
        let y = f64::from(top * FINE) + (1.0 - up) / 2.0 * height;
        (x.round() as i32, y.round() as i32)
    }

    fn axes(&self, area: &Area<'_>) -> Result<(), DrawError> {
        for part in [-1.0, -0.5, 0.0, 0.5, 1.0] {
            let level = part * self.range;
            let (left, y) = self.at(0.0, level);
            let (right, _) = self.at(MOST_SHARE, level);
            let ink = if part == 0.0 { Ink::Axis } else { Ink::Grid };
            area.draw(&PathElement::new(vec![(left, y), (right, y)], ink.stroke(4)))?;
            write(area, Ink::Muted, HPos::Right, (left - 6 * FINE, y), &format!("{:+.0} %", level * 100.0))?;
        }
        for percent in [0, 20, 40, 60] {
            let (x, bottom) = self.at(f64::from(percent) / 100.0, -self.range);
            area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + 4 * FINE)], Ink::Axis.stroke(4)))?;
            write(area, Ink::Muted, HPos::Center, (x, bottom + 13 * FINE), &format!("{percent} %"))?;
        }
        let (middle, bottom) = self.at(MOST_SHARE / 2.0, -self.range);
        write(area, Ink::Muted, HPos::Center, (middle, bottom + 29 * FINE), "liars in the pool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_each_and_the_limits_in_a_range_that_fits() {
        let line = |slot, most: f64| Line { name: "x", points: vec![(0.0, 0.0), (0.6, most)], slot };
        let shapes = lines(&[line(0, 0.01), line(1, 0.4)], 0.03).unwrap();
        let svg = shapes.as_str();
        assert_eq!(svg.matches("k-target").count(), 2);
        assert!(svg.contains("k-line s0") && svg.contains("k-line s1"));
        assert!(svg.contains("+50 %") && svg.contains("-25 %"), "{svg}");
        assert!(lines(&[line(0, 0.01)], 0.03).unwrap().as_str().contains("+10 %"));
        assert!(lines(&[line(0, 40.0)], 0.03).unwrap().as_str().contains("+100 %"));
    }
}
