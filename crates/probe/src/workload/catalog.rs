//! What this run uploaded, and who has had it since.
//!
//! Content is *fresh* until something reads it. A cold read takes it from there and leaves it to warm reads; a cross-node fetch takes
//! it from there and leaves it to the other nodes that never had it. No content serves both: a fetch makes the holder read it.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::payload::Payload;

/// Contents that are kept in mind per state. What is uploaded beyond that is not used again.
const MAX_CONTENTS: usize = 100_000;

/// Contents that fetches are spread over, so that they do not all ask for the same one at once.
pub(crate) const FETCH_SPREAD: usize = 64;

/// One uploaded content.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) payload: Payload,
    pub(crate) cid: Arc<str>,
    /// Position of the node that it was uploaded to.
    pub(crate) holder: usize,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    /// Contents that nothing has read.
    pub(crate) fresh: u64,
    /// Pairs of a content and a node that never had it, apart from fresh contents.
    pub(crate) pairs: u64,
    /// Contents that were read on their holder.
    pub(crate) read: u64,
}

#[derive(Debug)]
struct Spreading {
    content: Arc<Content>,
    /// Nodes that never had it, in random order.
    without: Vec<usize>,
}

/// The uploaded contents by what may still be done with them.
#[derive(Debug)]
pub(crate) struct Catalog {
    nodes: usize,
    stream: ChaCha8Rng,
    fresh: Vec<Arc<Content>>,
    spreading: Vec<Spreading>,
    pairs: u64,
    read: Vec<Arc<Content>>,
}

impl Catalog {
    pub(crate) fn new(nodes: usize, stream: ChaCha8Rng) -> Self {
        Self { nodes, stream, fresh: Vec::new(), spreading: Vec::new(), pairs: 0, read: Vec::new() }
    }

    pub(crate) fn stock(&self) -> Stock {
        Stock { fresh: self.fresh.len() as u64, pairs: self.pairs, read: self.read.len() as u64 }
    }

    /// Content was uploaded.
    pub(crate) fn add(&mut self, content: Content) {
        if self.fresh.len() < MAX_CONTENTS {
            self.fresh.push(Arc::new(content));
        }
    }

    /// A content and a node that never had it; they will not be given out again. `None` when there is none.
    pub(crate) fn take_fetch(&mut self) -> Option<(Arc<Content>, usize)> {
        if self.nodes < 2 {
            return None;
        }
        if self.spreading.len() < FETCH_SPREAD
            && let Some(content) = self.take_fresh()
        {
            let without = self.others(content.holder);
            self.pairs += without.len() as u64;
            self.spreading.push(Spreading { content, without });
        }
        let at = self.below(self.spreading.len())?;
        let spreading = &mut self.spreading[at];
        let content = Arc::clone(&spreading.content);
        let fetcher = spreading.without.pop()?;
        self.pairs -= 1;
        if spreading.without.is_empty() {
            self.spreading.swap_remove(at);
        }
        Some((content, fetcher))
    }

    /// A content that nothing has read. From now on it is among those that were.
    pub(crate) fn take_cold(&mut self) -> Option<Arc<Content>> {
        let content = self.take_fresh()?;
        if self.read.len() < MAX_CONTENTS {
            self.read.push(Arc::clone(&content));
        }
        Some(content)
    }

    /// A content that was read before, any number of times.
    pub(crate) fn pick_warm(&mut self) -> Option<Arc<Content>> {
        let at = self.below(self.read.len())?;
        Some(Arc::clone(&self.read[at]))
    }

    fn take_fresh(&mut self) -> Option<Arc<Content>> {
        let at = self.below(self.fresh.len())?;
        Some(self.fresh.swap_remove(at))
    }

    /// All nodes but one, in random order.
    fn others(&mut self, holder: usize) -> Vec<usize> {
        let mut others: Vec<usize> = (0..self.nodes).filter(|node| *node != holder).collect();
        for last in (1..others.len()).rev() {
            let other = (self.stream.next_u64() % (last as u64 + 1)) as usize;
            others.swap(last, other);
        }
        others
    }

    fn below(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| (self.stream.next_u64() % count as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use peermark_core::Seed;

    use super::*;

    fn catalog(nodes: usize, contents: u64) -> Catalog {
        let mut catalog = Catalog::new(nodes, Seed(3).stream("catalog"));
        for id in 0..contents {
            let payload = Payload { seed: Seed(1), id, size: 1 };
            catalog.add(Content { payload, cid: id.to_string().into(), holder: id as usize % nodes });
        }
        catalog
    }

    #[test]
    fn no_node_fetches_what_it_had() {
        let mut catalog = catalog(5, 200);
        let mut seen = HashSet::new();
        while let Some((content, fetcher)) = catalog.take_fetch() {
            assert_ne!(content.holder, fetcher);
            assert!(seen.insert((content.payload.id, fetcher)), "given out twice");
        }
        assert_eq!(seen.len(), 200 * 4);
        assert_eq!(catalog.stock(), Stock { fresh: 0, pairs: 0, read: 0 });
    }

    #[test]
    fn a_lonely_node_has_nobody_to_fetch_from() {
        assert!(catalog(1, 10).take_fetch().is_none());
    }

    #[test]
    fn cold_is_once_and_warm_is_what_was_cold() {
        let mut catalog = catalog(2, 3);
        assert!(catalog.pick_warm().is_none());
        let cold: HashSet<u64> = (0..3).map(|_| catalog.take_cold().unwrap().payload.id).collect();
        assert_eq!(cold.len(), 3);
        assert!(catalog.take_cold().is_none() && catalog.take_fetch().is_none());
        assert!((0..20).all(|_| cold.contains(&catalog.pick_warm().unwrap().payload.id)));
    }
}
