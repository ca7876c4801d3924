//! Sealed records beside their observations.

use peermark_core::Histogram;
use peermark_core::sealed::{Draft, NO_PREVIOUS, Sealed, SigningKey, Value};
use peermark_store::{
    ChainId, ChainKey, MAX_RECORD_PAGE_BYTES, NewRecord, Observed, OpenOptions, Prune, RecordFilter, RecordMeta,
    RecordPage, Rollup, SeriesId, Store, StoreError,
};

use crate::fixture::{environment, run, sample, series, store_with_series, tamper};

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

async fn chain(store: &Store) -> ChainId {
    store.chain(&ChainKey { domain: "test".into(), network: "lab".into(), signer: key().public() }).await.unwrap()
}

fn sealed(seq: u64, text: &str) -> Sealed {
    let previous = if seq == 1 { NO_PREVIOUS } else { [seq as u8; 32] };
    let payload =
        Value::map([("text", text.into()), ("names", "of members that every record of the topic has".into())]);
    Sealed::seal(&key(), Draft { domain: "test".into(), network: "lab".into(), sequence: seq, previous, payload })
        .unwrap()
}

fn meta<'m>(seq: u64, topic: &'m str, status: &'m str) -> RecordMeta<'m> {
    RecordMeta { seq, kind: "said", topic, status, ended_ms: 1_000 * seq }
}

/// Twenty records of two topics; every fifth without an observation.
async fn fill(store: &Store, chain: ChainId, series: SeriesId) -> Vec<Sealed> {
    let records: Vec<Sealed> = (1..=20).map(|seq| sealed(seq, &format!("record {seq}"))).collect();
    let new: Vec<NewRecord<'_>> = records
        .iter()
        .map(|record| {
            let seq = record.sequence();
            let topic = if seq % 2 == 0 { "even" } else { "odd" };
            let observed = (seq % 5 != 0).then(|| Observed { series, sample: sample(seq) });
            NewRecord {
                meta: meta(seq, topic, if seq % 4 == 0 { "failed" } else { "ok" }),
                sealed: record.bytes(),
                observed,
            }
        })
        .collect();
    store.put_records(chain, &new).await.unwrap();
    records
}

#[tokio::test]
async fn records_read_back_in_every_order() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, series) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    assert_eq!(store.head(id).await.unwrap(), None);
    let records = fill(&store, id, series).await;
    store.close().await;
    let store = Store::open_with(&path, OpenOptions { small: true, max_bytes: None }).await.unwrap();
    assert_eq!(chain(&store).await, id);
    let read = async |filter, limit| store.records(id, filter, limit).await.unwrap();
    let all = read(RecordFilter::From(0), 100).await;
    assert!(all.iter().map(|record| &record.sealed[..]).eq(records.iter().map(Sealed::bytes)));
    assert!(all.iter().all(|record| record.series.is_some() == (record.seq % 5 != 0)));
    let seqs = |records: Vec<peermark_store::StoredRecord>| records.iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(seqs(read(RecordFilter::From(7), 3).await), [7, 8, 9]);
    assert_eq!(seqs(read(RecordFilter::Newest { topic: "even", status: "ok" }, 2).await), [18, 14]);
    assert_eq!(seqs(read(RecordFilter::Since { topic: "odd", ended_ms: 14_500 }, 2).await), [19, 17]);
    assert!(read(RecordFilter::Since { topic: "none", ended_ms: 0 }, 2).await.is_empty());
    assert_eq!(store.topics(id).await.unwrap(), ["even", "odd"]);
    assert_eq!(store.head(id).await.unwrap(), Some((20, records[19].hash())));
    assert_eq!(store.count_records(id, "odd", 15_000).await.unwrap(), 3);
    assert_eq!(store.observation(series, 6).await.unwrap(), Some(sample(6)));
    assert_eq!(store.observation(series, 5).await.unwrap(), None);
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn records_and_observations_are_there_together_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, series) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    let (one, two) = (sealed(1, "one"), sealed(2, "two"));
    let observed = |seq| Some(Observed { series, sample: sample(seq) });
    let first = NewRecord { meta: meta(1, "t", "ok"), sealed: one.bytes(), observed: observed(1) };
    store.put_record(id, &first).await.unwrap();
    // The second of the batch is there already, so the first is not stored.
    let second = NewRecord { meta: meta(2, "t", "ok"), sealed: two.bytes(), observed: observed(2) };
    let batch = [second, NewRecord { observed: None, ..first }];
    let error = store.put_records(id, &batch).await.unwrap_err();
    assert!(matches!(error, StoreError::RecordAlreadyStored { seq: 1, .. }), "{error:?}");
    assert_eq!(store.observation(series, 2).await.unwrap(), None);
    assert_eq!(store.head(id).await.unwrap().unwrap().0, 1);

    let nowhere = Some(Observed { series: SeriesId(99), sample: sample(2) });
    let error = store.put_record(id, &NewRecord { observed: nowhere, ..batch[0] }).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchSeries { .. }), "{error:?}");
    let error = store.put_record(ChainId(99), &batch[0]).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchChain { chain: 99 }), "{error:?}");
    let long = vec![0; 65_536];
    let error = store.put_record(id, &NewRecord { sealed: &long, ..batch[0] }).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLong { what: "record", .. }), "{error:?}");
    store.put_record(id, &batch[0]).await.unwrap();
}

