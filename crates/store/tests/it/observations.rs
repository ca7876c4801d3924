//! The file of raw observations: writing, reading, caps, crashes and damage.

mod damage;
mod properties;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peermark_store::observations::{
    FILE_NAME, FileEnd, Labels, Observation, ObservationReader, ObservationWriter, ReadError, WriteError,
    WriterOptions, partial_path,
};

use crate::fixture::{sample, series};

pub(crate) fn labels(kind: &str, op: &str) -> Arc<Labels> {
    Arc::new(Labels { series: series("r1", kind), op: op.into(), phase: "main".into() })
}

/// Rows of two series in turn.
pub(crate) fn rows(seqs: std::ops::Range<u64>) -> Vec<Observation> {
    let both = [labels("block.get", "fetch"), labels("data.put", "upload")];
    let row = |seq: u64| Observation {
        labels: Arc::clone(&both[seq as usize / 3 % 2]),
        sample: sample(seq),
        node: (!seq.is_multiple_of(4)).then_some(seq as u32 % 50),
    };
    seqs.map(row).collect()
}

pub(crate) fn write(path: &Path, batches: Vec<Vec<Observation>>, options: WriterOptions) -> (u64, u64, u64) {
    let writer = ObservationWriter::create(path, "r1", options).unwrap();
    batches.into_iter().for_each(|batch| writer.blocking_send(batch).unwrap());
    let written = writer.blocking_finish().unwrap();
    (written.rows, written.left_out, written.bytes)
}

pub(crate) fn read(path: &Path) -> (Vec<Observation>, Option<FileEnd>) {
    let mut reader = ObservationReader::open(path).unwrap();
    let rows = reader.by_ref().collect::<Result<_, _>>().unwrap();
    (rows, reader.end())
}

