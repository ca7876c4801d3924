use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;

use crate::feed_tree::Tree;
use crate::genesis::Policy;
use crate::item::Feed;
use crate::outcome::Refusal;
use crate::town::{Town, feed, signed_feed};
use crate::transaction::Transaction;
use crate::transaction::plan::{FeedUpdate, Feeds, VersionDraft};

fn publish(town: &mut Town, draft: crate::transaction::plan::FeedDraft) -> Result<Vec<u64>, Refusal> {
    town.say(1, Transaction::PublishFeeds(Feeds { feeds: vec![draft] }))
}

/// S13, S25, S26: one entry for a key, a signed version for each length.
#[test]
fn s26_versions_are_signed_by_the_feed() {
    let mut town = Town::new(Policy::default());
    let publisher = town.register(1);
    let draft = feed(&town, 50, 10);
    let id = publish(&mut town, draft.clone()).unwrap()[0];
    assert!(town.happened("FeedPublished"));
    assert_eq!(town.state().feed_by_key.get(&draft.key), Some(&id));
    let longer = feed(&town, 50, 25);
    // The same version again, and a longer one, of the same feed: no new entry.
    assert_eq!(publish(&mut town, draft.clone()), Ok(vec![]));
    assert_eq!(publish(&mut town, longer.clone()), Ok(vec![]));
    let item = town.state().item::<Feed>(id).unwrap();
    assert_eq!((item.publisher, item.length()), (publisher, 25));
    assert_eq!(item.versions[&25].signature, longer.version.signature);
    for (what, wrong) in [
        ("bytes", VersionDraft { bytes: 1, ..longer.version.clone() }),
        ("another length", VersionDraft { length: 26, ..longer.version.clone() }),
        ("no length", VersionDraft { length: 0, ..longer.version.clone() }),
        ("too long", VersionDraft { length: 1 << 49, ..longer.version.clone() }),
        ("another root", VersionDraft { root: Bytes([1; 32]), ..longer.version.clone() }),
    ] {
        let update = FeedUpdate { feed: id, version: wrong };
        assert!(town.say(1, Transaction::UpdateFeed(update)).is_err(), "{what}");
    }
    // Signed, but with fewer bytes than a shorter version.
    let shrunk = signed_feed(&town, 50, VersionDraft { length: 30, bytes: 9000, ..draft.version });
    let refused = town.say(1, Transaction::UpdateFeed(FeedUpdate { feed: id, version: shrunk.version }));
    assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
}

/// S31: a signed root can be corrected, and whoever kept the old signature cannot undo that.
#[test]
fn s31_a_corrected_root_stays_corrected() {
    let mut town = Town::new(Policy::default());
    town.register(1);
    let right = feed(&town, 50, 10);
    let wrong = signed_feed(&town, 50, VersionDraft { root: Bytes([9; 32]), ..right.version.clone() });
    let id = publish(&mut town, wrong.clone()).unwrap()[0];
    town.say(1, Transaction::UpdateFeed(FeedUpdate { feed: id, version: right.version.clone() })).unwrap();
    assert!(town.happened("feedCorrected"));
    for old in [wrong.version, right.version.clone()] {
        let again = town.say(1, Transaction::UpdateFeed(FeedUpdate { feed: id, version: old }));
        assert!(matches!(again, Err(Refusal::Exists { .. })), "{again:?}");
    }
    assert_eq!(town.state().item::<Feed>(id).unwrap().versions[&10].root, right.version.root);
    assert_eq!(town.state().storage().versions(id).len(), 2);
}

/// Every version is a copy of the feed for good: there is a bounded number of them, and of corrections of each.
#[test]
fn versions_and_corrections_of_a_feed_are_bounded() {
    let mut town = Town::new(Policy::default());
    town.register(1);
    let right = feed(&town, 50, 10);
    let id = publish(&mut town, right.clone()).unwrap()[0];
    let root = |number: u64| crate::state::hash_for_tests(number);
    let say = |town: &mut Town, drafts: Vec<VersionDraft>| -> Vec<Result<Vec<u64>, Refusal>> {
        let signed =
            |draft| Transaction::UpdateFeed(FeedUpdate { feed: id, version: signed_feed(town, 50, draft).version });
        let updates: Vec<Transaction> = drafts.into_iter().map(signed).collect();
        let entries = updates.iter().map(|update| town.seal(1, update)).collect();
        town.block(entries)
    };
    let corrections = (1..=16).map(|number| VersionDraft { root: root(number), ..right.version.clone() });
    let results = say(&mut town, corrections.collect());
    assert!(results[..15].iter().all(Result::is_ok), "{results:?}");
    assert!(matches!(results[15], Err(Refusal::TooMany { limit: 16, .. })));
    let longer = (11..=266).map(|length| VersionDraft { length, ..right.version.clone() });
    let results = say(&mut town, longer.collect());
    assert!(results[..255].iter().all(Result::is_ok), "{results:?}");
    assert!(matches!(results[255], Err(Refusal::TooMany { limit: 256, .. })));
}

/// S27, S28, S30: proofs fill the sizes, two versions give a range.
#[test]
fn s27_sizes_come_from_versions_and_proofs() {
    let mut town = Town::new(Policy::default());
    town.register(1);
    let (short, long) = (feed(&town, 50, 8), feed(&town, 50, 20));
    let id = publish(&mut town, short).unwrap()[0];
    publish(&mut town, long).unwrap();
    let mut state = town.state().clone();
    assert_eq!(state.range_bytes(id, 8, 19), Some(12_000));
    assert_eq!(state.range_bytes(id, 0, 7), Some(8000));
    assert_eq!(state.range_bytes(id, 3, 3), None);
    let tree = Tree::of_chunks((0..20_u8).map(|chunk| vec![chunk; 1000]));
    let mut proof = tree.proof(3, 20).unwrap();
    let sizes = state.verify_chunk(id, 20, 3, &proof).unwrap().unwrap();
    state.learn_sizes(id, &sizes);
    state.keep();
    assert_eq!(state.range_bytes(id, 3, 3), Some(1000));
    assert_eq!(state.range_bytes(id, 2, 3), Some(2000));
    // The same sizes need not be sent again.
    proof.siblings.iter_mut().chain(&mut proof.peaks).for_each(|node| node.bytes = None);
    assert_eq!(state.verify_chunk(id, 20, 3, &proof).unwrap(), Ok(sizes));
    assert!(state.verify_chunk(id, 20, 4, &proof).unwrap().is_err());
    assert!(state.verify_chunk(id, 21, 3, &proof).is_err());
    state.learn_sizes(id, &BTreeMap::new());
}
