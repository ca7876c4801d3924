//! parsec's HTTP interface as its scheduler speaks it: what is sent, and how strictly an answer is read.
//!
//! Source: the code of parsec's scheduler and server at version 0.4.0. Members are matched without regard to case and unknown ones
//! are skipped, as Go's decoder does. Numbers are integers: a float or an exponent makes Go's decoder fail, and a duration that is
//! negative or longer than the call that brought it cannot be true, so both are failures of the server here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use thiserror::Error;

/// Bytes of content that a round publishes.
pub const CONTENT_BYTES: usize = 1024;

/// Longest answer that is read.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Body of a retrieve.
pub const RETRIEVE_BODY: &str = "{}";

/// Most measurements of one answer. parsec's servers send one, or four where an indexer is measured.
const MAX_MEASUREMENTS: usize = 64;

/// Longest text of a member. What is longer is cut where it is a sentence and refused where it is a name.
const MAX_TEXT_BYTES: usize = 1024;

/// What a server says that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The CID in its words.
    pub cid: String,
    /// One per step.
    pub measurements: Vec<Measurement>,
    /// Peers in its routing table.
    pub rt_size: i32,
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Its name; empty for a lookup.
    pub step: String,
    /// How long it took.
    pub duration_ns: u64,
    /// Why it failed; empty when it succeeded.
    pub error: String,
}

/// Why an answer is none.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The body is not one JSON document.
    #[error("HTTP status {status} and a body that is not JSON")]
    NotJson {
        /// The status.
        status: u16,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The body has the shape of before September 2025, or of an error: parsec's scheduler would take it for a success without a
    /// measurement and say nothing.
    #[error(
        "HTTP status {status} and an answer without a measurement: a server of before September 2025, or an error as JSON"
    )]
    NoMeasurement {
        /// The status.
        status: u16,
    },
    /// A member holds something else than it may.
    #[error("{member} is {found}, not {expected}")]
    Member {
        /// The member.
        member: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is, shortened.
        found: String,
    },
}

impl AnswerError {
    /// Whether parsec's scheduler could read the answer: such a server is alive, whatever it said.
    pub fn is_legible(&self) -> bool {
        matches!(self, Self::NoMeasurement { .. })
    }
}

/// The headers of every provide and retrieve of a scheduler of these fleets; `None` where a fleet's name cannot be a header.
pub fn headers(fleets: &[String]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let joined = HeaderValue::from_str(&fleets.join(",")).ok()?;
    headers.insert(HeaderName::from_static("x-scheduler-id"), joined);
    Some(headers)
}

/// The body of a provide.
pub fn provide_body(content: &[u8]) -> String {
    format!("{{\"Content\":\"{}\"}}", STANDARD.encode(content))
}

/// Reads an answer to a provide or retrieve that took at most `longest_ns`.
///
/// # Errors
/// [`AnswerError`].
pub fn read_answer(status: u16, body: &[u8], longest_ns: u64) -> Result<ServerAnswer, AnswerError> {
    let document: Value = serde_json::from_slice(body).map_err(|source| AnswerError::NotJson { status, source })?;
    let Value::Object(answer) = &document else {
        return Err(unexpected("the answer", "an object", &document));
    };
    let measurements = match member(answer, "Measurements") {
        Some(Value::Array(steps)) if steps.len() > MAX_MEASUREMENTS => {
            let found = format!("an array of {}", steps.len());
            return Err(AnswerError::Member { member: "Measurements", expected: "an array of at most 64", found });
        }
        Some(Value::Array(steps)) if !steps.is_empty() => {
            steps.iter().map(|step| read_measurement(step, longest_ns)).collect::<Result<_, _>>()?
        }
        None | Some(Value::Null | Value::Array(_)) => return Err(AnswerError::NoMeasurement { status }),
        Some(other) => return Err(unexpected("Measurements", "an array", other)),
    };
    let rt_size = match member(answer, "RoutingTableSize") {
        None | Some(Value::Null) => 0,
        Some(size) => {
            let whole = size.as_u64().and_then(|size| i32::try_from(size).ok());
            whole.ok_or_else(|| unexpected("RoutingTableSize", "a whole number of 31 bits", size))?
        }
    };
    Ok(ServerAnswer { cid: name(answer, "CID")?, measurements, rt_size })
}

fn read_measurement(step: &Value, longest_ns: u64) -> Result<Measurement, AnswerError> {
    let Value::Object(step) = step else {
        return Err(unexpected("Measurements[]", "an object", step));
    };
    let expected = "whole nanoseconds within the time of the call";
    let duration = member(step, "Duration").unwrap_or(&Value::Null);
    let duration_ns = duration.as_u64().filter(|duration| *duration <= longest_ns);
    let duration_ns = duration_ns.ok_or_else(|| unexpected("Duration", expected, duration))?;
    let error = match member(step, "Error") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(error)) => shortened(error),
        Some(other) => return Err(unexpected("Error", "a string", other)),
    };
    Ok(Measurement { step: name(step, "Step")?, duration_ns, error })
}

