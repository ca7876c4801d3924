//! What counts as one voice: groups of attesters, and the attesters in each.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::register::Register;

/// Labels (address prefixes or operators), attesters, and which of them belong together.
///
/// One attester is one voice, whatever labels it is seen with: all labels of an attester are one group from then on, and so are all attesters
/// of a label. A group has the lowest number of its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Groups {
    labels: Register<String>,
    attesters: Register<String>,
    /// The group of every label.
    groups: Vec<u32>,
    /// The group of every attester.
    of_attesters: Vec<u32>,
}

impl Groups {
    /// Takes attesters with the labels that they are seen with. Returns which groups from before turned out to be one: from which to
    /// which.
    pub(super) fn admit(&mut self, seen: &BTreeSet<(&str, String)>) -> BTreeMap<u32, u32> {
        let before = self.groups.clone();
        self.labels.admit(seen.iter().map(|(_, label)| label.clone()));
        self.groups.extend(before.len() as u32..self.labels.len() as u32);
        let mut homes: BTreeMap<&str, u32> = BTreeMap::new();
        for (attester, label) in seen {
            let label = self.labels.known(label);
            let known = self.attesters.find(&(*attester).to_owned());
            let home = known.and_then(|attester| self.of_attesters.get(attester as usize).copied());
            let home = *homes.entry(attester).or_insert(home.unwrap_or(label));
            self.unite(home, label);
        }
        self.attesters.admit(homes.keys().map(|attester| (*attester).to_owned()));
        self.of_attesters.resize(self.attesters.len(), 0);
        for (attester, home) in homes {
            let attester = self.attesters.known(&attester.to_owned());
            if let Some(group) = self.of_attesters.get_mut(attester as usize) {
                *group = home;
            }
        }
        if self.groups != before {
            for label in 0..self.groups.len() {
                self.groups[label] = self.root(label as u32);
            }
        }
        let Self { groups, of_attesters, .. } = self;
        for group in of_attesters {
            *group = groups.get(*group as usize).copied().unwrap_or(*group);
        }
        before.into_iter().map(|old| (old, self.now(old))).filter(|(old, now)| old != now).collect()
    }

    /// Disjoint sets: a group leads to a lower one of its set, and the lowest to itself.
    fn unite(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        self.groups[one.max(other) as usize] = one.min(other);
    }

    fn root(&mut self, group: u32) -> u32 {
        let mut group = group as usize;
        while self.groups[group] as usize != group {
            // Halves the way for whoever comes next.
            self.groups[group] = self.groups[self.groups[group] as usize];
            group = self.groups[group] as usize;
        }
        group as u32
    }

    /// The group of which a group or a label is a part now.
    pub(super) fn now(&self, group: u32) -> u32 {
        self.groups.get(group as usize).copied().unwrap_or(group)
    }

    /// The number of an attester that was admitted, and its group.
    pub(super) fn of_attester(&self, attester: &String) -> (u32, u32) {
        let attester = self.attesters.known(attester);
        (attester, self.of_attesters.get(attester as usize).copied().unwrap_or(0))
    }

    /// The group of every attester.
    pub(super) fn of_attesters(&self) -> &[u32] {
        &self.of_attesters
    }

    /// How many attesters there are.
    pub(super) fn attesters(&self) -> usize {
        self.attesters.len()
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        (0..).zip(&self.groups).filter(|(label, group)| label == *group).count()
    }

    /// A group's name: its first label.
    pub(super) fn name(&self, group: u32) -> &str {
        self.labels.name(group)
    }

    /// The names of a group's attesters.
    pub(super) fn members(&self, group: u32) -> impl Iterator<Item = &String> {
        self.attesters.iter().zip(&self.of_attesters).filter(move |(_, of)| **of == group).map(|(name, _)| name)
    }
}
