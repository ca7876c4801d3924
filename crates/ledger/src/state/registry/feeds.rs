//! Feeds and their signed versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::feed_tree::MAX_LENGTH;
use crate::item::feed::Version;
use crate::item::{Feed, Item};
use crate::outcome::Refusal;
use crate::state::State;
use crate::statement::feed_version;
use crate::transaction::plan::{FeedDraft, VersionDraft};
use crate::{Digest, Id, Key};

/// Most versions of a feed: its item is copied with each. A longer life needs another feed.
const MAX_VERSIONS: usize = 256;

/// Most roots that a version ever had: each correction is a copy for good.
const MAX_ROOTS: usize = 16;

impl State {
    /// A new feed, or a version of one that is there: its id.
    pub(super) fn publish_feed(&mut self, user: Id, draft: &FeedDraft) -> Result<Id, Refusal> {
        if let Some(id) = self.feed_by_key.get(&draft.key).copied() {
            let known = self.item::<Feed>(id)?.versions.get(&draft.version.length);
            if known.is_none_or(|known| known.root != draft.version.root) {
                self.add_version(id, &draft.version)?;
            }
            return Ok(id);
        }
        self.check_version(&draft.key, &draft.version)?;
        let version = self.version(&draft.version);
        let id = self.create(Feed {
            key: draft.key,
            publisher: user,
            versions: BTreeMap::from([(draft.version.length, version)]),
            contracts: Vec::new(),
        });
        self.feed_by_key.put(draft.key, id);
        self.emit("FeedPublished", &[id]);
        Ok(id)
    }

    pub(super) fn publish_feeds(&mut self, user: Id, feeds: &[FeedDraft]) -> Result<Vec<Id>, Refusal> {
        self.within_bounds("feeds", feeds.len())?;
        let before = self.storage.len();
        for feed in feeds {
            self.publish_feed(user, feed)?;
        }
        Ok((before..self.storage.len()).collect())
    }

    /// A newer version, or another root of one that is there: the old one was wrong (S31).
    pub(crate) fn add_version(&mut self, id: Id, draft: &VersionDraft) -> Result<Vec<Id>, Refusal> {
        let feed = self.item::<Feed>(id)?;
        self.check_version(&feed.key, draft)?;
        let before = feed.versions.range(..draft.length).next_back().map_or(0, |(_, version)| version.bytes);
        let after = feed.versions.range(draft.length + 1..).next().map_or(u64::MAX, |(_, version)| version.bytes);
        if !(before..=after).contains(&draft.bytes) {
            return Err(Refusal::invalid("bytes", format!("{} is not within {before} and {after}", draft.bytes)));
        }
        let known = feed.versions.get(&draft.length);
        if known.is_none() && feed.versions.len() >= MAX_VERSIONS {
            let limit = MAX_VERSIONS as u64;
            return Err(Refusal::TooMany { what: "versions of a feed".into(), found: limit + 1, limit });
        }
        let corrected = known.is_some();
        let roots = self.roots_of(id, draft.length);
        if roots.contains(&draft.root) {
            // A signature never ends, so without this whoever kept one could undo a correction.
            return Err(Refusal::Exists { what: "this root of this version, or one that replaced it,".into() });
        }
        if roots.len() >= MAX_ROOTS {
            let (found, limit) = (roots.len() as u64 + 1, MAX_ROOTS as u64);
            return Err(Refusal::TooMany { what: "roots of a version of a feed".into(), found, limit });
        }
        let version = self.version(draft);
        self.change::<Feed>(id, |feed| _ = feed.versions.insert(draft.length, version))?;
        if corrected {
            self.forget_sizes(id);
            self.emit_with("feedCorrected", &[id], format!("length {}", draft.length));
        } else {
            self.emit_with("feedUpdated", &[id], format!("length {}", draft.length));
        }
        Ok(vec![])
    }

    /// All roots that a length of a feed ever had.
    fn roots_of(&self, id: Id, length: u64) -> BTreeSet<Digest> {
        let root = |item: &Item| match item {
            Item::Feed(feed) => feed.versions.get(&length).map(|version| version.root),
            _ => None,
        };
        self.storage.versions(id).iter().flatten().filter_map(|item| root(item)).collect()
    }

    /// Sizes that were proven under a root which was wrong may be wrong too.
    fn forget_sizes(&mut self, feed: Id) {
        let nodes: Vec<_> = self.node_sizes.range((feed, 0)..=(feed, u64::MAX)).map(|(key, _)| *key).collect();
        for node in nodes {
            self.node_sizes.take(&node);
        }
    }

    fn check_version(&self, key: &Key, version: &VersionDraft) -> Result<(), Refusal> {
        if !(1..=MAX_LENGTH).contains(&version.length) {
            return Err(Refusal::invalid("length", format!("not within 1 and {MAX_LENGTH} chunks")));
        }
        let statement = feed_version(&self.genesis.network(), key, version);
        if statement.is_signed(key, &version.signature) { Ok(()) } else { Err(Refusal::Signature) }
    }

    fn version(&self, draft: &VersionDraft) -> Version {
        Version { root: draft.root, bytes: draft.bytes, signature: draft.signature, at: self.height }
    }
}