#[tokio::test]
async fn pruning_is_one_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, series) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    fill(&store, id, series).await;
    let mut histogram = Histogram::new();
    histogram.record(5);
    let rollups = [Rollup { series, t0_ns: 0, t1_ns: 10, class: None, histogram }];
    let prune = |keep: &'static [u64], seq, retire_before_ns| Prune {
        chain: id,
        upto: 10,
        ever_upto: 12,
        keep,
        run: "r1",
        rollups: &rollups,
        retire_before_ns,
        meta: meta(seq, "pruned", ""),
    };
    let old = store.old_records(id, 10, 100).await.unwrap();
    assert_eq!(old.len(), 10);
    assert!(old.iter().all(|old| old.observed == (old.seq % 5 != 0).then(|| (series, sample(old.seq)))));

    // Whoever cannot sign has changed nothing.
    let error = store.prune(&prune(&[4], 21, 0), |_| Err(StoreError::NoSuchObservation)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSuchObservation));
    assert_eq!(store.old_records(id, 10, 100).await.unwrap(), old);
    assert_eq!(store.rollup_digest("r1").await.unwrap().0, 0);

    let said = |text| Ok::<_, StoreError>(sealed(21, text).bytes().to_vec());
    let pruned = store.prune(&prune(&[4], 21, 0), |_| said("pruned")).await.unwrap();
    assert_eq!((pruned.records, pruned.rollups), (9, 1));
    assert_eq!(pruned.kept, [4, 11, 12], "what is left of all that ever could have gone");
    assert_eq!(store.rollup_digest("r1").await.unwrap(), (1, pruned.digest));
    assert_eq!(store.head(id).await.unwrap().unwrap().0, 21);
    let left = store.old_records(id, 10, 100).await.unwrap();
    assert_eq!(left.iter().map(|old| old.seq).collect::<Vec<_>>(), [4]);
    assert_eq!(store.observation(series, 4).await.unwrap(), Some(sample(4)));
    assert_eq!(store.observation(series, 3).await.unwrap(), None);

    // The second adds to the same slice, and goes when it is old.
    let again =
        store.prune(&prune(&[], 22, 0), |_| Ok::<_, StoreError>(sealed(22, "again").bytes().to_vec())).await.unwrap();
    assert_eq!((again.records, again.rollups), (1, 1));
    assert_ne!(again.digest, pruned.digest);
    assert_eq!(store.hists(series, 0..100).await.unwrap()[0].histogram.len(), 2);
    store.prune(&prune(&[], 23, 10), |_| Ok::<_, StoreError>(sealed(23, "old").bytes().to_vec())).await.unwrap();
    assert_eq!(store.rollup_digest("r1").await.unwrap().0, 0);
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn what_is_old_is_told_by_age_whatever_one_clock_said() {
    let store = Store::open_memory().await.unwrap();
    let id = chain(&store).await;
    assert_eq!(store.records_before(id, 100, 200).await.unwrap(), None);
    for (seq, ended_ms) in [(1, 50), (2, 9_999), (3, 60), (4, 150), (5, 70), (6, 160)] {
        let sealed = sealed(seq, "x");
        let meta = RecordMeta { ended_ms, ..meta(seq, "t", "ok") };
        store.put_record(id, &NewRecord { meta, sealed: sealed.bytes(), observed: None }).await.unwrap();
    }
    assert_eq!(store.records_before(id, 40, 200).await.unwrap(), None);
    assert_eq!(store.records_before(id, 100, 200).await.unwrap(), Some(3));
    assert_eq!(store.records_before(id, 155, 200).await.unwrap(), Some(5));
    assert_eq!(store.records_before(id, 300, 400).await.unwrap(), Some(6), "all of them");
}

#[tokio::test]
async fn like_records_take_little_room_and_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, _) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    let text = "the same words in every record, as results of one task have them; ".repeat(15);
    for seq in 1..=200 {
        let sealed = sealed(seq, &format!("{text}{seq}"));
        store
            .put_record(id, &NewRecord { meta: meta(seq, "t", "ok"), sealed: sealed.bytes(), observed: None })
            .await
            .unwrap();
    }
    let size = store.size().await.unwrap();
    let lean = Store::open_memory().await.unwrap().size().await.unwrap().used_bytes;
    assert!(size.used_bytes - lean < 200 * 300, "{size:?}, empty {lean}");
    store.close().await;
    tamper(&path, "UPDATE record SET sealed = x'00' WHERE seq = 7").await;
    let store = Store::open(&path).await.unwrap();
    let error = store.records(id, RecordFilter::From(7), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Row(_)) && format!("{error:?}").contains("seq: 7"), "{error:?}");
    assert!(error.is_damage() && !error.may_pass(), "{error:?}");
    assert_eq!(store.records(id, RecordFilter::From(8), 1000).await.unwrap().len(), 193);
    let rest = store.readable_records(id, RecordFilter::From(1), 1000).await.unwrap();
    assert_eq!((rest.records.len(), rest.unreadable, rest.cut), (199, 1, false));
    store.close().await;
    tamper(&path, "UPDATE record_base SET bytes = x'00'").await;
    let store = Store::open(&path).await.unwrap();
    assert!(matches!(store.head(id).await.unwrap_err(), StoreError::Row(_)));
}

