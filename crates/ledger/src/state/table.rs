//! Rows that remember what a transaction changed, so that it can be taken back, and what a block changed, so that it can be hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hashing::Hashing;

/// An ordered map whose changes can be taken back until it is told to keep them.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// What was there before each change since the last [`Self::keep`], oldest first.
    undo: Vec<(K, Option<V>)>,
    /// Keys that changed since the last [`Self::hash_into`].
    changed: BTreeSet<K>,
    /// Keys that had changed at the last [`Self::hash_into`].
    hashed: BTreeSet<K>,
}

impl<K: Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), undo: Vec::new(), changed: BTreeSet::new(), hashed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The row of this key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Whether there is a row of this key.
    pub fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// Writes a row and hands back what was there.
    pub fn put(&mut self, key: K, value: V) -> Option<V> {
        let before = self.rows.insert(key.clone(), value);
        self.undo.push((key, before.clone()));
        before
    }

    /// Removes a row and hands it back.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let before = self.rows.remove(key)?;
        self.undo.push((key.clone(), Some(before.clone())));
        Some(before)
    }

    /// Changes a row in place by `change`; `false` where there is none.
    pub fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        let Some(row) = self.rows.get_mut(key) else { return false };
        self.undo.push((key.clone(), Some(row.clone())));
        change(row);
        true
    }

    /// All rows in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + '_ {
        self.rows.iter()
    }

    /// The rows of a range of keys, in order.
    pub fn range(&self, keys: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> + '_ {
        self.rows.range(keys)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps every change made so far.
    pub(crate) fn keep(&mut self) {
        self.changed.extend(self.undo.drain(..).map(|(key, _)| key));
    }

    /// Takes back every change since the last [`Self::keep`].
    pub(crate) fn take_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

impl<K: Ord + Clone + Serialize, V: Clone + Serialize> Table<K, V> {
    /// Adds what changed since the last call: every key with its row, or with nothing where it was removed.
    pub(crate) fn hash_into(&mut self, hashing: &mut Hashing) {
        self.hashed = std::mem::take(&mut self.changed);
        hashing.count(self.hashed.len());
        for key in &self.hashed {
            hashing.item(&(key, self.rows.get(key)));
        }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The rows that changed in the last block that was hashed, as they are now; nothing in the place of one that was removed.
    pub(crate) fn changes(&self) -> Vec<(K, Option<V>)> {
        self.hashed.iter().map(|key| (key.clone(), self.rows.get(key).cloned())).collect()
    }

    /// Takes over what changed in another table that this one is a copy of.
    pub(crate) fn absorb(&mut self, changes: Vec<(K, Option<V>)>) {
        for (key, row) in changes {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}

/// Only the rows: a snapshot is taken between blocks.
impl<K: Ord + Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.rows)
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect();
        Ok(Self { rows, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_taken_back_until_they_are_kept() {
        let mut table = Table::default();
        table.put(1, "one");
        table.put(2, "two");
        table.keep();
        table.put(1, "eins");
        table.put(1, "un");
        table.take(&2);
        table.put(3, "three");
        assert!(table.change(&3, |row| *row = "drei"));
        table.take_back();
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&1, &"one"), (&2, &"two")]);
    }

    #[test]
    fn the_hash_is_of_what_changed_and_not_of_how() {
        let hash = |steps: &[(u8, Option<u8>)]| {
            let mut table = Table::default();
            for (key, value) in steps {
                match value {
                    Some(value) => drop(table.put(*key, *value)),
                    None => drop(table.take(key)),
                }
            }
            table.keep();
            let mut hashing = Hashing::new("test");
            table.hash_into(&mut hashing);
            hashing.finish()
        };
        assert_eq!(hash(&[(1, Some(1)), (2, Some(2))]), hash(&[(2, Some(5)), (1, Some(1)), (2, Some(2))]));
        assert_ne!(hash(&[(1, Some(1))]), hash(&[(1, Some(2))]));
        assert_ne!(hash(&[(1, Some(1)), (1, None)]), hash(&[(2, Some(1)), (2, None)]));
    }
}
