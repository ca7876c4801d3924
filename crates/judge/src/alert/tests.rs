use proptest::prelude::*;

use super::*;

fn rule() -> Rule {
    Rule { for_rounds: 2, ..Rule::usual().remove(0) }
}

/// Rounds of one hour each: the window of the rule is a day.
fn look_all(rule: &Rule, values: &[i64]) -> Vec<(u64, AlertEvent)> {
    let mut memory = Memory::default();
    let mut events = Vec::new();
    for (number, value) in (1_u64..).zip(values) {
        let round = Round { number, at_s: number * 3_600, subject: 7, values: &[*value] };
        let (next, event) = rule.look(&memory, &round);
        events.extend(event.map(|event| (number, event)));
        memory = next;
    }
    events
}

fn raised(events: &[(u64, AlertEvent)]) -> Vec<(u64, u64)> {
    let keys = events.iter().filter_map(|(round, event)| match event {
        AlertEvent::Raised { key, .. } => Some((*round, key.number)),
        AlertEvent::Cleared { .. } => None,
    });
    keys.collect()
}

/// R98: a threshold triggers an action, after as many rounds as the rule asks for.
#[test]
fn an_alert_is_raised_after_its_rounds() {
    let events = look_all(&rule(), &[940_000, 990_000, 940_000, 930_000, 940_000]);
    let key = TaskKey { rule: "availability-low".to_owned(), subject: 7, window: Window::Day, number: 0 };
    let event = AlertEvent::Raised {
        key,
        action: Action::ExtraChallenge,
        severity: Severity::Warning,
        value: 930_000,
        observe_only: false,
    };
    assert_eq!(events, [(4, event)]);
}

/// R99: on the minimum, the maximum or the average of a window, with hysteresis.
#[test]
fn a_value_on_the_edge_raises_one_alert() {
    let edge = [949_000, 949_000, 951_000, 949_000, 969_999, 949_000, 970_000, 949_000];
    let events = look_all(&rule(), &edge);
    assert_eq!(raised(&events), [(2, 0)]);
    let cleared = AlertEvent::Cleared { rule: "availability-low".to_owned(), subject: 7, value: 970_000 };
    assert_eq!(events[1..], [(7, cleared)]);
    let values = [10, 20, 40];
    let with = |aggregate| Rule { aggregate, ..rule() }.value(&values);
    assert_eq!([Aggregate::Min, Aggregate::Max, Aggregate::Average].map(with), [Some(10), Some(40), Some(23)]);
    assert_eq!(Rule { aggregate: Aggregate::Average, ..rule() }.value(&[-1, 0]), Some(-1), "rounded down");
    assert_eq!(rule().value(&[]), None);
    assert_eq!(rule().value(&[i64::MAX; 9]), Some(i64::MAX));
}

/// R100: a task is one per (rule, subject, window), however often it is asked for.
#[test]
fn a_window_has_one_task() {
    let bad = vec![900_000; 60];
    assert_eq!(raised(&look_all(&rule(), &bad)), [(2, 0), (24, 1), (48, 2)]);
    // Cleared and raised again within the same day: still one task.
    let again = [900_000, 900_000, 990_000, 900_000, 900_000];
    assert_eq!(raised(&look_all(&rule(), &again)), [(2, 0)]);
    let memory = Memory { rounds: 1, last_round: Some(4), ..Memory::default() };
    let round = Round { number: 4, at_s: 9, subject: 7, values: &[1] };
    assert_eq!(rule().look(&memory, &round), (memory, None), "a round counts once");
}

#[test]
fn a_round_without_values_neither_holds_nor_clears() {
    let memory = Memory { rounds: 1, ..Memory::default() };
    let (next, event) = rule().look(&memory, &Round { number: 3, at_s: 9, subject: 7, values: &[] });
    assert_eq!((next.rounds, event), (1, None));
}

#[test]
fn rules_that_never_clear_are_refused() {
    let refused = |change: fn(&mut Rule)| {
        let mut rule = rule();
        change(&mut rule);
        rule.validate().unwrap_err()
    };
    assert!(matches!(refused(|rule| rule.clear_threshold = 949_999), RuleError::NeverClears { .. }));
    assert!(matches!(refused(|rule| rule.op = Op::Above), RuleError::NeverClears { .. }));
    assert!(matches!(refused(|rule| rule.name = "a b".to_owned()), RuleError::BadName { .. }));
    assert!(matches!(refused(|rule| rule.for_rounds = 0), RuleError::NoRounds { .. }));
    Rule::usual().iter().for_each(|rule| rule.validate().unwrap());
}

proptest! {
    #[test]
    fn no_task_has_a_name_twice(values in prop::collection::vec(900_000i64..1_000_000, 1..200)) {
        let keys: Vec<_> = look_all(&rule(), &values).into_iter().filter_map(|(_, event)| match event {
            AlertEvent::Raised { key, .. } => Some(key),
            AlertEvent::Cleared { .. } => None,
        }).collect();
        let mut unique = keys.clone();
        unique.dedup();
        prop_assert_eq!(unique, keys);
    }
}
