//! Box plots: one row per thing, the quartiles as a box, the median as a line through it, whiskers to the 5th and 95th percentile.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axis;
use super::{Area, DrawError, FINE, Ink, Shapes, TEXT, draw, text_width, write};

const WIDTH: i32 = 420;
const ROW: i32 = 30;
/// Room above the rows and below them, in pixels.
const TOP: i32 = 6;
const BOTTOM: i32 = 40;
const RIGHT: i32 = 18;
/// Widest label, in pixels; a longer one is cut.
const LABEL: i32 = 160;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxRow {
    /// What it is, and its count.
    pub label: String,
    /// The 5th, 25th, 50th, 75th and 95th percentile in nanoseconds, ascending; the deadline where one falls among failures. `None` where
    /// too few values stand behind it.
    pub levels_ns: Option<[u64; 5]>,
    /// How many of the highest levels fall among failures and are at least the deadline.
    pub censored: usize,
    /// Number of its colour.
    pub slot: usize,
}

/// Draws the rows below one another on one logarithmic axis. `clock` says under the axis what the latency is.
///
/// # Errors
/// [`DrawError`] of the library.
pub fn boxes(rows: &[BoxRow], clock: &str) -> Result<Shapes, DrawError> {
    let frame = Frame::of(rows);
    draw((WIDTH, frame.height), |area| {
        frame.axis(area, clock)?;
        for (index, row) in rows.iter().enumerate() {
            frame.row(area, index as i32, row)?;
        }
        Ok(())
    })
}

struct Frame {
    from_ns: f64,
    to_ns: f64,
    left: i32,
    height: i32,
}

impl Frame {
    fn of(rows: &[BoxRow]) -> Self {
        let levels = || rows.iter().filter_map(|row| row.levels_ns).flatten().filter(|ns| *ns > 0);
        let from_ns = levels().min().map_or(1e6, |ns| ns as f64) / 1.2;
        let to_ns = levels().max().map_or(1e9, |ns| ns as f64) * 1.2;
        let widest = rows.iter().map(|row| text_width(&row.label)).max().unwrap_or(0);
        let left = (widest + 10 * FINE).clamp(60 * FINE, LABEL * FINE);
        let height = TOP + ROW * rows.len() as i32 + BOTTOM;
        Self { from_ns, to_ns: to_ns.max(from_ns * 10.0), left, height }
    }

    fn x(&self, ns: u64) -> i32 {
        let along = ((ns.max(1) as f64 / self.from_ns).ln() / (self.to_ns / self.from_ns).ln()).clamp(0.0, 1.0);
        let width = f64::from((WIDTH - RIGHT) * FINE - self.left);
        self.left + (along * width).round() as i32
    }

    fn axis(&self, area: &Area<'_>, clock: &str) -> Result<(), DrawError> {
        let bottom = (self.height - BOTTOM) * FINE;
        let right = (WIDTH - RIGHT) * FINE;
        for (ns, label) in axis::logarithmic(self.from_ns, self.to_ns, 5) {
            let x = self.x(ns.round() as u64);
            area.draw(&PathElement::new(vec![(x, TOP * FINE), (x, bottom)], Ink::Grid.stroke(4)))?;
            area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + 4 * FINE)], Ink::Axis.stroke(4)))?;
            write(area, Ink::Muted, HPos::Center, (x, bottom + 13 * FINE), &label)?;
        }
        area.draw(&PathElement::new(vec![(self.left, bottom), (right, bottom)], Ink::Axis.stroke(4)))?;
        let middle = i32::midpoint(self.left, right);
        write(area, Ink::Muted, HPos::Center, (middle, bottom + 31 * FINE), clock)
    }

    fn row(&self, area: &Area<'_>, index: i32, row: &BoxRow) -> Result<(), DrawError> {
        let y = (TOP + index * ROW + ROW / 2) * FINE;
        let label = fitting(&row.label, self.left - 8 * FINE);
        write(area, Ink::Text, HPos::Right, (self.left - 8 * FINE, y), &label)?;
        let Some(levels) = row.levels_ns else {
            return write(area, Ink::Muted, HPos::Left, (self.left + 8 * FINE, y), "too few values");
        };
        let [low, first, median, third, high] = levels.map(|ns| self.x(ns));
        let half = 8 * FINE;
        let line = |from: (i32, i32), to: (i32, i32), ink: Ink, width| {
            area.draw(&PathElement::new(vec![from, to], ink.stroke(width)))
        };
        let ink = Ink::Line(row.slot);
        line((low, y), (first, y), ink, 6)?;
        line((third, y), (high, y), ink, 6)?;
        line((low, y - half / 2), (low, y + half / 2), ink, 6)?;
        // A polygon is filled lightly, so that grid and median stay visible.
        let corners = vec![(first, y - half), (third, y - half), (third, y + half), (first, y + half)];
        area.draw(&Polygon::new(corners.clone(), Ink::Fill(row.slot).fill()))?;
        let outline = corners.iter().chain(corners.first()).copied().collect::<Vec<_>>();
        area.draw(&PathElement::new(outline, ink.stroke(6)))?;
        line((median, y - half), (median, y + half), Ink::Text, 10)?;
        if row.censored == 0 {
            return line((high, y - half / 2), (high, y + half / 2), ink, 6);
        }
        // What is at least the deadline has no end: a cross of failures stands there.
        let arm = TEXT * FINE / 3;
        line((high - arm, y - arm), (high + arm, y + arm), Ink::Failure, 8)?;
        line((high - arm, y + arm), (high + arm, y - arm), Ink::Failure, 8)
    }
}

/// The text, cut with an ellipsis to what fits.
fn fitting(text: &str, room: i32) -> String {
    let mut text = text.to_owned();
    while text_width(&text) > room && text.chars().count() > 1 {
        text.truncate(text.trim_end_matches('…').char_indices().next_back().map_or(0, |(at, _)| at));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, levels_ns: Option<[u64; 5]>, censored: usize) -> BoxRow {
        BoxRow { label: label.to_owned(), levels_ns, censored, slot: 0 }
    }

    #[test]
    fn a_box_per_row_with_values_and_words_where_there_are_none() {
        let levels = Some([1_000_000, 2_000_000, 3_000_000, 4_000_000, 9_000_000]);
        let rows = [row("a <b>, n 100", levels, 0), row("c, n 4", None, 0), row("d, n 80", levels, 1)];
        let shapes = boxes(&rows, "latency").unwrap();
        let svg = shapes.as_str();
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert_eq!(svg.matches("too few values").count(), 1);
        assert_eq!(svg.matches("k-fail").count(), 2, "one cross of two strokes");
        assert!(svg.contains("a &lt;b&gt;, n 100"));
    }

    #[test]
    fn labels_fit_their_room() {
        assert_eq!(fitting("short", 100 * FINE), "short");
        let cut = fitting(&"x".repeat(200), 100 * FINE);
        assert!(cut.ends_with('…') && text_width(&cut) <= 100 * FINE);
    }

    #[test]
    fn nothing_to_draw_is_drawn_as_nothing() {
        assert!(boxes(&[], "latency").unwrap().as_str().contains("latency"));
    }
}
