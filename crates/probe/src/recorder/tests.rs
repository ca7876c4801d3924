use peermark_core::{Culprit, FailureClass, Sample};

use super::*;

const MS: u64 = 1_000_000;

fn finished(intended_ns: u64, latency_ns: u64) -> Finished {
    Finished {
        lane: 0,
        trace: 1,
        intended_ns,
        started_ns: intended_ns + 10,
        ended_ns: intended_ns + latency_ns,
        first_byte_ns: None,
        bytes: 100,
        outcome: Outcome::Ok,
    }
}

fn recorder(window: Window, sender: Option<SampleSender>) -> Recorder {
    Recorder::new(&"phase".into(), &["op".to_owned()], window, 1_000 * MS, sender)
}

#[test]
fn warm_up_is_not_recorded_but_its_completions_are_throughput() {
    let mut recorder = recorder(Window { start_ns: 100 * MS, end_ns: 200 * MS }, None);
    recorder.record(&finished(50 * MS, MS)).unwrap();
    recorder.record(&finished(99 * MS, 5 * MS)).unwrap();
    recorder.record(&finished(150 * MS, 5 * MS)).unwrap();
    recorder.record(&finished(199 * MS, 5 * MS)).unwrap();
    recorder.record(&finished(200 * MS, 5 * MS)).unwrap();
    let record = recorder.finish(200 * MS).unwrap().remove(0);
    assert_eq!((record.count, record.ok, record.completed_in_window), (2, 2, 2));
    assert_eq!(record.slices.iter().map(|slice| slice.ok).sum::<u64>(), 2);
    assert_eq!(record.slices.iter().map(|slice| slice.histogram.len()).sum::<u64>(), 2);
}

#[test]
fn failures_are_values_at_the_deadline() {
    let mut recorder = recorder(Window { start_ns: 0, end_ns: u64::MAX }, None);
    for number in 0..90 {
        recorder.record(&finished(number, MS)).unwrap();
    }
    for number in 0..10 {
        let outcome = Outcome::failed(FailureClass::NotFound, Culprit::Peer);
        // It failed fast; that must not make the distribution look better.
        recorder.record(&Finished { outcome, ..finished(number, 10) }).unwrap();
    }
    let snapshot = recorder.snapshot();
    assert_eq!((snapshot.ok, snapshot.failed), (90, 10));
    assert!(snapshot.p90_ns.unwrap() < 2 * MS);
    assert_eq!(snapshot.p99_ns, Some(1_000 * MS));
    let record = recorder.finish(2 * MS).unwrap().remove(0);
    assert_eq!(record.failed_by_class(), [(FailureClass::NotFound, 10)].into());
    assert_eq!(record.failed_by_culprit(), [(Culprit::Peer, 10)].into());
    assert_eq!((record.latency.len(), record.slip.len(), record.censored), (90, 100, 10));
}

#[test]
fn every_sample_reaches_the_sink_in_order() {
    let (sender, thread) = SinkThread::start(Vec::new()).unwrap();
    let mut recorder = recorder(Window { start_ns: 0, end_ns: u64::MAX }, Some(sender));
    for number in 0..100_000 {
        recorder.record(&finished(number, 7)).unwrap();
    }
    recorder.finish(1_000 * MS).unwrap();
    let (batches, result) = thread.finish();
    result.unwrap();
    let samples: Vec<Sample> = batches.into_iter().flat_map(|batch| batch.samples).collect();
    assert_eq!(samples.len(), 100_000);
    assert!(samples.iter().enumerate().all(|(number, sample)| sample.seq == number as u64 && sample.value == 7));
}

#[test]
fn a_failing_sink_ends_the_recording_with_its_error() {
    struct Full;
    impl SampleSink for Full {
        fn write(&mut self, _batch: SampleBatch) -> Result<(), SinkError> {
            Err("disk full".into())
        }
    }
    let (sender, thread) = SinkThread::start(Full).unwrap();
    let mut recorder = recorder(Window { start_ns: 0, end_ns: u64::MAX }, Some(sender));
    let failed = (0..10_000_000).find_map(|number| recorder.record(&finished(number, 7)).err());
    assert_eq!(failed, Some(SinkFailure));
    drop(recorder);
    assert_eq!(thread.finish().1.unwrap_err().to_string(), "disk full");
}
