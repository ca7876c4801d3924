use super::*;
use crate::fleet::fixture::{config, status, task};

const NODE: &str = "n0";

/// Answers, and what is told after which of them.
type Case = (&'static [TaskState], &'static [(usize, AlertEvent)]);

fn rule(change: impl FnOnce(&mut AlertRule)) -> AlertRule {
    let mut rule: AlertRule = toml::from_str("name = \"r\"").unwrap();
    rule.raise = [2, 3];
    rule.clear = 2;
    change(&mut rule);
    rule
}

fn fleet(rule: AlertRule) -> FleetConfig {
    let mut config = config(&["http://127.0.0.1:1".to_owned()]);
    config.alert = vec![rule];
    config.check().unwrap();
    config
}

/// Looks after each answer in turn; `None` is a question without one. Returns what was told, by the number of the look.
fn told(alerts: &mut Alerts, state: &mut FleetState, answers: &[Option<TaskState>]) -> Vec<(usize, AlertEvent)> {
    let mut told = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Some(answer) => state.answered(0, status("peer", vec![task("disk", *answer, 1)]), 0),
            None => state.failed(0, "connection refused"),
        }
        for notice in alerts.look(0, state, 0, number as u64) {
            assert_eq!((notice.raised.node.as_str(), notice.raised.task.as_deref()), (NODE, Some("disk")));
            told.push((number, notice.event));
            alerts.settle(&notice.id);
            alerts.save().unwrap();
        }
    }
    told
}

#[test]
fn it_is_told_once_when_it_comes_and_once_when_it_is_gone() {
    use AlertEvent::{Cleared, Raised};
    use TaskState::{Failed, Ok as Fine};
    let config = fleet(rule(|rule| rule.state = vec![Failed]));
    let cases: &[Case] = &[
        // One bad look is none; two of three are one alert, however long it lasts.
        (&[Failed, Fine, Fine, Failed, Fine, Fine], &[]),
        (&[Failed, Fine, Failed, Failed, Failed], &[(2, Raised)]),
        // One good look clears nothing; two in a row do, once.
        (&[Failed, Failed, Fine, Failed, Fine, Failed], &[(1, Raised)]),
        (&[Failed, Failed, Fine, Fine, Fine, Fine], &[(1, Raised), (3, Cleared)]),
        // What raised it does not raise it again.
        (&[Failed, Failed, Fine, Fine, Failed, Failed], &[(1, Raised), (3, Cleared), (5, Raised)]),
    ];
    for (answers, expected) in cases {
        let mut alerts = Alerts::open(&config, None).unwrap();
        let mut state = FleetState::new(&config, 0);
        let answers: Vec<_> = answers.iter().copied().map(Some).collect();
        assert_eq!(told(&mut alerts, &mut state, &answers), *expected, "{answers:?}");
    }
}

#[test]
fn a_question_without_an_answer_is_no_look() {
    use TaskState::{Failed, Ok as Fine};
    let config = fleet(rule(|rule| rule.state = vec![Failed]));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    let answers = [Some(Failed), Some(Failed), Some(Fine), None, None, None, Some(Fine)];
    let expected = [(1, AlertEvent::Raised), (6, AlertEvent::Cleared)];
    assert_eq!(told(&mut alerts, &mut state, &answers), expected);
}

#[test]
fn age_goes_on_while_a_node_says_nothing() {
    let config = fleet(rule(|rule| rule.age_over_s = Some(60)));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    state.answered(0, status("peer", vec![task("disk", TaskState::Ok, 1)]), 0);
    let look = |alerts: &mut Alerts, state: &FleetState, s: u64| alerts.look(0, state, s * 1_000_000_000, 0);
    assert!(look(&mut alerts, &state, 10).is_empty());
    state.failed(0, "gone");
    // The success was 5 s old when the node said so.
    assert!(look(&mut alerts, &state, 55).is_empty());
    assert!(look(&mut alerts, &state, 56).is_empty());
    let notices = look(&mut alerts, &state, 57);
    assert!(notices[0].raised.detail.contains("62 s old"), "{notices:?}");
}

