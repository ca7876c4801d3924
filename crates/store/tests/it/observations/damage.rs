//! Files that were cut, changed or never ours.

use std::io::Cursor;

use peermark_store::observations::{
    FileEnd, Header, MAX_FRAME_BYTES, MAX_LINE_BYTES, ObservationReader, ReadError, WriterOptions,
};

use super::{place, rows, text, write};

/// A file of one frame per text.
fn framed(texts: &[&str]) -> Vec<u8> {
    let frame = |text: &&str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    texts.iter().flat_map(frame).collect()
}

fn header() -> String {
    serde_json::to_string(&Header::new("r1")).unwrap() + "\n"
}

fn row() -> String {
    let (_directory, path) = place();
    write(&path, vec![rows(0..1)], WriterOptions::default());
    text(&path).lines().nth(1).unwrap().to_owned()
}

/// Rows before the end, and the error or end.
fn outcome(bytes: &[u8]) -> (usize, Result<Option<FileEnd>, ReadError>) {
    let mut reader = match ObservationReader::new(Cursor::new(bytes)) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    let mut count = 0;
    for row in reader.by_ref() {
        match row {
            Ok(_) => count += 1,
            Err(error) => return (count, Err(error)),
        }
    }
    assert!(reader.next().is_none(), "an ended reader stays at its end");
    (count, Ok(reader.end()))
}

fn error(texts: &[&str]) -> ReadError {
    outcome(&framed(texts)).1.unwrap_err()
}

#[test]
fn a_cut_file_gives_every_frame_before_the_cut() {
    let (_directory, path) = place();
    let batches = (0..10).map(|batch| rows(batch * 3000..(batch + 1) * 3000)).collect();
    write(&path, batches, WriterOptions::default());
    let (bytes, sound) = (std::fs::read(&path).unwrap(), rows(0..30_000));
    let mut seen = std::collections::BTreeSet::new();
    for cut in (1..bytes.len()).step_by(bytes.len() / 61) {
        let mut reader = match ObservationReader::new(Cursor::new(&bytes[..cut])) {
            Ok(reader) => reader,
            Err(ReadError::NoHeader) => continue,
            Err(other) => panic!("cut at {cut}: {other:?}"),
        };
        let found: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        assert!(found == sound[..found.len()], "cut at {cut}");
        assert_eq!(reader.end(), Some(FileEnd::Truncated), "cut at {cut}");
        seen.insert(found.len());
    }
    // 30,000 rows of 0.4 KB are at least ten frames of 1 MiB, and none of them is ever seen in part.
    assert!((10..=20).contains(&seen.len()), "{seen:?}");
}

#[test]
fn a_changed_byte_never_changes_a_row() {
    let (_directory, path) = place();
    write(&path, vec![rows(0..200)], WriterOptions::default());
    let sound = std::fs::read(&path).unwrap();
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        let (count, end) = outcome(&bytes);
        // A bit of the frame's own description that decoders ignore may change; a row may not.
        assert!(count == 0 || (count == 200 && end.is_ok()), "byte {at}: {count} rows, {end:?}");
    }
}

#[test]
fn what_is_no_file_of_ours_is_said_to_be_none() {
    assert!(matches!(outcome(b"").1, Err(ReadError::NoHeader)));
    assert!(matches!(outcome(b"kind,op,phase\n1,2,3\n").1, Err(ReadError::DamagedFrame { frame: 0, .. })));
    assert!(matches!(error(&["hello\n"]), ReadError::BadHeader { .. }));
    assert!(matches!(error(&[&row()]), ReadError::OpenLine { line: 1 }));
    assert!(matches!(error(&[&(row() + "\n")]), ReadError::BadHeader { .. }));
    let newer = header().replace("observations/1", "observations/2");
    assert!(matches!(error(&[&newer]), ReadError::UnknownSchema { found } if found == "peermark.observations/2"));
    assert!(matches!(error(&["{\"schema\":\"peermark.observations/1\"}\n"]), ReadError::BadHeader { .. }));
}

#[test]
fn bad_lines_are_named() {
    let cases = [
        (row().replace("\"ok\"", "\"gremlins\""), "unknown outcome: \"gremlins\""),
        (row().replace("\"culprit\":null", "\"culprit\":\"peer\""), "does not go with culprit"),
        (row().replace("\"ok\"", "\"timeout\""), "does not go with culprit None"),
        (row().replace("\"ok\",\"culprit\":null", "\"timeout\",\"culprit\":\"dog\""), "unknown culprit: \"dog\""),
        (row().replace("\"culprit\":null,", ""), "not a row"),
        (row().replace("\"node\":null,", ""), "not a row"),
        (row().replace("\"seq\":0", "\"seq\":-1"), "not a row"),
        (row().replace("\"seq\":0", "\"seq\":0.5"), "not a row"),
        (row().replace("\"seq\":0", "\"seq\":0,\"colour\":1"), "not a row"),
        ("[]".to_owned(), "not a row"),
        (String::new(), "not a row"),
        ("{\"truncated\": -1}".to_owned(), "not a row"),
    ];
    for (line, expected) in cases {
        let lines = format!("{}\n{line}\n", row());
        let (count, found) = outcome(&framed(&[&header(), &lines]));
        match found.unwrap_err() {
            ReadError::Row { line: 3, source } => assert!(source.to_string().contains(expected), "{source}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(count, 1);
    }
}

#[test]
fn lines_and_frames_are_bounded() {
    let long = "x".repeat(MAX_LINE_BYTES + 1) + "\n";
    assert!(matches!(error(&[&long]), ReadError::LineTooLong { line: 1, .. }));
    assert!(
        matches!(error(&[&header(), &long]), ReadError::LineTooLong { line: 2, bytes } if bytes == MAX_LINE_BYTES + 1)
    );
    // A small file that would decompress to much more than anything we write.
    let bomb = "\n".repeat(MAX_FRAME_BYTES * 50);
    assert!(matches!(error(&[&header(), &bomb]), ReadError::FrameTooLarge { frame: 1 }));
    assert!(matches!(error(&[&header(), &row()]), ReadError::OpenLine { line: 2 }));
}

#[test]
fn nothing_follows_the_last_line() {
    let last = "{\"truncated\": 7}\n";
    let one = row() + "\n";
    assert_eq!(outcome(&framed(&[&header(), &one, last])).1.unwrap(), Some(FileEnd::Capped { left_out: 7 }));
    assert!(matches!(error(&[&header(), last, &one]), ReadError::AfterEnd { line: 3 }));
    assert!(matches!(error(&[&header(), last, last]), ReadError::AfterEnd { line: 3 }));
}

#[test]
fn frames_without_text_are_passed_over() {
    let one = row() + "\n";
    let mut bytes = framed(&["", &header(), "", "", &one, ""]);
    // A skippable frame, as zstd tools may add: magic, length, content.
    bytes.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    let (count, end) = outcome(&bytes);
    assert_eq!((count, end.unwrap()), (1, Some(FileEnd::Whole)));
}
