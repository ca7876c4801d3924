//! Loads on nodes that are real HTTP servers over a map in memory.

mod stub;

use std::num::NonZeroU32;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use peermark_core::{ByteSize, Culprit, FailureClass, Seed};
use peermark_node::client::NodeClient;

use super::*;
use crate::clock::MonotonicClock;
use crate::knee::KneeError;
use crate::recorder::SampleBatch;
use crate::schedule::{Rate, Schedule};
use crate::workload::{Op, SizeMix, Target};
use stub::{Fault, StubNetwork};

fn uniform(per_second: f64) -> ArrivalPlan {
    ArrivalPlan::Fixed(Schedule::Uniform { rate: Rate::try_new(per_second).unwrap() })
}

fn phase(name: &str, mix: &[(Op, u32)]) -> Phase {
    Phase {
        name: name.to_owned(),
        work: Work::Mix(mix.to_vec()),
        arrivals: uniform(200.0),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(300),
        operations: None,
        timeout: Duration::from_millis(2_000),
        sizes: SizeMix::only(ByteSize(10_000)).unwrap(),
    }
}

fn disseminate(seeders: u32, rounds: u32) -> Phase {
    let work = Work::Disseminate { seeders, rounds, every: Duration::from_millis(50) };
    Phase { work, ..phase("spread", &[]) }
}

fn load(network: &Network, phases: Vec<Phase>) -> (LoadOutcome, Vec<SampleBatch>) {
    let plan = LoadPlan::new(Seed(11), phases);
    let clock = Arc::new(MonotonicClock::new());
    run(plan, network, clock, Vec::new(), CancellationToken::new(), |_| {}).unwrap()
}

/// The only operation of a load of one phase.
fn only(network: &Network, phase: Phase) -> OperationOutcome {
    let (mut outcome, _) = load(network, vec![phase]);
    assert_eq!(outcome.operations.len(), 1);
    outcome.operations.remove(0)
}

#[test]
fn every_operation_is_done_and_every_byte_verified() {
    let stub = StubNetwork::start(4, Fault::None);
    let stress = [(Op::Upload, 1), (Op::Fetch, 1), (Op::ReadCold, 1), (Op::ReadWarm, 1)];
    let sizes = SizeMix::try_new(vec![(ByteSize(1_000), 1), (ByteSize(200_000), 1)]).unwrap();
    let phases = vec![
        phase("upload", &[(Op::Upload, 1)]),
        phase("fetch", &[(Op::Fetch, 1)]),
        phase("cold", &[(Op::ReadCold, 1)]),
        phase("warm", &[(Op::ReadWarm, 1)]),
        Phase { sizes, ..phase("stress", &stress) },
        disseminate(1, 3),
    ];
    let (outcome, batches) = load(&stub.network(), phases);
    let done: Vec<(&str, Op, u64)> =
        outcome.operations.iter().map(|done| (done.phase.as_str(), done.op, done.record.ok)).collect();
    assert_eq!(
        done[..4],
        [("upload", Op::Upload, 60), ("fetch", Op::Fetch, 60), ("cold", Op::ReadCold, 60), ("warm", Op::ReadWarm, 60)]
    );
    assert_eq!(done[4..8].iter().map(|(_, _, ok)| ok).sum::<u64>(), 60);
    assert_eq!(done[8], ("spread", Op::Disseminate, 3 * 3));
    for operation in &outcome.operations {
        assert_eq!((operation.record.censored, operation.notes.as_slice()), (0, &[][..]), "{operation:?}");
    }
    assert_eq!(outcome.operations[1].record.bytes, 60 * 10_000);
    assert!(outcome.operations[1].record.first_byte.len() == 60);
    let samples: usize = batches.iter().map(|batch| batch.samples.len()).sum();
    assert_eq!(samples as u64, done.iter().map(|(_, _, ok)| ok).sum::<u64>(), "measured operations and nothing else");
    assert_eq!(stub.fetches_of_what_was_there(), 0, "a cross-node fetch never asks a node that has it");
    assert!(outcome.generator_cpu_ns > 0 && !outcome.stopped);
}