fn name(of: &Map<String, Value>, key: &'static str) -> Result<String, AnswerError> {
    match member(of, key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(name)) if name.len() <= MAX_TEXT_BYTES => Ok(name.clone()),
        Some(other) => Err(unexpected(key, "a short string", other)),
    }
}

/// The member of that name, else one whose name differs in case only.
fn member<'a>(of: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    of.get(key).or_else(|| of.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
}

fn unexpected(member: &'static str, expected: &'static str, found: &Value) -> AnswerError {
    let found = match found {
        Value::Null => "absent".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => shortened(&other.to_string()).chars().take(60).collect(),
    };
    AnswerError::Member { member, expected, found }
}

/// The text without control characters (a NUL cannot be stored in PostgreSQL), cut to its bound.
fn shortened(text: &str) -> String {
    let mut kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    kept.truncate(kept.floor_char_boundary(MAX_TEXT_BYTES));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST_NS: u64 = 190_000_000_000;

    fn read(body: &str) -> Result<ServerAnswer, AnswerError> {
        read_answer(200, body.as_bytes(), LONGEST_NS)
    }

    #[test]
    fn the_content_of_a_round_makes_a_body_of_1382_bytes() {
        assert_eq!(provide_body(&[0; CONTENT_BYTES]).len(), 1382);
        assert_eq!(provide_body(&[0xfb, 0xff]), r#"{"Content":"+/8="}"#);
        let headers = headers(&["default".into(), "fullrt".into()]).unwrap();
        assert_eq!((headers["x-scheduler-id"].as_bytes(), headers.len()), (&b"default,fullrt"[..], 2));
        assert!(super::headers(&["a\nb".into()]).is_none());
    }

    #[test]
    fn what_servers_answer_is_read() {
        let go = r#"{"CID":"Qm","Measurements":[{"Step":"provide","Duration":1500000000,"Error":""}],"RoutingTableSize":240}"#;
        let provide = Measurement { step: "provide".into(), duration_ns: 1_500_000_000, error: String::new() };
        assert_eq!(read(go).unwrap(), ServerAnswer { cid: "Qm".into(), measurements: vec![provide], rt_size: 240 });
        let loose =
            r#"{"cid":"b","measurements":[{"duration":7,"error":null},{"Duration":8,"Error":"not found","x":1}]}"#;
        let answer = read(loose).unwrap();
        assert_eq!((answer.rt_size, answer.measurements.len()), (0, 2));
        assert_eq!(answer.measurements[1].error, "not found");
    }

    #[test]
    fn an_answer_without_a_measurement_is_a_failure_of_a_server_that_lives() {
        for body in [
            "{}",
            r#"{"CID":"b","Duration":5,"RoutingTableSize":1}"#,
            r#"{"Measurements":null}"#,
            r#"{"Measurements":[]}"#,
        ] {
            assert!(read(body).unwrap_err().is_legible(), "{body}");
        }
    }

    #[test]
    fn numbers_are_whole_and_possible() {
        for duration in ["1.5e9", "15e8", "1500000000.0", "-1", "190000000001", "1e400", "\"5\"", "null", "true"] {
            let body = format!(r#"{{"Measurements":[{{"Duration":{duration}}}]}}"#);
            assert!(!read(&body).unwrap_err().is_legible(), "{duration}");
        }
        for size in ["1.0", "-1", "2147483648", "\"1\""] {
            let body = format!(r#"{{"Measurements":[{{"Duration":1}}],"RoutingTableSize":{size}}}"#);
            assert!(matches!(read(&body), Err(AnswerError::Member { member: "RoutingTableSize", .. })), "{size}");
        }
    }

    #[test]
    fn garbage_is_named_and_bounded() {
        for body in ["", "<html>", "[]", "{\"Measurements\":[null]}", "{\"Measurements\":5}", "{} trailing"] {
            assert!(read(body).is_err_and(|error| !error.is_legible()), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(read(&deep), Err(AnswerError::NotJson { .. })));
        let many = format!(r#"{{"Measurements":[{}]}}"#, vec![r#"{"Duration":1}"#; 65].join(","));
        assert!(matches!(read(&many), Err(AnswerError::Member { .. })));
        let long = format!(r#"{{"Measurements":[{{"Duration":1,"Error":"a\u0000{}"}}]}}"#, "ä".repeat(5_000));
        let error = read(&long).unwrap().measurements[0].error.clone();
        assert!(error.len() <= MAX_TEXT_BYTES && error.starts_with("a ä"));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            drop(read_answer(200, &body, LONGEST_NS));
        }
    }
}
