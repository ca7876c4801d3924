//! When a record could be found from every region: provides and retrievals of one key, put together.
//!
//! Both ends are wall clock stamps of measuring nodes, so the skew of their clocks is in it; and lookups begin only after the provide
//! has returned, so it is an upper bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peermark_store::dht::Trace;

/// Most keys that are followed.
const MAX_KEYS: usize = 100_000;

struct Published {
    fleet: String,
    region: String,
    started_ms: u64,
    /// When it was first found, by region.
    found_ms: BTreeMap<String, u64>,
}

/// Records that were published and looked for.
#[derive(Default)]
pub(super) struct Visible {
    by_key: HashMap<Vec<u8>, Published>,
    /// Regions that looked for records.
    regions: BTreeSet<String>,
}

/// A record that was found from everywhere.
pub(super) struct Seen<'a> {
    pub(super) fleet: &'a str,
    pub(super) started_ms: u64,
    pub(super) after_ns: u64,
}

impl Visible {
    /// Takes a trace, in the order of their starts.
    pub(super) fn count(&mut self, trace: &Trace) {
        if trace.kind == "dht.provide" {
            if trace.error.is_empty() && self.by_key.len() < MAX_KEYS {
                let published = Published {
                    fleet: trace.fleet.clone(),
                    region: trace.region.clone(),
                    started_ms: trace.started_wall_ms,
                    found_ms: BTreeMap::new(),
                };
                self.by_key.entry(trace.key.clone()).or_insert(published);
            }
            return;
        }
        if self.regions.len() < 1_000 {
            self.regions.insert(trace.region.clone());
        }
        if trace.hit == "remote"
            && let Some(published) = self.by_key.get_mut(&trace.key)
        {
            let ended_ms = trace.started_wall_ms.saturating_add(trace.duration_ns / 1_000_000);
            let first = published.found_ms.entry(trace.region.clone()).or_insert(ended_ms);
            *first = (*first).min(ended_ms);
        }
    }

    /// Records that were found from every region that looks for records, the publisher's own excepted; in the order of time.
    pub(super) fn seen(&self) -> Vec<Seen<'_>> {
        let mut seen: Vec<Seen<'_>> = self.by_key.values().filter_map(|published| self.seen_of(published)).collect();
        seen.sort_by_key(|seen| seen.started_ms);
        seen
    }

    fn seen_of<'a>(&self, published: &'a Published) -> Option<Seen<'a>> {
        let mut others = self.regions.iter().filter(|region| **region != published.region);
        let everywhere = others.all(|region| published.found_ms.contains_key(region));
        let last_ms = *published.found_ms.values().max()?;
        let after_ns = last_ms.saturating_sub(published.started_ms).saturating_mul(1_000_000);
        everywhere.then_some(Seen { fleet: &published.fleet, started_ms: published.started_ms, after_ns })
    }
}