#[test]
fn what_nodes_do_wrong_is_data_with_a_class() {
    let faults = [
        (Fault::WrongByte, FailureClass::WrongBytes, Culprit::Peer),
        (Fault::Shorter, FailureClass::Truncated, Culprit::Peer),
        (Fault::Longer, FailureClass::WrongBytes, Culprit::Peer),
        (Fault::Status(404), FailureClass::NotFound, Culprit::Peer),
        (Fault::Status(500), FailureClass::ServerError, Culprit::Peer),
        (Fault::Status(422), FailureClass::Rejected, Culprit::Observer),
        (Fault::Status(507), FailureClass::QuotaFull, Culprit::Peer),
    ];
    for (fault, class, culprit) in faults {
        let stub = StubNetwork::start(2, fault);
        let fetch = only(&stub.network(), Phase { operations: Some(10), ..phase("fetch", &[(Op::Fetch, 1)]) });
        assert_eq!(fetch.record.failed, [((class, culprit), 10)].into(), "{fault:?}");
        assert_eq!((fetch.record.ok, fetch.record.bytes), (0, 0), "{fault:?}");
    }
}

#[test]
fn silence_is_a_timeout_at_the_deadline() {
    let stub = StubNetwork::start(2, Fault::Silence);
    let timeout = Duration::from_millis(100);
    let silent = Phase { timeout, operations: Some(5), ..phase("fetch", &[(Op::Fetch, 1)]) };
    let (outcome, batches) = load(&stub.network(), vec![silent]);
    let record = &outcome.operations[0].record;
    assert_eq!(record.failed, [((FailureClass::Timeout, Culprit::Peer), 5)].into());
    assert!(batches.iter().flat_map(|batch| &batch.samples).all(|sample| sample.latency_ns() == 100_000_000));
}

#[test]
fn a_network_that_is_not_there_fails_as_data() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = NodeClient::new(&url, ClientOptions::default()).unwrap();
    let target = |index| Target { index, client: client.clone(), mode: "foreign".into() };
    let network = Network::new(vec![target(0), target(1)]).unwrap();

    let upload = only(&network, phase("upload", &[(Op::Upload, 1)]));
    assert_eq!(upload.record.failed, [((FailureClass::ConnectFailed, Culprit::Peer), 60)].into());
    let fetch = only(&network, phase("fetch", &[(Op::Fetch, 1)]));
    assert_eq!((fetch.record.count, &fetch.notes[..]), (0, &[Note::NoStock { failed: 16 }, Note::Exhausted][..]));
    let searched = Phase { arrivals: ArrivalPlan::HalfTheKnee(Shape::Poisson), ..phase("upload", &[(Op::Upload, 1)]) };
    let searched = only(&network, searched);
    assert!(matches!(searched.notes[..], [Note::NoKnee { error: KneeError::Broken { .. } }]), "{:?}", searched.notes);
    assert!(searched.record.count > 0 && searched.record.ok == 0);
}

#[test]
fn without_a_rate_the_knee_is_found_and_half_of_it_is_run() {
    let stub = StubNetwork::start(2, Fault::Slow(Duration::from_millis(3)));
    let searched = Phase { arrivals: ArrivalPlan::HalfTheKnee(Shape::Uniform), ..phase("fetch", &[(Op::Fetch, 1)]) };
    let fetch = only(&stub.network(), searched);
    let knee = fetch.knee.as_ref().unwrap();
    assert_eq!(fetch.target_rate, Some(knee.rate.per_second() / 2.0));
    // One at a time takes 3 ms and a grain of the timer.
    assert!((100.0..400.0).contains(&knee.rate.per_second()), "{knee:?}");
    assert_eq!((fetch.record.censored, &fetch.notes[..]), (0, &[][..]));
}