#[test]
fn silence_is_of_the_node_and_values_are_in_their_unit() {
    let config = fleet(rule(|rule| rule.silent = true));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    state.failed(0, "gone");
    let second = 1_000_000_000;
    assert!(alerts.look(0, &state, 5 * second, 0).is_empty(), "three intervals are six seconds");
    assert!(alerts.look(0, &state, 6 * second, 0).is_empty(), "two looks of three are needed");
    let raised = alerts.look(0, &state, 8 * second, 0);
    assert_eq!((raised[0].raised.task.as_deref(), raised[0].event), (None, AlertEvent::Raised));

    let over = fleet(rule(|rule| {
        rule.task = Some("disk".into());
        rule.value_over = Some(39);
        rule.raise = [1, 1];
    }));
    let mut alerts = Alerts::open(&over, None).unwrap();
    state.answered(0, status("peer", vec![task("disk", TaskState::Ok, 1), task("clock", TaskState::Ok, 2)]), 0);
    let raised = alerts.look(0, &state, 0, 0);
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].raised.detail, "40 is more than 39");
}

#[test]
fn a_task_that_is_no_longer_there_is_cleared() {
    let config = fleet(rule(|rule| {
        rule.state = vec![TaskState::Failed];
        rule.raise = [1, 1];
        rule.clear = 1;
    }));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    assert_eq!(told(&mut alerts, &mut state, &[Some(TaskState::Failed)]).len(), 1);
    state.answered(0, status("peer", vec![task("disk", TaskState::NotConfigured, 0)]), 0);
    assert_eq!(alerts.look(0, &state, 0, 0)[0].event, AlertEvent::Cleared);
    assert!(alerts.raised().is_empty());
}

#[test]
fn a_restart_raises_nothing_twice_and_forgets_nothing_that_is_owed() {
    use TaskState::{Failed, Ok as Fine};
    let directory = tempfile::tempdir().unwrap();
    let file = || Some(directory.path().join("alerts.json"));
    let config = fleet(rule(|rule| rule.state = vec![Failed]));
    let mut state = FleetState::new(&config, 0);
    let mut alerts = Alerts::open(&config, file()).unwrap();
    state.answered(0, status("peer", vec![task("disk", Failed, 1)]), 0);
    alerts.look(0, &state, 0, 1);
    let raised = alerts.look(0, &state, 0, 2);
    alerts.save().unwrap();
    // It dies before it could tell anybody.
    drop(alerts);
    let mut alerts = Alerts::open(&config, file()).unwrap();
    assert!(alerts.owed().eq(&raised));
    assert_eq!(alerts.raised(), [raised[0].raised.clone()]);
    alerts.settle(&raised[0].id);
    alerts.save().unwrap();
    drop(alerts);
    let mut alerts = Alerts::open(&config, file()).unwrap();
    assert_eq!(alerts.owed().count(), 0);
    assert_eq!(told(&mut alerts, &mut state, &[Some(Failed), Some(Failed), Some(Failed)]), []);
    // Two good looks, as if nobody had stopped looking.
    assert_eq!(told(&mut alerts, &mut state, &[Some(Fine), Some(Fine)]), [(1, AlertEvent::Cleared)]);
    let again = told(&mut alerts, &mut state, &[Some(Failed), Some(Failed)]);
    assert_eq!(again, [(1, AlertEvent::Raised)]);
    drop(alerts);
    let alerts = Alerts::open(&config, file()).unwrap();
    assert_eq!(alerts.watches[&("r".into(), NODE.into(), Some("disk".into()))].raises, 2, "ids are never used twice");

    std::fs::write(directory.path().join("alerts.json"), "not ours").unwrap();
    assert!(matches!(Alerts::open(&config, file()), Err(AlertFileError::Document { .. })));
}

