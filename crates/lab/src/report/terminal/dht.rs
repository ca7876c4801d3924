//! The end of a session that measured a DHT: per fleet, never per region.

use std::path::Path;

use crate::dht::result::{CheckVerdict, DhtResult, FleetResult, LookupResult, ProvideResult, Rpcs, ScheduleResult};
use crate::report::wording;
use crate::result::{Distribution, Percentile};

use super::format;
use super::line::{self, Line, Tone, pad, wrap};
use super::{LABEL, LEAST_WIDTH, labelled, labelled_in, text, thresholds, validity};

/// Columns of a table: who, what of it, counts, percentiles, the rest.
type Row = Vec<(Tone, String)>;

pub(crate) fn summary(run: &DhtResult, files: &[&Path], width: usize, colour: bool) -> String {
    let width = width.max(LEAST_WIDTH);
    let mut lines = head(run, width);
    for schedule in &run.schedules {
        lines.extend(scheduled(run, schedule, width));
    }
    let distance = format!("{}: no figure here is drawn by region", run.distance);
    lines.extend(text("distance", &distance, width, 2));
    lines.push(Line::default());
    lines.extend(thresholds(&run.thresholds, width));
    lines.extend(validity(&run.validity, run.warnings.len(), "result.json", width));
    let mut out: String = lines.iter().map(|line| line.render(width, colour)).collect();
    for (index, file) in files.iter().enumerate() {
        let label = if index == 0 { "files" } else { "" };
        let line = labelled(label, vec![(Tone::Plain, file.to_string_lossy().into_owned())]);
        out += &line.render(usize::MAX, colour);
    }
    out
}

fn head(run: &DhtResult, width: usize) -> Vec<Line> {
    let stopped = if run.stopped { ", stopped" } else { "" };
    let details = format!(
        "  run {}, seed {}, {}{stopped}, peermark {}",
        run.run_id,
        run.seed,
        format::span(run.duration_ns),
        run.environment.version
    );
    let mut lines = vec![Line::new(vec![(Tone::Bold, "dht".to_owned()), (Tone::Dim, details)]), Line::default()];
    let network = &run.network;
    let ready = format!(
        "{} (k {}, alpha {}) and {}, ready after {}; measured for {}",
        format::counted(network.servers.into(), "server"),
        network.k,
        network.alpha,
        format::counted(network.measurers.len() as u64, "measuring node"),
        format::span(network.ready_after_ns),
        format::span(run.measured_ns)
    );
    lines.extend(text("network", &ready, width, 2));
    lines.extend(preflight(run, width));
    let machine = format!(
        "busy {}, steal {}, schedulers {} s CPU, calibration drift {}",
        format::percent(run.host.busy),
        format::percent(run.host.steal),
        format::significant(run.host.generator_cpu_seconds),
        format::percent(run.calibration.drift(&run.calibration_after))
    );
    lines.extend(text("host", &machine, width, 2));
    lines.push(Line::default());
    lines
}

/// How many checks hold, and each that does not hold fully.
fn preflight(run: &DhtResult, width: usize) -> Vec<Line> {
    let count = |verdict| run.preflight.iter().filter(|check| check.verdict == verdict).count() as u64;
    let failing = count(CheckVerdict::Fails);
    let (tone, sign) = if failing == 0 { (Tone::Good, "✓ ") } else { (Tone::Bad, "✗ ") };
    let all = run.preflight.len() as u64;
    let passed = format!("{} of {} passed", format::count(all - failing), format::counted(all, "check"));
    let mut lines = vec![labelled("preflight", vec![(tone, sign.to_owned()), (Tone::Plain, passed)])];
    for check in run.preflight.iter().filter(|check| check.verdict != CheckVerdict::Holds) {
        let (tone, word) =
            if check.verdict == CheckVerdict::Fails { (Tone::Bad, "FAILS") } else { (Tone::Dim, "note") };
        for (index, piece) in
            wrap(&format!("{}: {}", check.name, check.detail), width - LABEL - 6, 2).into_iter().enumerate()
        {
            let word = if index == 0 { word } else { "" };
            lines.push(labelled("", vec![(tone, pad(word, 6)), (Tone::Plain, piece)]));
        }
    }
    lines
}

fn scheduled(run: &DhtResult, schedule: &ScheduleResult, width: usize) -> Vec<Line> {
    let who = if schedule.publish == schedule.lookup {
        format!("all fleets publish in turn, all others look up: {}", schedule.publish.join(", "))
    } else {
        format!("{} publishes, {} looks up", schedule.publish.join(", "), schedule.lookup.join(", "))
    };
    let skipped = if schedule.skipped > 0 { format!(", {} skipped", schedule.skipped) } else { String::new() };
    let rounds = format!("{} rounds{skipped}; {who}", format::count(schedule.rounds));
    let mut lines: Vec<Line> = wrap(&rounds, width - LABEL, 2)
        .into_iter()
        .enumerate()
        .map(|(at, piece)| {
            labelled_in(Tone::Bold, if at == 0 { &schedule.name } else { "" }, vec![(Tone::Plain, piece)])
        })
        .collect();
    let mut rows: Vec<Row> = vec![heading("provide")];
    rows.extend(
        schedule.fleets.iter().filter_map(|fleet| Some(provided(run, fleet, fleet.provide.as_ref()?))).flatten(),
    );
    rows.push(heading("lookup"));
    rows.extend(schedule.fleets.iter().filter_map(|fleet| Some(looked_up(run, fleet, fleet.lookup.as_ref()?))));
    lines.extend(table(rows, width));
    lines.extend(text("RPCs", &rpcs(schedule), width, 3));
    lines.extend(failures(schedule, width));
    lines.push(Line::default());
    lines
}

