//! An attempt as the payload of its record, and what the store keeps of it as an observation.

use std::collections::BTreeMap;

use peermark_core::sealed::Value;
use peermark_core::{Culprit, FailureClass, Outcome, Sample, Unit};

use super::days::DAY_NS;
use super::{HistoryError, MAX_RESULT_BYTES, NewAttempt};
use crate::attempt::{Attempt, Said, Status, Trigger};

/// Kind of the records of attempts.
pub(super) const ATTEMPT: &str = "attempt";

/// Kind and topic of the records about pruning. No task has this name, for it has a dot.
pub(super) const PRUNED: &str = "monitor.pruned";

const NS_PER_MS: u64 = 1_000_000;

/// The last moment since the epoch that has a place in the store: its numbers are i64, and the day has to end in them too. In the year
/// 2262 where the epoch is Unix's.
const LAST_NS: u64 = i64::MAX.unsigned_abs() - DAY_NS;

const UNITS: [Unit; 5] = [Unit::Nanoseconds, Unit::Bytes, Unit::Count, Unit::PartsPerMillion, Unit::BitsPerSecond];
const TRIGGERS: [Trigger; 5] = [Trigger::Schedule, Trigger::Start, Trigger::CatchUp, Trigger::Request, Trigger::Retry];
const STATUSES: [Status; 3] = [Status::Ok, Status::Failed, Status::Skipped];
const CULPRITS: [Culprit; 4] = [Culprit::Observer, Culprit::Peer, Culprit::Path, Culprit::ThirdParty];

/// The payload. Members that have nothing to say are left out. The result is JSON text, for its floats have no place in what is
/// signed.
pub(super) fn encode(attempt: &NewAttempt) -> Result<Value, HistoryError> {
    check(attempt)?;
    let mut members = BTreeMap::from([
        ("kind".to_owned(), Value::text(ATTEMPT)),
        ("task".to_owned(), Value::text(&attempt.task)),
        ("unit".to_owned(), Value::text(unit_name(attempt.unit))),
        ("trigger".to_owned(), Value::text(attempt.trigger.as_str())),
        ("attempt".to_owned(), Value::Unsigned(attempt.attempt.into())),
        ("intended_ms".to_owned(), Value::Unsigned(attempt.intended_ms)),
        ("started_ms".to_owned(), Value::Unsigned(attempt.started_ms)),
        ("ended_ms".to_owned(), Value::Unsigned(attempt.ended_ms)),
        ("duration_ns".to_owned(), Value::Unsigned(attempt.duration_ns)),
        ("status".to_owned(), Value::text(attempt.status.as_str())),
        ("bytes".to_owned(), Value::Unsigned(attempt.bytes)),
    ]);
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    put("failure", attempt.failure.as_ref().map(said));
    put("skipped", attempt.skipped.as_ref().map(Value::text));
    put("value", attempt.value.map(Value::from));
    put("result", result_text(attempt)?.map(Value::Text));
    let findings: Vec<Value> = attempt.findings.iter().map(said).collect();
    put("findings", (!findings.is_empty()).then_some(Value::Array(findings)));
    Ok(Value::Map(members))
}

/// The attempt of a payload, and its unit.
pub(super) fn decode(seq: u64, payload: &Value) -> Result<(Attempt, Unit), HistoryError> {
    let bad = |name: &str| HistoryError::Record { seq, reason: format!("{name} is missing or of another kind") };
    let text = |name: &str| payload.get(name).and_then(Value::as_text).ok_or_else(|| bad(name));
    let number = |name: &str| payload.get(name).and_then(Value::as_u64).ok_or_else(|| bad(name));
    if text("kind")? != ATTEMPT {
        return Err(bad("an attempt"));
    }
    let findings = match payload.get("findings") {
        None => Vec::new(),
        Some(findings) => {
            let findings = findings.as_array().ok_or_else(|| bad("findings"))?;
            findings.iter().map(read_said).collect::<Option<_>>().ok_or_else(|| bad("findings"))?
        }
    };
    let failure = payload.get("failure").map(|failure| read_said(failure).ok_or_else(|| bad("failure"))).transpose()?;
    let skipped = payload.get("skipped").map(|_| text("skipped").map(str::to_owned)).transpose()?;
    let value = payload.get("value").map(|value| value.as_i64().ok_or_else(|| bad("value"))).transpose()?;
    let result =
        payload.get("result").map(|_| serde_json::from_str(text("result")?).map_err(|_| bad("result"))).transpose()?;
    let attempt = Attempt {
        seq,
        task: text("task")?.to_owned(),
        trigger: by_name(&TRIGGERS, Trigger::as_str, text("trigger")?).ok_or_else(|| bad("trigger"))?,
        attempt: u32::try_from(number("attempt")?).map_err(|_| bad("attempt"))?,
        intended_ms: number("intended_ms")?,
        started_ms: number("started_ms")?,
        ended_ms: number("ended_ms")?,
        duration_ns: number("duration_ns")?,
        status: by_name(&STATUSES, Status::as_str, text("status")?).ok_or_else(|| bad("status"))?,
        failure,
        skipped,
        findings,
        value,
        bytes: number("bytes")?,
        result,
    };
    let unit = by_name(&UNITS, unit_name, text("unit")?).ok_or_else(|| bad("unit"))?;
    Ok((attempt, unit))
}

