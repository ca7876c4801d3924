//! `intervals.*`: how often the 95 % intervals hold the true percentile, on data whose percentiles are known.

use peermark_core::Seed;
use peermark_judge::coverage::{Process, simulate};

use crate::{Figure, Hold};

/// Simulated series per cell.
const REPLICATIONS: u32 = 3000;

/// Values per series.
const SIZES: [u64; 2] = [3_000, 10_000];

/// Coverage over percentiles and sizes: one figure per kind of data. Its value is the lowest cell, its spread all cells.
pub fn intervals() -> Vec<Figure> {
    let independent = [Process::Exponential, Process::Lognormal];
    let queues = [Process::Queue { load: 0.5 }, Process::Queue { load: 0.8 }];
    let mut iid = figure("intervals.iid_coverage", &independent, Hold::AtLeast(0.93));
    iid.ok = Some(iid.spread.0 >= 0.93 && iid.spread.1 <= 0.975);
    iid.reference = "nominal 95 %; holds between 93 % and 97 % (one standard error of a cell is 0.4 %)".into();
    let mut queue = figure("intervals.queue_coverage", &queues, Hold::AtLeast(0.90));
    queue.reference = "M/M/1 sojourn times at load 0.5 and 0.8; nominal 95 %, or n/a where it cannot be had".into();
    vec![iid, queue]
}

fn figure(name: &'static str, processes: &[Process], hold: Hold) -> Figure {
    let mut cells = Vec::new();
    let mut notes = Vec::new();
    for process in processes {
        for n in SIZES {
            let report = simulate(*process, n, REPLICATIONS, Seed(7));
            for percentile in &report.percentiles {
                let coverage = percentile.coverage();
                let shown = coverage.map_or("n/a".into(), |share| format!("{:.1} %", share * 100.0));
                notes.push(format!("{process:?} n={n} p{:.0} {shown}", percentile.q * 100.0));
                cells.extend(coverage);
            }
        }
    }
    let lowest = cells.iter().copied().fold(f64::INFINITY, f64::min);
    let mut figure = Figure::of_values(name, "ratio", &cells, hold);
    figure.value = lowest;
    figure.ok = hold.holds(lowest);
    figure.notes = notes;
    figure
}
