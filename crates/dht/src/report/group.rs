//! What is kept of the rows while they are read: slices of time, not rows.

use std::collections::BTreeMap;

use peermark_judge::{Latencies, TimeSlices};

/// First width of a slice; it doubles as time runs on.
const FIRST_WIDTH_NS: u64 = 1_000_000_000;

/// Most groups of one kind that are kept apart: what one report can say, and what memory holds.
const MAX_GROUPS: usize = 256;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Provide,
    Retrieve,
}

impl What {
    pub(super) const ALL: [Self; 2] = [Self::Provide, Self::Retrieve];

    pub(super) fn of(is_provide: bool) -> Self {
        if is_provide { Self::Provide } else { Self::Retrieve }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provide => "provide",
            Self::Retrieve => "retrieve",
        }
    }
}

/// Latencies of one thing in slices of time.
#[derive(Clone, Debug)]
pub(super) struct Values {
    slices: TimeSlices,
    longest_ns: u64,
}

impl Values {
    fn starting_at(at_ns: u64) -> Self {
        Self { slices: TimeSlices::new(at_ns, FIRST_WIDTH_NS), longest_ns: 0 }
    }

    /// Counts a success that took `value_ns`, or a failure.
    pub(super) fn record(&mut self, at_ns: u64, value_ns: Option<u64>) {
        match value_ns {
            Some(value_ns) => {
                self.slices.record(at_ns, value_ns);
                self.longest_ns = self.longest_ns.max(value_ns);
            }
            None => self.slices.fail(at_ns),
        }
    }

    pub(super) fn slices(&self) -> &[peermark_judge::Slice] {
        self.slices.as_slice()
    }

    pub(super) fn n(&self) -> u64 {
        self.slices().iter().map(peermark_judge::Slice::count).sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.slices().iter().map(|slice| slice.censored).sum()
    }

    pub(super) fn longest_ns(&self) -> u64 {
        self.longest_ns
    }

    pub(super) fn latencies(&self, deadline_ns: u64) -> Latencies {
        Latencies::new(self.slices(), deadline_ns)
    }
}

/// Values by a key, at most [`MAX_GROUPS`] keys; what comes with more is counted and left out.
#[derive(Clone, Debug)]
pub(super) struct Groups<K> {
    by_key: BTreeMap<K, Values>,
    left_out: u64,
}

impl<K: Ord> Groups<K> {
    pub(super) fn record(&mut self, key: K, at_ns: u64, value_ns: Option<u64>) {
        if self.by_key.len() >= MAX_GROUPS && !self.by_key.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        self.by_key.entry(key).or_insert_with(|| Values::starting_at(at_ns)).record(at_ns, value_ns);
    }

    pub(super) fn get(&self, key: &K) -> Option<&Values> {
        self.by_key.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Values)> {
        self.by_key.iter()
    }

    /// Values that were left out because there are too many keys.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), left_out: 0 }
    }
}

/// How often each text was seen, at most 200 different ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    counts: BTreeMap<String, u64>,
}

impl Texts {
    const MOST: usize = 200;
    const LONGEST: usize = 120;
    const OTHERS: &str = "(others)";

    pub(super) fn count(&mut self, text: &str) {
        let cut: String = text.chars().take(Self::LONGEST).collect();
        let known = self.counts.len() < Self::MOST || self.counts.contains_key(&cut);
        *self.counts.entry(if known { cut } else { Self::OTHERS.to_owned() }).or_default() += 1;
    }

    /// Most frequent first.
    pub(super) fn ranked(&self) -> Vec<(&str, u64)> {
        let mut ranked: Vec<(&str, u64)> = self.counts.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_groups_are_bounded() {
        let mut texts = Texts::default();
        (0..1_000).for_each(|index| texts.count(&format!("error {index}")));
        assert_eq!(texts.ranked().len(), Texts::MOST + 1);
        assert_eq!(texts.ranked()[0], (Texts::OTHERS, 800));

        let mut groups = Groups::default();
        (0..300).for_each(|key| groups.record(key, 5, Some(7)));
        groups.record(3, 9, None);
        assert_eq!((groups.iter().count(), groups.left_out()), (MAX_GROUPS, 44));
        let three = groups.get(&3).expect("is there");
        assert_eq!((three.n(), three.failed(), three.longest_ns()), (2, 1, 7));
    }
}