pub(crate) fn text(path: &Path) -> String {
    String::from_utf8(zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    (directory, path)
}

#[test]
fn rows_come_back_as_they_went_in() {
    let (_directory, path) = place();
    let batches: Vec<_> = (0..40).map(|batch| rows(batch * 500..(batch + 1) * 500)).collect();
    let (count, left_out, bytes) = write(&path, batches, WriterOptions::default());
    assert_eq!((count, left_out, bytes), (20_000, 0, std::fs::metadata(&path).unwrap().len()));
    assert!(!partial_path(&path).exists());
    let (found, end) = read(&path);
    assert!(found == rows(0..20_000));
    assert_eq!(end, Some(FileEnd::Whole));
}

#[test]
fn the_text_is_a_header_and_one_object_per_row() {
    let (_directory, path) = place();
    write(&path, vec![rows(6..8)], WriterOptions::default());
    let text = text(&path);
    let lines: Vec<&str> = text.lines().collect();
    let header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(header["schema"], "peermark.observations/1");
    assert_eq!(header["run"], "r1");
    let names: Vec<&str> = header["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let fingerprint = crate::fixture::environment().fingerprint();
    let failed = format!(
        "{{\"kind\":\"block.get\",\"class\":\"RAW\",\"observer\":\"lab\",\"subject\":\"network\",\"observer_region\":\"u33\",\
         \"subject_region\":\"\",\"unit\":\"nanoseconds\",\"environment\":\"{fingerprint}\",\"op\":\"fetch\",\"phase\":\"main\",\
         \"seq\":6,\"intended_ns\":6000000,\"started_ns\":6001500,\"ended_ns\":8000006,\"bytes\":65536,\"value\":1999999,\
         \"outcome\":\"timeout\",\"culprit\":\"self\",\"node\":6,\"trace\":{}}}",
        sample(6).trace
    );
    assert_eq!(lines[1], failed);
    assert!(lines[2].contains("\"outcome\":\"ok\",\"culprit\":null,\"node\":7,"), "{}", lines[2]);
    assert_eq!(lines.len(), 3, "no last line where nothing was left out");
    let mut at = 0;
    for name in names {
        at += lines[1][at..].find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} is out of order"));
    }
}

#[test]
fn the_cap_is_kept_and_what_is_left_out_is_counted() {
    let (_directory, path) = place();
    let cap_bytes = 200_000;
    let batches = (0..60).map(|batch| rows(batch * 1000..(batch + 1) * 1000)).collect();
    let (count, left_out, bytes) = write(&path, batches, WriterOptions { cap_bytes, ..WriterOptions::default() });
    assert!(count > 0 && left_out > 0, "{count} rows, {left_out} left out");
    assert_eq!(count + left_out, 60_000);
    assert!(bytes <= cap_bytes && bytes == std::fs::metadata(&path).unwrap().len(), "{bytes} bytes");
    assert_eq!(text(&path).lines().last().unwrap(), format!("{{\"truncated\": {left_out}}}"));
    let (found, end) = read(&path);
    assert!(found == rows(0..count));
    assert_eq!(end, Some(FileEnd::Capped { left_out }));
}

#[test]
fn a_cap_below_the_header_is_refused_and_leaves_nothing() {
    let (directory, path) = place();
    let options = WriterOptions { cap_bytes: 500, ..WriterOptions::default() };
    let error = ObservationWriter::create(&path, "r1", options).unwrap_err();
    assert!(matches!(error, WriteError::CapTooSmall { cap_bytes: 500 }), "{error:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_file_without_rows_is_a_file() {
    let (_directory, path) = place();
    assert_eq!(write(&path, vec![vec![], vec![]], WriterOptions::default()).0, 0);
    assert_eq!(read(&path), (vec![], Some(FileEnd::Whole)));
}

#[test]
fn nothing_is_overwritten() {
    let (_directory, path) = place();
    for taken in [partial_path(&path), path.clone()] {
        std::fs::write(&taken, "precious").unwrap();
        let error = ObservationWriter::create(&path, "r1", WriterOptions::default()).unwrap_err();
        assert!(matches!(&error, WriteError::Exists { path } if *path == taken), "{error:?}");
        assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
        std::fs::remove_file(taken).unwrap();
    }
    let nowhere = ObservationWriter::create(&path.join("x"), "r1", WriterOptions::default()).unwrap_err();
    assert!(matches!(nowhere, WriteError::Io { action: "create", .. }), "{nowhere:?}");
}

#[test]
fn strange_rows_are_refused_before_they_are_queued() {
    let (_directory, path) = place();
    let writer = ObservationWriter::create(&path, "r1", WriterOptions::default()).unwrap();
    let relabelled = |change: fn(&mut Labels)| {
        let mut labels = Labels::clone(&labels("block.get", "fetch"));
        change(&mut labels);
        let mut batch = rows(0..3);
        batch[2].labels = Arc::new(labels);
        writer.blocking_send(batch).unwrap_err()
    };
    let other = relabelled(|labels| labels.series.run = "r2".into());
    assert!(matches!(other, WriteError::OtherRun { .. }), "{other:?}");
    let newer = relabelled(|labels| labels.series.schema = 2);
    assert!(matches!(newer, WriteError::OtherRun { schema: 2, .. }), "{newer:?}");
    let long = relabelled(|labels| labels.phase = "x".repeat(1025));
    assert!(matches!(long, WriteError::LabelTooLong { what: "phase", bytes: 1025 }), "{long:?}");
    let large = writer.blocking_send(rows(0..100_001)).unwrap_err();
    assert!(matches!(large, WriteError::BatchTooLarge { rows: 100_001 }), "{large:?}");
    writer.blocking_send(rows(0..1)).unwrap();
    assert_eq!(writer.blocking_finish().unwrap().rows, 1);
}

#[test]
fn the_longest_labels_fit_a_line() {
    let (_directory, path) = place();
    let worst = "\u{1}".repeat(1024);
    let mut series = series("r1", &worst);
    for text in [
        &mut series.observer,
        &mut series.subject,
        &mut series.observer_region,
        &mut series.subject_region,
        &mut series.environment,
    ] {
        text.clone_from(&worst);
    }
    let labels = Arc::new(Labels { series, op: worst.clone(), phase: worst });
    let row = Observation { labels, sample: sample(u64::from(u32::MAX)), node: Some(u32::MAX) };
    write(&path, vec![vec![row.clone()]], WriterOptions::default());
    assert_eq!(read(&path), (vec![row], Some(FileEnd::Whole)));
}

#[tokio::test]
async fn a_queue_of_one_loses_nothing() {
    let (_directory, path) = place();
    let options = WriterOptions { queue_batches: 1, ..WriterOptions::default() };
    let writer = ObservationWriter::create(&path, "r1", options).unwrap();
    for batch in 0..200 {
        writer.send(rows(batch * 100..(batch + 1) * 100)).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap().rows, 20_000);
    assert!(read(&path).0 == rows(0..20_000));
}

#[test]
fn rows_do_not_wait_longer_than_asked() {
    let (_directory, path) = place();
    let options = WriterOptions { flush_after: Duration::from_millis(5), ..WriterOptions::default() };
    let writer = ObservationWriter::create(&path, "r1", options).unwrap();
    writer.blocking_send(rows(0..10)).unwrap();
    // Bounded: 10 s of patience for 5 ms of work.
    let seen = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        read(&partial_path(&path)).0.len() == 10
    });
    assert!(seen, "the rows never reached the file");
    assert_eq!(read(&partial_path(&path)).1, Some(FileEnd::Truncated), "not complete however clean its frames are");
    drop(writer);
}

#[test]
fn a_dropped_writer_leaves_everything_in_the_partial_file() {
    let (_directory, path) = place();
    let writer = ObservationWriter::create(&path, "r1", WriterOptions::default()).unwrap();
    writer.blocking_send(rows(0..1234)).unwrap();
    drop(writer);
    assert!(!path.exists());
    let (found, end) = read(&partial_path(&path));
    assert!(found == rows(0..1234));
    assert_eq!(end, Some(FileEnd::Truncated));
}

#[tokio::test]
async fn finishing_says_what_went_wrong() {
    let (directory, path) = place();
    let writer = ObservationWriter::create(&path, "r1", WriterOptions::default()).unwrap();
    writer.send(rows(0..10)).await.unwrap();
    directory.close().unwrap();
    let error = writer.finish().await.unwrap_err();
    assert!(matches!(error, WriteError::Io { action: "rename", .. }), "{error:?}");
}

#[test]
fn a_missing_file_is_named() {
    let error = ObservationReader::open(Path::new("no/such/file")).unwrap_err();
    assert!(matches!(error, ReadError::Open { .. }) && error.to_string().contains("no/such/file"), "{error:?}");
}