#[test]
fn a_stop_ends_it_within_a_second_and_keeps_what_was_measured() {
    let stub = StubNetwork::start(2, Fault::None);
    let stop = CancellationToken::new();
    let long = Phase { duration: Duration::from_secs(600), ..phase("upload", &[(Op::Upload, 1)]) };
    let plan = LoadPlan::new(Seed(1), vec![long, phase("never", &[(Op::Upload, 1)])]);
    let clock = Arc::new(MonotonicClock::new());
    let (shown, events) = mpsc::sync_channel(1_000);
    let stopped_ns = Arc::new(Mutex::new(0));
    let show = {
        let (stop, clock, stopped_ns) = (stop.clone(), Arc::clone(&clock), Arc::clone(&stopped_ns));
        move |event: EventKind| {
            if matches!(event, EventKind::Tick(_)) {
                *stopped_ns.lock().unwrap() = clock.now_ns();
                stop.cancel();
            }
            shown.send(event).unwrap();
        }
    };
    let (outcome, _) =
        run(plan, &stub.network(), Arc::clone(&clock) as Arc<dyn Clock>, Vec::new(), stop, show).unwrap();
    let took_ns = clock.now_ns() - *stopped_ns.lock().unwrap();
    assert!(took_ns < 1_000_000_000, "{took_ns} ns");
    assert!(outcome.stopped && outcome.operations.len() == 1, "the second phase never began");
    assert!(outcome.operations[0].record.ok > 0);
    assert!(matches!(outcome.operations[0].notes[..], [Note::Stopped { .. }]));
    let names: Vec<EventKind> = events.into_iter().collect();
    assert!(matches!(names[..], [EventKind::PhaseStarted { .. }, EventKind::Tick(_), EventKind::PhaseEnded { .. }]));
}

#[test]
fn equal_seeds_ask_for_the_same_things() {
    let traces = || {
        let stub = StubNetwork::start(3, Fault::None);
        let sizes = SizeMix::try_new(vec![(ByteSize(1_000), 1), (ByteSize(2_000), 1)]).unwrap();
        let (_, batches) = load(&stub.network(), vec![Phase { sizes, ..phase("upload", &[(Op::Upload, 1)]) }]);
        let mut samples: Vec<(u64, u64)> =
            batches.iter().flat_map(|batch| &batch.samples).map(|sample| (sample.trace, sample.bytes)).collect();
        samples.sort_unstable();
        samples
    };
    assert_eq!(traces(), traces());
}

#[test]
fn plans_that_cannot_be_run_are_refused_by_name() {
    let stub = StubNetwork::start(2, Fault::None);
    let network = stub.network();
    let check = |phases: Vec<Phase>| LoadPlan::new(Seed(1), phases).validate(&network);
    let upload = || phase("a", &[(Op::Upload, 1)]);
    assert_eq!(check(vec![]), Err(PlanError::NoPhase));
    assert_eq!(check(vec![upload(), upload()]), Err(PlanError::SameName { name: "a".into() }));
    assert_eq!(check(vec![phase("a", &[])]), Err(PlanError::NoOperation { phase: "a".into() }));
    assert_eq!(check(vec![phase("a", &[(Op::Disseminate, 1)])]), Err(PlanError::NoOperation { phase: "a".into() }));
    let endless = Phase { timeout: Duration::ZERO, ..upload() };
    assert!(matches!(check(vec![endless]), Err(PlanError::Zero { what: "the timeout", .. })));
    let lonely = Network::new(network.targets()[..1].to_vec()).unwrap();
    let alone = |phase| LoadPlan::new(Seed(1), vec![phase]).validate(&lonely);
    assert!(matches!(alone(phase("a", &[(Op::Fetch, 1)])), Err(PlanError::TooFewNodes { wanted: 2, nodes: 1, .. })));
    assert!(matches!(check(vec![disseminate(2, 1)]), Err(PlanError::TooFewNodes { wanted: 3, nodes: 2, .. })));
}

#[test]
fn a_closed_loop_over_a_number_of_operations_is_the_simple_stress() {
    let stub = StubNetwork::start(5, Fault::None);
    let schedule = Schedule::Closed { concurrency: NonZeroU32::new(10).unwrap() };
    let stress = Phase {
        arrivals: ArrivalPlan::Fixed(schedule),
        operations: Some(100),
        duration: Duration::from_secs(60),
        ..phase("stress", &[(Op::Upload, 1)])
    };
    let outcome = only(&stub.network(), stress);
    assert_eq!((outcome.record.ok, outcome.target_rate), (100, None));
    assert!(outcome.duration_ns() < 30_000_000_000, "it ends with the last operation, not with the duration");
}
