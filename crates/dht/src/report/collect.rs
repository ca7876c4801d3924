//! Reads rows and traces in pages and keeps sums of them.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::Histogram;
use peermark_store::StoreError;
use peermark_store::dht::{DhtStore, MAX_TRACES, Measured, MeasuredFilter, SeenNode, Trace};

use super::anatomy::AnatomyTally;
use super::group::{Groups, Texts, What};
use super::options::{ReportOptions, Span};
use super::visible::Visible;

/// Rows of one page.
const PAGE: u32 = 20_000;

/// Fleet, operation, and region; no region for all of them.
pub(super) type Key = (String, What, Option<String>);

/// What the rows of one period say.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) groups: Groups<Key>,
    pub(super) errors: BTreeMap<(String, What), Texts>,
    pub(super) read: u64,
    pub(super) counted: u64,
    /// Of provides and of retrievals.
    pub(super) set_apart: [u64; 2],
    pub(super) other_steps: u64,
}

/// What the traces of one period say.
#[derive(Default)]
pub(super) struct Traced {
    pub(super) n: u64,
    pub(super) hits: Groups<(String, What, String)>,
    pub(super) anatomy: BTreeMap<(String, What), AnatomyTally>,
    pub(super) returned: Groups<String>,
    pub(super) stored: Groups<String>,
    pub(super) stored_peers: BTreeMap<String, Histogram>,
    pub(super) visible: Visible,
}

/// Everything that a report is made of.
pub(super) struct Collected {
    pub(super) is_lab: bool,
    pub(super) regions: BTreeSet<String>,
    /// Fewest peers of rows that count, for provides and for retrievals.
    pub(super) least: (i32, i32),
    pub(super) now: Gathered,
    pub(super) before: Gathered,
    pub(super) traced: Traced,
    /// Whether everything was read.
    pub(super) complete: bool,
}

pub(super) async fn collect(store: &DhtStore, options: &ReportOptions) -> Result<Collected, StoreError> {
    let before = options.span.before();
    let is_lab = is_lab(&store.nodes_since(before.from_ms()).await?, &options.fleets);
    let least = options.rule.least(is_lab);
    let mut budget = options.max_rows;
    let mut regions = BTreeSet::new();
    let mut reader = Reader { store, options, is_lab, least, budget: &mut budget };
    let (now, all_now) = reader.rows(options.span, &mut regions).await?;
    let (before, all_before) = reader.rows(before, &mut BTreeSet::new()).await?;
    let (traced, all_traces) = reader.traces().await?;
    Ok(Collected { is_lab, regions, least, now, before, traced, complete: all_now && all_before && all_traces })
}

/// Whether every server of the fleets is on this machine.
fn is_lab(servers: &[SeenNode], fleets: &[String]) -> bool {
    let mut asked = servers.iter().filter(|seen| fleets.is_empty() || fleets.contains(&seen.node.fleet)).peekable();
    asked.peek().is_some() && asked.all(|seen| seen.node.ip_address.is_loopback())
}

fn filter(options: &ReportOptions, span: Span) -> MeasuredFilter {
    let (from_ms, until_ms) = (span.from_ms(), span.until_ms());
    MeasuredFilter { fleets: options.fleets.clone(), from_ms, until_ms, after: None }
}

struct Reader<'a> {
    store: &'a DhtStore,
    options: &'a ReportOptions,
    is_lab: bool,
    least: (i32, i32),
    budget: &'a mut u64,
}

impl Reader<'_> {
    /// The rows of a period, and whether all of them were read.
    async fn rows(&mut self, span: Span, regions: &mut BTreeSet<String>) -> Result<(Gathered, bool), StoreError> {
        let mut gathered = Gathered::default();
        let mut filter = filter(self.options, span);
        loop {
            let limit = u64::from(PAGE).min(*self.budget) as u32;
            if limit == 0 {
                // Whether anything is left is worth one more question.
                let rest = self.store.measured(&filter, 1).await?;
                return Ok((gathered, rest.is_empty()));
            }
            let page = self.store.measured(&filter, limit).await?;
            *self.budget -= page.len() as u64;
            for measured in &page {
                self.row(measured, span, &mut gathered, regions);
            }
            match page.last() {
                Some(last) if page.len() == limit as usize => filter.after = Some(last.cursor),
                _ => return Ok((gathered, true)),
            }
        }
    }

    fn row(&self, measured: &Measured, span: Span, into: &mut Gathered, regions: &mut BTreeSet<String>) {
        into.read += 1;
        let row = &measured.row;
        let what = What::of(measured.provide);
        if what == What::Provide && !matches!(row.step.as_str(), "" | "provide") {
            into.other_steps += 1;
            return;
        }
        let (least, apart) = match what {
            What::Provide => (self.least.0, &mut into.set_apart[0]),
            What::Retrieve => (self.least.1, &mut into.set_apart[1]),
        };
        if row.rt_size < least {
            *apart += 1;
            return;
        }
        into.counted += 1;
        let at_ns = since_ns(span, row.created_ms);
        let value_ns = row.error.is_none().then_some(row.duration_ns);
        let key = |region| (measured.fleet.clone(), what, region);
        into.groups.record(key(None), at_ns, value_ns);
        if !self.is_lab {
            into.groups.record(key(Some(measured.region.clone())), at_ns, value_ns);
        }
        if regions.len() < 1_000 {
            regions.insert(measured.region.clone());
        }
        if let Some(error) = &row.error {
            into.errors.entry((measured.fleet.clone(), what)).or_default().count(error);
        }
    }

    async fn traces(&self) -> Result<(Traced, bool), StoreError> {
        let mut traced = Traced::default();
        let mut filter = filter(self.options, self.options.span);
        let mut left = self.options.max_traces;
        loop {
            let limit = (MAX_TRACES as u64).min(left.max(1)) as u32;
            let page = self.store.traces_with_cursors(&filter, limit).await?;
            // A page may end early because of its hops: only an empty one says that there are no more.
            let Some((cursor, _)) = page.last() else { return Ok((traced, true)) };
            if left == 0 {
                return Ok((traced, false));
            }
            filter.after = Some(*cursor);
            left = left.saturating_sub(page.len() as u64);
            page.iter().for_each(|(_, trace)| self.trace(trace, &mut traced));
        }
    }

    fn trace(&self, trace: &Trace, into: &mut Traced) {
        let what = What::of(trace.kind == "dht.provide");
        let least = if what == What::Provide { self.least.0 } else { self.least.1 };
        if i64::from(trace.rt_size) < i64::from(least) {
            return;
        }
        into.n += 1;
        let at_ns = since_ns(self.options.span, trace.started_wall_ms);
        // However it ended: this is the time until it was known.
        into.hits.record((trace.fleet.clone(), what, trace.hit.clone()), at_ns, Some(trace.duration_ns));
        into.anatomy.entry((trace.fleet.clone(), what)).or_default().count(trace);
        into.visible.count(trace);
        if what == What::Provide && trace.error.is_empty() {
            into.returned.record(trace.fleet.clone(), at_ns, Some(trace.duration_ns));
            if let Some(stored_ns) = trace.stored_ns {
                into.stored.record(trace.fleet.clone(), at_ns, Some(stored_ns));
                into.stored_peers.entry(trace.fleet.clone()).or_default().record(trace.stored.into());
            }
        }
    }
}

pub(super) fn since_ns(span: Span, at_ms: u64) -> u64 {
    at_ms.saturating_sub(span.from_ms()).saturating_mul(1_000_000)
}