fn heading(what: &str) -> Row {
    let plain = ["", "n", "p50", "p90", "p99"].map(|name| (Tone::Dim, name.to_owned()));
    std::iter::once((Tone::Dim, what.to_owned())).chain(plain).collect()
}

/// One line per moment.
fn provided(run: &DhtResult, fleet: &FleetResult, provide: &ProvideResult) -> [Row; 3] {
    [
        row(&fleet.fleet, "returned", &provide.returned_ns, run.deadline_ns),
        row("", "confirmed", &provide.confirmed_ns, run.deadline_ns),
        row("", "visible", &provide.visible_ns, run.visible_deadline_ns),
    ]
}

fn looked_up(run: &DhtResult, fleet: &FleetResult, lookup: &LookupResult) -> Row {
    row(&fleet.fleet, "", &lookup.duration_ns, run.deadline_ns)
}

fn row(fleet: &str, moment: &str, values: &Distribution, deadline_ns: u64) -> Row {
    let figure = |percentile: Option<Percentile>| {
        let figure = wording::percentile(percentile, deadline_ns);
        (Tone::Plain, format!("{} {}", figure.value, figure.interval.unwrap_or_default()).trim_end().to_owned())
    };
    vec![
        (Tone::Bold, fleet.to_owned()),
        (Tone::Plain, moment.to_owned()),
        (Tone::Plain, format::count(values.n)),
        figure(values.p50),
        figure(values.p90),
        figure(values.p99),
    ]
}

/// What operations took in messages, and lookups that took none.
fn rpcs(schedule: &ScheduleResult) -> String {
    let wasted = |rpcs: &Rpcs| rpcs.wasted_share.map_or_else(|| format::ABSENT.to_owned(), format::percent);
    let provides = schedule.fleets.iter().filter_map(|fleet| {
        let rpcs = &fleet.provide.as_ref()?.rpcs;
        Some(format!("{} {}", fleet.fleet, per_operation(rpcs)))
    });
    let lookups = schedule.fleets.iter().filter_map(|fleet| {
        let lookup = fleet.lookup.as_ref()?;
        let rpcs = &lookup.rpcs;
        Some(format!("{} {} ({} wasted)", fleet.fleet, per_operation(rpcs), wasted(rpcs)))
    });
    let (provides, lookups) = (provides.collect::<Vec<_>>().join(", "), lookups.collect::<Vec<_>>().join(", "));
    let local: u64 = schedule.fleets.iter().filter_map(|fleet| Some(fleet.lookup.as_ref()?.local)).sum();
    let local = match local {
        0 => "no local hits".to_owned(),
        some => format!("{}, in no figure", format::counted(some, "local hit")),
    };
    format!("per provide {provides}; per lookup {lookups}; {local}")
}

fn per_operation(rpcs: &Rpcs) -> String {
    rpcs.per_operation.map_or_else(|| format::ABSENT.to_owned(), format::significant)
}

/// The rows, each column as wide as its widest cell. What does not fit goes without its p90.
fn table(mut rows: Vec<Row>, width: usize) -> Vec<Line> {
    const P90: usize = 4;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|(_, cell)| line::width(cell)).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns).map(widest).collect();
    // Two spaces before the row and after every cell but the last.
    if widths.iter().map(|cell| cell + 2).sum::<usize>() > width && columns > P90 {
        widths.remove(P90);
        rows.iter_mut().for_each(|row| drop(row.remove(P90)));
    }
    let cells = |row: Row| {
        let padded = row.into_iter().zip(&widths).map(|((tone, cell), width)| (tone, pad(&cell, width + 2)));
        Line::new(std::iter::once((Tone::Plain, "  ".to_owned())).chain(padded).collect())
    };
    rows.into_iter().map(cells).collect()
}

/// What failed, by class; said also where nothing did.
fn failures(schedule: &ScheduleResult, width: usize) -> Vec<Line> {
    let mut said = Vec::new();
    let (mut provides, mut lookups) = (0, 0);
    for fleet in &schedule.fleets {
        let kinds = [
            ("provides", fleet.provide.as_ref().map(|provide| (provide.count, &provide.failed))),
            ("lookups", fleet.lookup.as_ref().map(|lookup| (lookup.count, &lookup.failed))),
        ];
        provides += fleet.provide.as_ref().map_or(0, |provide| provide.count);
        lookups += fleet.lookup.as_ref().map_or(0, |lookup| lookup.count);
        for (kind, counts) in kinds {
            if let Some((count, failed)) = counts.filter(|(_, failed)| failed.values().any(|count| *count > 0)) {
                let tally = wording::tally(failed);
                said.push(format!("{tally} of {} {kind} of {}", format::count(count), fleet.fleet));
            }
        }
    }
    if said.is_empty() {
        let none =
            format!("none of {} and {}", format::counted(provides, "provide"), format::counted(lookups, "lookup"));
        return text("failed", &none, width, 1);
    }
    let lines = wrap(&said.join("; "), width - LABEL, 3).into_iter().enumerate();
    lines
        .map(|(at, piece)| labelled_in(Tone::Bad, if at == 0 { "failed" } else { "" }, vec![(Tone::Plain, piece)]))
        .collect()
}
