//! The append-only storage: every entry of every type has a dense id and a history.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hashing::Hashing;
use crate::Id;
use crate::item::Item;

/// Every entry that ever was, by id. Ids begin with 0 and are never given twice; what is deleted leaves a tombstone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Storage {
    /// Versions of each entry, oldest first; `None` is a tombstone.
    entries: Vec<Vec<Option<Arc<Item>>>>,
    /// Ids whose last version was added since the last `keep`, oldest first.
    #[serde(skip)]
    undo: Vec<Id>,
    /// Ids that changed since the last `hash_into`.
    #[serde(skip)]
    changed: BTreeSet<Id>,
    /// Ids that had changed at the last `hash_into`.
    #[serde(skip)]
    hashed: BTreeSet<Id>,
}

impl Storage {
    /// Stores a new entry under the next id.
    pub fn create(&mut self, item: Item) -> Id {
        let id = self.len();
        self.entries.push(vec![Some(Arc::new(item))]);
        self.undo.push(id);
        id
    }

    /// The newest version; `None` of an id that was never given and of what was deleted.
    pub fn get(&self, id: Id) -> Option<&Item> {
        self.versions(id).last()?.as_deref()
    }

    /// All versions, oldest first; `None` among them is a tombstone. Empty for an id that was never given.
    pub fn versions(&self, id: Id) -> &[Option<Arc<Item>>] {
        usize::try_from(id).ok().and_then(|at| self.entries.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Adds a version; `false` where there is nothing under this id.
    pub fn set(&mut self, id: Id, item: Item) -> bool {
        self.add(id, Some(Arc::new(item)))
    }

    /// Deletes an entry: its history stays, its id is not given again. `false` where there is nothing under this id.
    pub fn delete(&mut self, id: Id) -> bool {
        self.add(id, None)
    }

    /// How many ids were given.
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether no id was given.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, id: Id, version: Option<Arc<Item>>) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        let Some(versions) = usize::try_from(id).ok().and_then(|at| self.entries.get_mut(at)) else { return false };
        versions.push(version);
        self.undo.push(id);
        true
    }

    pub(crate) fn keep(&mut self) {
        self.changed.extend(self.undo.drain(..));
    }

    pub(crate) fn take_back(&mut self) {
        while let Some(id) = self.undo.pop() {
            let at = usize::try_from(id).unwrap_or(usize::MAX);
            let Some(versions) = self.entries.get_mut(at) else { continue };
            versions.pop();
            if versions.is_empty() {
                // It was created in this transaction, so it is the last one.
                self.entries.pop();
            }
        }
    }

    pub(crate) fn hash_into(&mut self, hashing: &mut Hashing) {
        self.hashed = std::mem::take(&mut self.changed);
        hashing.count(self.hashed.len());
        for id in &self.hashed {
            hashing.item(&(*id, self.versions(*id).len(), self.get(*id)));
        }
    }

    /// The versions that entries have beyond those of a copy from before the last block.
    pub(crate) fn changes(&self, copy: &Self) -> Vec<(Id, Vec<Option<Arc<Item>>>)> {
        let newer = |id: &Id| self.versions(*id).get(copy.versions(*id).len()..).unwrap_or_default().to_vec();
        self.hashed.iter().map(|id| (*id, newer(id))).collect()
    }

    /// Takes over what changed in the storage that this one is a copy of.
    pub(crate) fn absorb(&mut self, changes: Vec<(Id, Vec<Option<Arc<Item>>>)>) {
        for (id, versions) in changes {
            match usize::try_from(id).ok().and_then(|at| self.entries.get_mut(at)) {
                Some(entry) => entry.extend(versions),
                // Ids are in order, so a new entry is the next.
                None => self.entries.push(versions),
            }
        }
    }
}
