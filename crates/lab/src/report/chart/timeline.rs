//! The run over time: one lane of throughput per operation and one panel of latency, phases in order on one time axis, faults as
//! lines through all of it. A line is drawn only where values stand behind it.

mod lane;
mod latency;
mod slices;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::result::{FaultResult, OperationResult, RunResult};

use peermark_page::chart::axis;
use peermark_page::chart::{Area, DrawError, FINE, Ink, Shapes, draw, text_width, write};

const PHASE_ROW: i32 = 22;
const FAULT_ROW: i32 = 20;
const TITLE: i32 = 24;
const LANE: i32 = 54;
const LATENCY: i32 = 190;
const GAP: i32 = 12;
const AXIS: i32 = 40;
const LEFT: i32 = 58;
const RIGHT: i32 = 12;

/// Which page the drawing is for. Text cannot shrink with the page and stay legible, so each has a drawing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// A screen or a sheet of paper.
    Page,
    /// A phone.
    Phone,
}

/// The run over time; `None` where no operation has a slice. `names` are the operations in the order of their colours.
pub(crate) fn timeline(run: &RunResult, names: &[&str], width: Width) -> Option<Result<Shapes, DrawError>> {
    if run.operations.iter().all(|operation| operation.timeline.is_empty()) {
        return None;
    }
    let scene = Scene::new(run, names.len(), width);
    Some(draw((scene.width, scene.height()), |area| {
        scene.phases(area, &run.operations)?;
        scene.faults(area, &run.faults)?;
        for (slot, name) in names.iter().enumerate() {
            let operations: Vec<_> = run.operations.iter().filter(|operation| operation.op == *name).collect();
            let top = scene.lanes_top() + slot as i32 * (TITLE + LANE + GAP) + TITLE;
            lane::draw(area, &scene, &Panel::new(top, LANE), &operations, slot)?;
        }
        let panel = Panel::new(scene.height() - AXIS - LATENCY, LATENCY);
        latency::draw(area, &scene, &panel, &run.operations, names)?;
        scene.time_axis(area)
    }))
}

/// The part of the drawing that one quantity is drawn on; fine units.
struct Panel {
    top: i32,
    bottom: i32,
}

impl Panel {
    fn new(top: i32, height: i32) -> Self {
        Self { top: top * FINE, bottom: (top + height) * FINE }
    }

    /// The height at which a share of the panel lies, 0 at its bottom.
    fn at(&self, share: f64) -> i32 {
        self.bottom - (share.clamp(0.0, 1.0) * f64::from(self.bottom - self.top)).round() as i32
    }
}

/// A stretch of the time axis.
struct Stretch {
    name: String,
    from_s: f64,
    to_s: f64,
}

struct Scene {
    width: i32,
    lanes: i32,
    has_faults: bool,
    end_s: f64,
}

impl Scene {
    fn new(run: &RunResult, lanes: usize, width: Width) -> Self {
        let phases = stretches(&run.operations);
        let faults = run.faults.iter().map(|fault| seconds(fault.at_ns));
        let end_s = phases.iter().map(|phase| phase.to_s).chain(faults).fold(0.0, f64::max);
        let width = match width {
            Width::Page => 1040,
            Width::Phone => 358,
        };
        Self { width, lanes: lanes as i32, has_faults: !run.faults.is_empty(), end_s: end_s.max(1e-3) }
    }

    fn lanes_top(&self) -> i32 {
        if self.has_faults { PHASE_ROW + FAULT_ROW } else { PHASE_ROW }
    }

    fn height(&self) -> i32 {
        self.lanes_top() + self.lanes * (TITLE + LANE + GAP) + TITLE + LATENCY + AXIS
    }

    fn bottom(&self) -> i32 {
        (self.height() - AXIS) * FINE
    }

    fn left(&self) -> i32 {
        LEFT * FINE
    }

    fn right(&self) -> i32 {
        (self.width - RIGHT) * FINE
    }

    /// From seconds since the load began to the fine pixel.
    fn x(&self, at_s: f64) -> i32 {
        let share = (at_s / self.end_s).clamp(0.0, 1.0);
        self.left() + (share * f64::from(self.right() - self.left())).round() as i32
    }

