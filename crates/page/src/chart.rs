//! Charts as inline SVG. The drawing library knows fixed colours only; the page has a light and a dark face. So shapes are drawn
//! in marker colours that stand for an [`Ink`], and each marker becomes a class that the style sheet of the page colours.

pub mod axis;
mod boxes;
mod cdf;
mod figure;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::wording::printable;

pub use boxes::{BoxRow, boxes};
pub use cdf::{Curve, Domain, cdf};
pub use figure::figure;

/// How many things have a colour of their own before colours repeat. The style sheet holds as many.
pub const SERIES: usize = 6;

/// Coordinates of the library are whole; a quarter of a pixel is fine enough for a smooth line.
pub const FINE: i32 = 4;

/// Height of text in pixels at full size.
pub const TEXT: i32 = 12;

/// The library divides a font's size by this before it writes it.
const LIBRARY_FONT_FACTOR: f64 = 1.24;

/// Values behind a slice's median that make its 95 % interval possible: 1 - 2 * 0.5^6 = 0.97.
pub const SUPPORTED: f64 = 6.0;

/// What a chart is drawn on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why a chart could not be drawn.
pub type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// The shapes of one chart: escaped, without the enclosing `svg` element.
#[derive(Debug)]
pub struct Shapes {
    svg: String,
    /// Width and height of the coordinate system.
    pub size: (i32, i32),
}

impl Shapes {
    /// The shapes as SVG.
    pub fn as_str(&self) -> &str {
        &self.svg
    }
}

/// What a shape stands for. The style sheet decides how that looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// What is read first.
    Text,
    /// What is read second.
    Muted,
    /// Lines that help the eye.
    Grid,
    /// An axis with its ticks.
    Axis,
    /// Every second phase on the time axis.
    Phase,
    /// A fault that was injected.
    Fault,
    /// An operation that failed.
    Failure,
    /// A rate that was asked for, or a deadline.
    Target,
    /// An operation's line.
    Line(usize),
    /// An operation's line where too few values support it.
    Thin(usize),
    /// An operation's area.
    Fill(usize),
    /// An operation's text.
    Label(usize),
}

impl Ink {
    /// A colour that stands for the ink until the shapes are classed.
    fn marker(self) -> RGBColor {
        let (kind, slot) = match self {
            Self::Text => (0, 0),
            Self::Muted => (1, 0),
            Self::Grid => (2, 0),
            Self::Axis => (3, 0),
            Self::Phase => (4, 0),
            Self::Fault => (5, 0),
            Self::Failure => (6, 0),
            Self::Target => (7, 0),
            Self::Line(slot) => (8, slot),
            Self::Thin(slot) => (9, slot),
            Self::Fill(slot) => (10, slot),
            Self::Label(slot) => (11, slot),
        };
        RGBColor(0xAB, kind, (slot % SERIES) as u8)
    }

    fn every() -> impl Iterator<Item = (Self, String)> {
        let plain = [
            (Self::Text, "k-text"),
            (Self::Muted, "k-muted"),
            (Self::Grid, "k-grid"),
            (Self::Axis, "k-axis"),
            (Self::Phase, "k-phase"),
            (Self::Fault, "k-fault"),
            (Self::Failure, "k-fail"),
            (Self::Target, "k-target"),
        ];
        let series = (0..SERIES).flat_map(|slot| {
            [
                (Self::Line(slot), format!("k-line s{slot}")),
                (Self::Thin(slot), format!("k-thin s{slot}")),
                (Self::Fill(slot), format!("k-fill s{slot}")),
                (Self::Label(slot), format!("k-label s{slot}")),
            ]
        });
        plain.into_iter().map(|(ink, class)| (ink, class.to_owned())).chain(series)
    }

    /// Lines of this ink.
    pub fn stroke(self, quarter_pixels: u32) -> ShapeStyle {
        ShapeStyle::from(self.marker()).stroke_width(quarter_pixels)
    }

    /// Areas of this ink.
    pub fn fill(self) -> ShapeStyle {
        ShapeStyle::from(self.marker()).filled()
    }

    fn text(self, horizontal: HPos) -> TextStyle<'static> {
        let size = f64::from(TEXT * FINE) * LIBRARY_FONT_FACTOR;
        ("inherit", size).into_font().color(&self.marker()).pos(Pos::new(horizontal, VPos::Center))
    }
}

/// Draws on an area of `size` pixels.
///
/// # Errors
/// [`DrawError`] of the library.
pub fn draw(size: (i32, i32), paint: impl FnOnce(&Area<'_>) -> Result<(), DrawError>) -> Result<Shapes, DrawError> {
    let fine = (size.0 * FINE, size.1 * FINE);
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (fine.0.unsigned_abs(), fine.1.unsigned_abs())).into_drawing_area();
        paint(&area)?;
        area.present()?;
    }
    Ok(Shapes { svg: classed(&svg), size: fine })
}

/// Writes one line of text with its vertical centre at `at`.
///
/// # Errors
/// [`DrawError`] of the library.
pub fn write(area: &Area<'_>, ink: Ink, horizontal: HPos, at: (i32, i32), text: &str) -> Result<(), DrawError> {
    area.draw(&Text::new(printable(text), at, ink.text(horizontal)))
}

/// Markers become classes; what the page does not need goes: the enclosing element, opacities of one, line breaks.
fn classed(svg: &str) -> String {
    let body = svg.find('>').map_or(svg, |end| &svg[end + 1..]);
    let mut body =
        body.trim_end().trim_end_matches("</svg>").replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
    body = body.replace(" font-family=\"inherit\"", "").replace(" \"/>", "\"/>");
    for (ink, class) in Ink::every() {
        let RGBColor(r, g, b) = ink.marker();
        for attribute in ["stroke", "fill"] {
            let marker = format!(" {attribute}=\"#{r:02X}{g:02X}{b:02X}\"");
            // Texts hold no plain quotation mark (the library escapes them), so this matches attributes only.
            body = body.replace(&marker, &format!(" class=\"{class} k-{attribute}\""));
        }
    }
    body.replace('\n', "")
}

/// About how many pixels a text takes, in fine units. Wide enough for the fonts that the style sheet asks for.
pub fn text_width(text: &str) -> i32 {
    text.chars().count() as i32 * TEXT * FINE * 56 / 100
}