/// Pages end at 4 MiB of what is stored and what was signed, in every order, and go on where they ended.
#[tokio::test]
async fn pages_are_bounded_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store, _) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    // Alike, so that they take little room and would be 12 MB in memory.
    let text = "x".repeat(50_000);
    let records: Vec<Sealed> = (1..=250).map(|seq| sealed(seq, &text)).collect();
    let new: Vec<_> = records
        .iter()
        .map(|record| NewRecord { meta: meta(record.sequence(), "t", "ok"), sealed: record.bytes(), observed: None })
        .collect();
    store.put_records(id, &new).await.unwrap();
    let bytes = |page: &RecordPage| page.records.iter().map(|record| record.sealed.len()).sum::<usize>();
    let filters = [
        (RecordFilter::From(0), 1),
        (RecordFilter::Newest { topic: "t", status: "ok" }, 250),
        (RecordFilter::Since { topic: "t", ended_ms: 0 }, 250),
    ];
    for (filter, first) in filters {
        let page = store.record_page(id, filter, 10_000).await.unwrap();
        assert!(page.cut && page.records[0].seq == first, "{filter:?}");
        assert!((3_900_000..=MAX_RECORD_PAGE_BYTES).contains(&bytes(&page)), "{filter:?}: {}", bytes(&page));
        let few = store.record_page(id, filter, 70).await.unwrap();
        assert!(!few.cut && few.records[..] == page.records[..70], "{filter:?}");
    }
    let (mut from, mut seqs) = (0, Vec::new());
    while let Some(last) = store.records(id, RecordFilter::From(from), 10_000).await.unwrap().last() {
        seqs.extend(from.max(1)..=last.seq);
        from = last.seq + 1;
    }
    assert!(seqs.into_iter().eq(1..=250));
    assert_eq!(store.last_sequence(id).await.unwrap(), 250);
}

/// What may pass and what never does, told apart by what the database really says.
#[tokio::test]
async fn only_what_is_outside_may_pass() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, one) = store_with_series(directory.path()).await;
    let id = chain(&store).await;
    let long = vec![0; 70_000];
    let record = NewRecord { meta: meta(1, "t", "ok"), sealed: &long, observed: None };
    let error = store.put_record(id, &record).await.unwrap_err();
    assert!(!error.may_pass() && !error.is_damage(), "{error:?}");
    let several = [series("r1", "a"), series("r1", "b"), series("none", "c")];
    assert!(matches!(store.add_several_series(&several).await.unwrap_err(), StoreError::NoSuchRun { .. }));
    assert_eq!(store.series_of("r1").await.unwrap().len(), 1, "all or none");
    let ids = store.add_several_series(&several[..2]).await.unwrap();
    assert!(ids[0] > one && ids[1] > ids[0]);
    assert_eq!(store.add_several_series(&several[..2]).await.unwrap(), ids);
    store.close().await;
    let error = store.put_record(id, &record).await.unwrap_err();
    assert!(!error.may_pass() && !error.is_damage(), "{error:?}");
    // The middle of the file is overwritten, its beginning is that of a database.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8_192..].fill(0xee);
    let store = Store::open(&path).await.unwrap();
    std::fs::write(&path, bytes).unwrap();
    let error = store.chain(&ChainKey { domain: "other".into(), network: "lab".into(), signer: key().public() }).await;
    let error = error.unwrap_err();
    assert!(error.is_damage() && !error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn a_store_with_a_bound_is_full_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("small.db");
    let store = Store::open_with(&path, OpenOptions { small: true, max_bytes: Some(400_000) }).await.unwrap();
    store.put_environment(&environment()).await.unwrap();
    store.begin_run(&run("r1", 1)).await.unwrap();
    let series = store.add_series(&series("r1", "block.get")).await.unwrap();
    let mut stored = 0;
    let error = loop {
        let samples: Vec<_> = (stored..stored + 500).map(sample).collect();
        match store.put_observations(series, &samples).await {
            Ok(()) => stored += 500,
            Err(error) => break error,
        }
        assert!(stored < 100_000, "it is never full");
    };
    assert!(error.is_full(), "{error:?}");
    assert_eq!(store.observations(series, 0..u64::MAX, u32::MAX).await.unwrap().len() as u64, stored);
    assert!(store.size().await.unwrap().file_bytes <= 400_000);
    store.delete_run("r1").await.unwrap();
    store.begin_run(&run("r2", 1)).await.unwrap();
}
