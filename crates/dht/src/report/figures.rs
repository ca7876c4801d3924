//! From what was collected to the document.

use std::collections::BTreeSet;

use peermark_judge::quantile::needed_samples;
use peermark_judge::{Latencies, proportion};

use super::anatomy::level;
use super::change::{self, CONFIDENCE, Pair};
use super::collect::{Collected, Key, since_ns};
use super::document::{
    Boxes, DhtReport, ErrorCount, HitFigures, LatencyFigures, Moments, Percentile, Period, Rows, SCHEMA, Share,
};
use super::group::{Groups, Values, What};
use super::options::{ReportOptions, Span};

/// Most points of a distribution.
const MAX_POINTS: f64 = 160.0;

pub(super) fn document(options: &ReportOptions, collected: &Collected) -> DhtReport {
    let longest_ns = |groups: &Groups<Key>| groups.iter().map(|(_, values)| values.longest_ns()).max().unwrap_or(0);
    let successes = longest_ns(&collected.now.groups).max(longest_ns(&collected.before.groups));
    let deadline_ns = options.deadline_ns.max(successes);
    let (latencies, pairs): (Vec<_>, Vec<_>) =
        keys(options, collected).iter().map(|key| entry(collected, key, deadline_ns)).unzip();
    let mut latencies = latencies;
    change::fill(&mut latencies, &pairs);
    let mut report = DhtReport {
        schema: SCHEMA.to_owned(),
        place: options.place.clone(),
        period: period(options.span),
        before: period(options.span.before()),
        fleets: options.fleets.clone(),
        regions_are_labels: collected.is_lab,
        regions: collected.regions.iter().cloned().collect(),
        rows: rows(options, collected, deadline_ns),
        latencies,
        errors: errors(collected),
        hits: hits(collected),
        anatomy: collected.traced.anatomy.iter().map(|((fleet, what), tally)| tally.figures(fleet, *what)).collect(),
        moments: moments(options, collected),
        warnings: Vec::new(),
    };
    report.warnings = warnings(&report, collected);
    report
}

fn period(span: Span) -> Period {
    Period { from_ms: span.from_ms(), until_ms: span.until_ms() }
}

fn rows(options: &ReportOptions, collected: &Collected, deadline_ns: u64) -> Rows {
    let now = &collected.now;
    Rows {
        read: now.read,
        counted: now.counted,
        set_apart_provides: now.set_apart[0],
        set_apart_retrievals: now.set_apart[1],
        other_steps: now.other_steps,
        counted_before: collected.before.counted,
        traces: collected.traced.n,
        least_provide: collected.least.0,
        least_retrieve: collected.least.1,
        rule: options.rule.reason(collected.is_lab).to_owned(),
        deadline_ns,
        complete: collected.complete,
    }
}

/// What has an entry: everything that has rows now or before, and what was asked for though it has none. Of a fleet in one region the
/// region alone: a composite of one is no composite.
fn keys(options: &ReportOptions, collected: &Collected) -> BTreeSet<Key> {
    let groups = [&collected.now.groups, &collected.before.groups];
    let mut keys: BTreeSet<Key> = groups.iter().flat_map(|groups| groups.iter().map(|(key, _)| key.clone())).collect();
    let all = ["(all)".to_owned()];
    let asked = match (options.fleets.is_empty(), keys.is_empty()) {
        (false, _) => options.fleets.as_slice(),
        (true, true) => all.as_slice(),
        (true, false) => &[],
    };
    for fleet in asked {
        keys.extend(What::ALL.map(|what| (fleet.clone(), what, None)));
    }
    let regions = |fleet: &str, what: What| {
        keys.iter().filter(|(other, kind, region)| other == fleet && *kind == what && region.is_some()).count()
    };
    let alone: Vec<Key> =
        keys.iter().filter(|(fleet, what, region)| region.is_none() && regions(fleet, *what) == 1).cloned().collect();
    alone.iter().for_each(|key| {
        keys.remove(key);
    });
    keys
}