#[test]
fn what_is_not_run_on_purpose_is_not_late() {
    use TaskState::{Failed, Ok as Fine, Stale};
    let stale = |rule: &mut AlertRule| rule.state = vec![Failed, Stale];
    let age = |rule: &mut AlertRule| rule.age_over_s = Some(1);
    for change in [stale, age] {
        let config = fleet(rule(|rule| {
            change(rule);
            rule.raise = [1, 1];
            rule.clear = 1;
        }));
        let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
        let mut said = status("peer", vec![task("disk", Stale, 1)]);
        let pause = crate::desk::Pause { until_ms: said.now_ms + 60_000, reason: "new disk".into() };
        said.paused = Some(pause);
        state.answered(0, said.clone(), 0);
        assert_eq!(alerts.look(0, &state, 0, 1), []);
        // It comes back late: the pause is over by then, whoever says so.
        assert_eq!(alerts.look(0, &state, 61_000_000_000, 2).len(), 1);
        // A pause clears nothing either.
        state.answered(0, said, 0);
        assert_eq!(alerts.look(0, &state, 0, 3), []);
        assert_eq!(alerts.raised().len(), 1);
    }
    // A failure is one, paused or not.
    let config = fleet(rule(|rule| {
        stale(rule);
        rule.raise = [1, 1];
        rule.clear = 1;
    }));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    assert_eq!(told(&mut alerts, &mut state, &[Some(Failed), Some(Fine)]).len(), 2);
}

#[test]
fn an_id_is_never_used_twice_also_where_no_file_counts() {
    let config = fleet(rule(|rule| {
        rule.state = vec![TaskState::Failed];
        rule.raise = [1, 1];
    }));
    let mut state = FleetState::new(&config, 0);
    state.answered(0, status("peer", vec![task("disk", TaskState::Failed, 1)]), 0);
    let id = |now_ms| Alerts::open(&config, None).unwrap().look(0, &state, 0, now_ms)[0].id.clone();
    assert_ne!(id(1), id(2));
}

#[test]
fn a_file_that_cannot_be_written_keeps_nobody_from_being_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gone/alerts.json");
    let config = fleet(rule(|rule| {
        rule.state = vec![TaskState::Failed];
        rule.raise = [1, 1];
    }));
    let mut state = FleetState::new(&config, 0);
    let mut alerts = Alerts::open(&config, Some(file.clone())).unwrap();
    state.answered(0, status("peer", vec![task("disk", TaskState::Failed, 1)]), 0);
    assert_eq!(alerts.look(0, &state, 0, 1).len(), 1);
    assert!(matches!(alerts.save(), Err(AlertFileError::Io { .. })));
    assert_eq!(alerts.owed().count(), 1);
    // It is written as soon as that can be done.
    std::fs::create_dir(directory.path().join("gone")).unwrap();
    alerts.save().unwrap();
    assert_eq!(Alerts::open(&config, Some(file)).unwrap().owed().count(), 1);
}

#[test]
fn what_waits_for_receivers_is_bounded() {
    let config = fleet(rule(|rule| {
        rule.state = vec![TaskState::Failed];
        rule.raise = [1, 1];
        rule.clear = 1;
    }));
    let (mut alerts, mut state) = (Alerts::open(&config, None).unwrap(), FleetState::new(&config, 0));
    let mut dropped = 0;
    for number in 0..5000 {
        let looks = if number % 2 == 0 { TaskState::Failed } else { TaskState::Ok };
        state.answered(0, status("peer", vec![task("disk", looks, 1)]), 0);
        assert_eq!(alerts.look(0, &state, 0, number).len(), 1);
        dropped += alerts.drop_excess();
    }
    assert_eq!((alerts.owed().count(), dropped), (4096, 904));
    assert_eq!(alerts.owed().last().unwrap().at_ms, 4999);
}
