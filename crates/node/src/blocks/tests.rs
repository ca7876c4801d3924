use super::*;
use crate::content::{TreeBuilder, digest_of};

const KIB: u64 = 1024;

fn open(location: Location, quota_bytes: u64) -> Blocks {
    Blocks::open(&BlocksConfig { location, quota_bytes, cache_bytes: 64 * KIB }).unwrap()
}

fn block(tag: u64) -> (Digest, Bytes) {
    let bytes: Vec<u8> = tag.to_be_bytes().repeat(128);
    (digest_of(&bytes), bytes.into())
}

fn manifest_of(blocks: &[(Digest, Bytes)]) -> (Digest, Bytes, Manifest) {
    let mut tree = TreeBuilder::default();
    blocks.iter().for_each(|(digest, _)| tree.push(*digest, &mut |_| ()));
    let tree = tree.finish(&mut |_| ()).unwrap();
    let manifest =
        Manifest { tree, block_size: 1024, dataset_size: KIB * blocks.len() as u64, filename: None, mimetype: None };
    let bytes: Bytes = manifest.encode().into();
    (digest_of(&bytes), bytes, manifest)
}

async fn upload(blocks: &Blocks, tags: &[u64]) -> Result<Digest, BlocksError> {
    let data: Vec<_> = tags.iter().map(|tag| block(*tag)).collect();
    let (digest, bytes, manifest) = manifest_of(&data);
    let upload = blocks.begin_upload().await?;
    upload.put(data).await?;
    upload.finish(digest, bytes, manifest).await?;
    Ok(digest)
}

async fn both(test: impl AsyncFn(Blocks)) {
    let directory = tempfile::tempdir().unwrap();
    test(open(Location::Directory(directory.path().into()), 20 * KIB)).await;
    test(open(Location::Memory, 20 * KIB)).await;
}

#[tokio::test]
async fn datasets_share_blocks_and_go_alone() {
    both(async |blocks| {
        let first = upload(&blocks, &[1, 2, 3]).await.unwrap();
        let second = upload(&blocks, &[3, 4]).await.unwrap();
        assert_eq!(upload(&blocks, &[1, 2, 3]).await.unwrap(), first, "the same content twice is one dataset");
        assert_eq!(blocks.manifests(0, 10).await.unwrap().len(), 2);
        assert!(blocks.delete(first).await.unwrap());
        assert!(!blocks.has(block(1).0).await.unwrap());
        assert_eq!(blocks.get(block(3).0).await.unwrap(), Some(block(3).1), "the other dataset still needs it");
        assert!(blocks.delete(second).await.unwrap());
        assert!(!blocks.delete(second).await.unwrap());
        assert_eq!(blocks.counters().count.load(Ordering::Relaxed), 0);
        assert_eq!(blocks.counters().bytes.load(Ordering::Relaxed), 0);
        assert_eq!(blocks.counters().pinned_bytes.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test]
async fn the_quota_evicts_cache_and_refuses_uploads() {
    both(async |blocks| {
        for tag in 100..130 {
            let (digest, bytes) = block(tag);
            blocks.keep(digest, bytes, None).await.unwrap();
        }
        assert!(blocks.counters().bytes.load(Ordering::Relaxed) <= 20 * KIB);
        assert!(blocks.counters().evicted.load(Ordering::Relaxed) >= 10);
        upload(&blocks, &(0..15).collect::<Vec<_>>()).await.unwrap();
        let refused = upload(&blocks, &(50..60).collect::<Vec<_>>()).await;
        assert!(matches!(refused, Err(BlocksError::QuotaFull { .. })), "{refused:?}");
        let (digest, bytes) = block(200);
        blocks.keep(digest, bytes, None).await.unwrap();
        assert_eq!(blocks.manifests(0, 10).await.unwrap().len(), 1, "the refused upload left nothing");
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    both(async |blocks| {
        let upload = blocks.begin_upload().await.unwrap();
        upload.put(vec![block(1), block(2)]).await.unwrap();
        drop(upload);
        // The next write is committed after the removal: the writer takes requests in order.
        let (digest, bytes) = block(9);
        blocks.keep(digest, bytes, None).await.unwrap();
        assert!(!blocks.has(block(1).0).await.unwrap());
        assert_eq!(blocks.counters().count.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_reopening_and_unfinished_uploads_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Directory(directory.path().into());
    let first = open(location.clone(), 100 * KIB);
    let dataset = upload(&first, &[1, 2]).await.unwrap();
    let unfinished = first.begin_upload().await.unwrap();
    unfinished.put(vec![block(7)]).await.unwrap();
    // As after a crash: nobody gets to abort.
    std::mem::forget(unfinished);
    let again = open(location, 100 * KIB);
    assert_eq!(again.manifests(0, 10).await.unwrap()[0].digest, dataset);
    assert_eq!(again.get(block(2).0).await.unwrap(), Some(block(2).1));
    assert!(!again.has(block(7).0).await.unwrap());
    assert_eq!(again.counters().count.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_block_that_rotted_on_disk_reads_as_missing_and_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::Directory(directory.path().into());
    let (digest, bytes) = block(5);
    open(location.clone(), 100 * KIB).keep(digest, bytes, None).await.unwrap();
    let raw = rusqlite::Connection::open(Blocks::file(directory.path())).unwrap();
    raw.execute("UPDATE block SET data = zeroblob(1024)", []).unwrap();
    drop(raw);
    let blocks = open(location, 100 * KIB);
    assert_eq!(blocks.get(digest).await.unwrap(), None);
    assert_eq!(blocks.counters().corrupt.load(Ordering::Relaxed), 1);
    let (other, bytes) = block(6);
    blocks.keep(other, bytes, None).await.unwrap();
    assert!(!blocks.has(digest).await.unwrap());
}

#[test]
fn a_file_that_is_no_store_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        Blocks::file(directory.path()),
        "this is a text, and a long one at that: no database at all".repeat(20),
    )
    .unwrap();
    let config = |location| BlocksConfig { location, quota_bytes: 1, cache_bytes: 1 };
    let error = Blocks::open(&config(Location::Directory(directory.path().into()))).unwrap_err();
    assert!(error.to_string().contains("blocks.db"), "{error}");
    let missing = Location::Directory(directory.path().join("blocks.db").join("below"));
    assert!(matches!(Blocks::open(&config(missing)), Err(BlocksError::Open { .. })));
}