fn entry(collected: &Collected, key: &Key, deadline_ns: u64) -> (LatencyFigures, Option<Pair>) {
    let (fleet, what, region) = key;
    let (now, before) = (collected.now.groups.get(key), collected.before.groups.get(key));
    let mut figures = LatencyFigures {
        fleet: fleet.clone(),
        region: region.clone(),
        operation: what.as_str().to_owned(),
        n: now.map_or(0, Values::n),
        failed: now.map_or(0, Values::failed),
        failed_share: now.and_then(failed_share),
        p50: None,
        p90: None,
        p99: None,
        boxes: now.and_then(boxes),
        cdf: now.map_or_else(Vec::new, cdf),
        n_before: before.map_or(0, Values::n),
        change_p50: None,
        change_p90: None,
        notes: Vec::new(),
    };
    let Some(now) = now else {
        figures.notes.push("no rows".to_owned());
        return (figures, None);
    };
    let latencies = now.latencies(deadline_ns);
    let mut percentile = |q: f64, name: &str| {
        let estimate = latencies.quantile(q, CONFIDENCE);
        if let Some(absent) = &estimate.absent {
            figures.notes.push(format!("{name}: {absent}"));
        }
        estimate.quantile.map(from_judge)
    };
    (figures.p50, figures.p90, figures.p99) = (percentile(0.5, "p50"), percentile(0.9, "p90"), percentile(0.99, "p99"));
    let pair = before.map(|before| Pair { now: latencies.clone(), before: before.latencies(deadline_ns) });
    (figures, pair)
}

fn from_judge(quantile: peermark_judge::Quantile) -> Percentile {
    let peermark_judge::Quantile { value, low, high, censored } = quantile;
    Percentile { value, low, high, censored }
}

fn failed_share(values: &Values) -> Option<Share> {
    let found = proportion::error_ratio(values.slices(), CONFIDENCE)?;
    let plain = || proportion::wilson(values.failed(), values.n(), CONFIDENCE);
    let interval = found.interval.or_else(plain)?;
    let respects_bursts = found.interval.is_some();
    Some(Share { ratio: found.ratio, low: interval.low, high: interval.high, respects_bursts })
}

/// All successes, and how many rows there are with the failures.
fn merged(values: &Values) -> (peermark_core::Histogram, u64) {
    let mut all = peermark_core::Histogram::new();
    values.slices().iter().for_each(|slice| all.merge(&slice.histogram));
    (all, values.n())
}