    fn phases(&self, area: &Area<'_>, operations: &[OperationResult]) -> Result<(), DrawError> {
        for (index, phase) in stretches(operations).iter().enumerate() {
            let (from, to) = (self.x(phase.from_s), self.x(phase.to_s));
            if index % 2 == 0 {
                area.draw(&Rectangle::new([(from, 0), (to, self.bottom())], Ink::Phase.fill()))?;
            }
            let room = to - from - 4 * FINE;
            let mut name = phase.name.clone();
            while text_width(&name) > room && !name.is_empty() {
                name.truncate(name.trim_end_matches('…').char_indices().next_back().map_or(0, |(at, _)| at));
                if !name.is_empty() {
                    name.push('…');
                }
            }
            if name.chars().count() > 2 || name == phase.name {
                write(area, Ink::Text, HPos::Center, (i32::midpoint(from, to), PHASE_ROW * FINE / 2), &name)?;
            }
        }
        Ok(())
    }

    /// A line per fault, numbered as in the table of faults. Numbers that would overlap are written as a range.
    fn faults(&self, area: &Area<'_>, faults: &[FaultResult]) -> Result<(), DrawError> {
        let mut labels: Vec<(i32, i32, usize, usize)> = Vec::new();
        let mut marks: Vec<(i32, usize)> =
            faults.iter().enumerate().map(|(index, fault)| (self.x(seconds(fault.at_ns)), index + 1)).collect();
        marks.sort_unstable();
        for (x, number) in marks {
            area.draw(&PathElement::new(
                vec![(x, (PHASE_ROW + FAULT_ROW - 2) * FINE), (x, self.bottom())],
                Ink::Fault.stroke(6),
            ))?;
            match labels.last_mut() {
                Some((_, to, first, last)) if x - *to < 24 * FINE => {
                    (*to, *first, *last) = (x, number.min(*first), number.max(*last));
                }
                _ => labels.push((x, x, number, number)),
            }
        }
        for (from, to, first, last) in labels {
            let text = if first == last { format!("{first}") } else { format!("{first}–{last}") };
            let (x, y) = (i32::midpoint(from, to), (PHASE_ROW + FAULT_ROW / 2) * FINE);
            let half = text_width(&text) / 2 + 5 * FINE;
            area.draw(&Rectangle::new([(x - half, y - 8 * FINE), (x + half, y + 8 * FINE)], Ink::Fault.fill()))?;
            write(area, Ink::Phase, HPos::Center, (x, y), &text)?;
        }
        Ok(())
    }

    fn time_axis(&self, area: &Area<'_>) -> Result<(), DrawError> {
        let y = self.bottom();
        let most = if self.width < 600 { 4 } else { 12 };
        for at_s in axis::linear(self.end_s, most) {
            let x = self.x(at_s);
            area.draw(&PathElement::new(vec![(x, y), (x, y + 4 * FINE)], Ink::Axis.stroke(4)))?;
            write(area, Ink::Muted, HPos::Center, (x, y + 13 * FINE), &format!("{} s", axis::round_number(at_s)))?;
        }
        let middle = i32::midpoint(self.left(), self.right());
        write(area, Ink::Muted, HPos::Center, (middle, y + 31 * FINE), "time since the load began")
    }

    /// A horizontal line of a panel with its label.
    fn level(&self, area: &Area<'_>, y: i32, ink: Ink, label: &str) -> Result<(), DrawError> {
        area.draw(&PathElement::new(vec![(self.left(), y), (self.right(), y)], ink.stroke(4)))?;
        write(area, Ink::Muted, HPos::Right, (self.left() - 6 * FINE, y), label)
    }

    fn title(&self, area: &Area<'_>, panel: &Panel, ink: Ink, text: &str) -> Result<(), DrawError> {
        write(area, ink, HPos::Left, (self.left(), panel.top - TITLE * FINE / 2), text)
    }
}

/// The phases in their order, each as long as its longest operation.
fn stretches(operations: &[OperationResult]) -> Vec<Stretch> {
    let mut phases: Vec<Stretch> = Vec::new();
    for operation in operations {
        let from_s = seconds(operation.started_ns);
        let sliced_s = operation.timeline.last().map_or(0.0, |slice| slice.at_s + slices::width_s(operation));
        let to_s = from_s + sliced_s.max(seconds(operation.duration_ns));
        match phases.last_mut().filter(|phase| phase.name == operation.phase) {
            Some(phase) => (phase.from_s, phase.to_s) = (phase.from_s.min(from_s), phase.to_s.max(to_s)),
            None => phases.push(Stretch { name: operation.phase.clone(), from_s, to_s }),
        }
    }
    phases
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