/// The observation of an attempt; `None` where nothing was tried. The wall clock gives the moments, the monotonic clock the
/// durations; before the epoch is the epoch. The value of a failure is 0 and means nothing.
pub(super) fn sample(attempt: &Attempt, epoch_ms: u64) -> Option<Sample> {
    let outcome = match (attempt.status, &attempt.failure) {
        (Status::Ok, _) => Outcome::Ok,
        (Status::Failed, Some(failure)) => Outcome::failed(failure.class, failure.culprit),
        _ => return None,
    };
    let since = |wall_ms: u64| wall_ms.saturating_sub(epoch_ms).saturating_mul(NS_PER_MS).min(LAST_NS);
    let started_ns = since(attempt.started_ms);
    Some(Sample {
        seq: attempt.seq,
        intended_ns: since(attempt.intended_ms),
        started_ns,
        ended_ns: started_ns.saturating_add(attempt.duration_ns).min(LAST_NS),
        bytes: attempt.bytes,
        value: attempt.value.unwrap_or(0),
        outcome,
        trace: u64::from(attempt.attempt),
    })
}

fn check(attempt: &NewAttempt) -> Result<(), HistoryError> {
    let refuse = |reason| Err(HistoryError::Contradiction { task: attempt.task.clone(), reason });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=64).contains(&attempt.task.len()) || !attempt.task.bytes().all(plain) {
        return refuse("a name is 1 to 64 letters, digits, '-' or '_'");
    }
    let (ok, failed, skipped) = (Status::Ok, Status::Failed, Status::Skipped);
    if attempt.failure.is_some() != (attempt.status == failed) {
        return refuse("failed and says why go together");
    }
    if attempt.skipped.is_some() != (attempt.status == skipped) {
        return refuse("skipped and says why go together");
    }
    if attempt.value.is_some() != (attempt.status == ok) || attempt.result.is_some() != (attempt.status == ok) {
        return refuse("success, value and result go together");
    }
    Ok(())
}

fn result_text(attempt: &NewAttempt) -> Result<Option<String>, HistoryError> {
    let Some(result) = &attempt.result else { return Ok(None) };
    let text = result.to_string();
    if text.len() > MAX_RESULT_BYTES {
        return Err(HistoryError::ResultTooLong { bytes: text.len() });
    }
    Ok(Some(text))
}

fn said(said: &Said) -> Value {
    Value::map([
        ("code", Value::text(&said.code)),
        ("class", Value::text(said.class.as_str())),
        ("culprit", Value::text(said.culprit.as_str())),
        ("detail", Value::text(&said.detail)),
    ])
}

fn read_said(value: &Value) -> Option<Said> {
    let text = |name| value.get(name).and_then(Value::as_text);
    Some(Said {
        code: text("code")?.to_owned(),
        class: by_name(&FailureClass::ALL, FailureClass::as_str, text("class")?)?,
        culprit: by_name(&CULPRITS, Culprit::as_str, text("culprit")?)?,
        detail: text("detail")?.to_owned(),
    })
}

fn by_name<T: Copy>(all: &[T], name: fn(T) -> &'static str, found: &str) -> Option<T> {
    all.iter().copied().find(|item| name(*item) == found)
}

/// As the store and JSON name it.
fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "nanoseconds",
        Unit::Bytes => "bytes",
        Unit::Count => "count",
        Unit::PartsPerMillion => "parts_per_million",
        Unit::BitsPerSecond => "bits_per_second",
    }
}