fn boxes(values: &Values) -> Option<Boxes> {
    let (all, n) = merged(values);
    if n < needed_samples(0.95, CONFIDENCE) {
        return None;
    }
    let level = |q: f64| all.value_at_rank(((q * n as f64 - 1e-9).ceil() as u64).max(1));
    let [p5, p25, p50, p75, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map(level);
    Some(Boxes { p5, p25, p50, p75, p95 })
}

fn cdf(values: &Values) -> Vec<(u64, f64)> {
    let (all, n) = merged(values);
    let mut points: Vec<(u64, f64)> = Vec::new();
    let (mut below, mut shown) = (0, 0.0);
    for (ns, count) in all.buckets() {
        below += count;
        let share = below as f64 / n as f64;
        if points.is_empty() || share - shown >= 1.0 / MAX_POINTS || below == all.len() {
            points.push((ns, share));
            shown = share;
        }
    }
    points
}

fn errors(collected: &Collected) -> Vec<ErrorCount> {
    let mut errors = Vec::new();
    for ((fleet, what), texts) in &collected.now.errors {
        let n = collected.now.groups.get(&(fleet.clone(), *what, None)).map_or(0, Values::n);
        errors.extend(texts.ranked().into_iter().map(|(error, count)| ErrorCount {
            fleet: fleet.clone(),
            operation: what.as_str().to_owned(),
            error: error.to_owned(),
            count,
            share: count as f64 / n.max(1) as f64,
        }));
    }
    errors
}

/// Nothing of it is censored: what is asked is how long it took until it was known.
fn plain(latencies: &Latencies, q: f64) -> Option<Percentile> {
    latencies.quantile(q, CONFIDENCE).quantile.map(from_judge)
}

fn hits(collected: &Collected) -> Vec<HitFigures> {
    let hits = &collected.traced.hits;
    let total = |fleet: &str, what: What| -> u64 {
        hits.iter().filter(|((other, kind, _), _)| other == fleet && *kind == what).map(|(_, values)| values.n()).sum()
    };
    let figures = |((fleet, what, hit), values): (&(String, What, String), &Values)| {
        let latencies = values.latencies(u64::MAX);
        HitFigures {
            fleet: fleet.clone(),
            operation: what.as_str().to_owned(),
            hit: hit.clone(),
            n: values.n(),
            share: values.n() as f64 / total(fleet, *what).max(1) as f64,
            p50: plain(&latencies, 0.5),
            p90: plain(&latencies, 0.9),
        }
    };
    hits.iter().map(figures).collect()
}

fn moments(options: &ReportOptions, collected: &Collected) -> Vec<Moments> {
    let traced = &collected.traced;
    let mut visible: Groups<String> = Groups::default();
    for seen in traced.visible.seen() {
        visible.record(seen.fleet.to_owned(), since_ns(options.span, seen.started_ms), Some(seen.after_ns));
    }
    let of = |groups: &Groups<String>, fleet: &String, q: f64| {
        groups.get(fleet).and_then(|values| plain(&values.latencies(u64::MAX), q))
    };
    let count = |groups: &Groups<String>, fleet: &String| groups.get(fleet).map_or(0, Values::n);
    let figures = |(fleet, values): (&String, &Values)| Moments {
        fleet: fleet.clone(),
        n: values.n(),
        returned_p50: of(&traced.returned, fleet, 0.5),
        returned_p90: of(&traced.returned, fleet, 0.9),
        stored_n: count(&traced.stored, fleet),
        stored_peers_p50: traced.stored_peers.get(fleet).and_then(|peers| level(peers, 0.5)),
        stored_p50: of(&traced.stored, fleet, 0.5),
        stored_p90: of(&traced.stored, fleet, 0.9),
        visible_n: count(&visible, fleet),
        visible_p50: of(&visible, fleet, 0.5),
        visible_p90: of(&visible, fleet, 0.9),
    };
    traced.returned.iter().map(figures).collect()
}

fn warnings(report: &DhtReport, collected: &Collected) -> Vec<String> {
    let rows = &report.rows;
    let mut warnings = Vec::new();
    if report.regions_are_labels {
        warnings.push(
            "regions are labels, no distance: every server is on a loopback address, so regions are pooled and not compared"
                .to_owned(),
        );
    }
    if rows.read == 0 {
        warnings.push("the period has no rows".to_owned());
    }
    if !rows.complete {
        warnings.push(
            "there are more rows or traces than one report reads; the figures stand on the first of them".to_owned(),
        );
    }
    let apart = rows.set_apart_provides + rows.set_apart_retrievals;
    if apart > 0 {
        warnings.push(format!(
            "{} provides below {} peers in the routing table and {} retrievals below {} are set apart: {}",
            rows.set_apart_provides, rows.least_provide, rows.set_apart_retrievals, rows.least_retrieve, rows.rule
        ));
    }
    if rows.other_steps > 0 {
        warnings.push(format!("{} rows of steps that are no DHT operation are left out", rows.other_steps));
    }
    let left_out = collected.now.groups.left_out() + collected.traced.hits.left_out();
    if left_out > 0 {
        warnings.push(format!("{left_out} values of more fleets and regions than one report keeps apart are left out"));
    }
    warnings
}
