//! Names with dense numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// A list that knows the number of everything in it. Numbers are given once and never change. Encoded as the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "Vec<T>",
    into = "Vec<T>",
    bound(serialize = "T: Ord + Clone + Serialize", deserialize = "T: Ord + Clone + Deserialize<'de>")
)]
pub(super) struct Register<T: Ord + Clone> {
    items: Vec<T>,
    numbers: BTreeMap<T, u32>,
}

impl<T: Ord + Clone> Default for Register<T> {
    fn default() -> Self {
        Self { items: Vec::new(), numbers: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> From<Vec<T>> for Register<T> {
    fn from(items: Vec<T>) -> Self {
        let mut register = Self::default();
        for item in items {
            register.number(item);
        }
        register
    }
}

impl<T: Ord + Clone> From<Register<T>> for Vec<T> {
    fn from(register: Register<T>) -> Self {
        register.items
    }
}

impl<T: Ord + Clone> Register<T> {
    /// Gives everything that is new its number, in the order of the items, whatever order they come in.
    pub(super) fn admit(&mut self, items: impl Iterator<Item = T>) {
        let new: BTreeSet<T> = items.filter(|item| !self.numbers.contains_key(item)).collect();
        for item in new {
            self.number(item);
        }
    }

    /// The number of an item, which is given to it where it has none.
    pub(super) fn number(&mut self, item: T) -> u32 {
        if let Some(number) = self.find(&item) {
            return number;
        }
        // More than 2^32 names do not fit into what is measured in all epochs of a case.
        let number = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(item.clone());
        self.numbers.insert(item, number);
        number
    }

    /// The number of an item.
    pub(super) fn find(&self, item: &T) -> Option<u32> {
        self.numbers.get(item).copied()
    }

    /// The number of an item that was admitted.
    pub(super) fn known(&self, item: &T) -> u32 {
        self.find(item).unwrap_or(0)
    }

    /// The item of a number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.items.get(number as usize)
    }

    /// Every item by number.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// Items between two, in their order, with their numbers.
    pub(super) fn within(&self, range: RangeInclusive<T>) -> impl Iterator<Item = (u32, &T)> {
        self.numbers.range(range).map(|(item, number)| (*number, item))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

impl Register<String> {
    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> &str {
        self.get(number).map_or("", String::as_str)
    }
}
