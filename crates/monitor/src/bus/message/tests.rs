//! Requests that are taken, dropped and answered.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// As rmb-peer was seen to send it.
const SEEN: &str = r#"{"ver":1,"ref":"29eb","src":"1","cmd":"zos.perf.get","exp":30,"dat":"eyJOYW1lIjoiaXBlcmYifQ==","tag":null,"ret":"msgbus.system.reply","shm":"application/json","now":1795162280}"#;
const NOW: u64 = 1_795_162_280;

fn with(member: &str, value: &Value) -> Vec<u8> {
    let mut message: Value = serde_json::from_str(SEEN).unwrap();
    message[member] = value.clone();
    message.to_string().into_bytes()
}

fn dropped(member: &str, value: &Value) -> Option<Dropped> {
    Request::parse(&with(member, value), NOW).err()
}

fn arguments(payload: &str) -> Result<Arguments, String> {
    Request::parse(&with("dat", &json!(STANDARD.encode(payload))), NOW).unwrap().arguments()
}

#[test]
fn a_request_of_rmb_peer_is_taken_and_answered_member_for_member() {
    let request = Request::parse(SEEN.as_bytes(), NOW).unwrap();
    assert_eq!(Command::named(&request.command), Some(Command::Get));
    assert_eq!(request.arguments().unwrap().name, "iperf");
    let answer = String::from_utf8(request.caller.answer(Ok(b"[]"), NOW)).unwrap();
    assert_eq!(
        answer,
        r#"{"ver":1,"ref":"29eb","dat":"W10=","dst":"1","shm":"application/json","now":1795162280,"err":null}"#
    );
    let error = String::from_utf8(request.caller.answer(Err("result not found"), NOW)).unwrap();
    let tail = r#""dat":"","dst":"1","shm":"application/json","now":1795162280,"err":{"code":255,"message":"result not found"}}"#;
    assert!(error.ends_with(tail), "{error}");
}

#[test]
fn what_is_no_request_is_dropped() {
    for bytes in ["", "null", "[]", "{}", "not json", "{\"ver\":1}"] {
        assert_eq!(Request::parse(bytes.as_bytes(), NOW).err(), Some(Dropped::Malformed), "{bytes}");
    }
    for (member, value) in [("ver", json!(2)), ("cmd", json!(null)), ("ret", json!(7)), ("now", json!(-1))] {
        assert_eq!(dropped(member, &value), Some(Dropped::Malformed), "{member}");
    }
    assert_eq!(dropped("shm", &json!(null)), Some(Dropped::ForeignSchema));
    assert_eq!(dropped("shm", &json!("application/x-cbor")), Some(Dropped::ForeignSchema));
}

#[test]
fn a_deadline_is_fixed_when_a_request_is_sent() {
    assert_eq!(dropped("exp", &json!(0)), Some(Dropped::Expired));
    assert_eq!(dropped("now", &json!(NOW - 30)), Some(Dropped::Expired));
    assert_eq!(dropped("now", &json!(NOW - 29)), None);
    assert_eq!(dropped("now", &json!(0)), None);
    // A caller whose clock is ahead has its 30 s.
    let ahead = Request::parse(&with("now", &json!(NOW + 1_000_000)), NOW).unwrap();
    assert_eq!(ahead.caller.until_s, NOW + 30);
    let patient = Request::parse(&with("exp", &json!(u64::MAX)), NOW).unwrap();
    assert_eq!(patient.caller.until_s, NOW + 1_800);
}

#[test]
fn answers_go_to_rmb_peer_or_to_a_key_of_the_callers_own() {
    let taken = ["msgbus.system.reply", "0b9c2f7e-4a86-4b3c-9d3c-6d4f5f3a2b10", "replies:7", "p", &"k".repeat(128)];
    for key in taken {
        assert_eq!(dropped("ret", &json!(key)), None, "{key}");
    }
    let long = "k".repeat(129);
    let refused = [
        "",
        "msgbus.system.local",
        "msgbus.zos.perf.get",
        "MSGBUS.system.reply",
        "msgbus.",
        "perf.iperf",
        "Perf.x",
        "perf.",
        "two words",
        "line\nbreak",
        "é",
        &long,
    ];
    for key in refused {
        assert_eq!(dropped("ret", &json!(key)), Some(Dropped::RefusedReturn), "{key}");
    }
}

#[test]
fn only_commands_that_are_served_have_a_name() {
    for command in Command::ALL {
        assert_eq!(Command::named(command.queue().strip_prefix("msgbus.").unwrap()), Some(command));
    }
    for name in ["", "zos.perf", "zos.perf.GET", "system.reply", "system.local", "msgbus.zos.perf.get", "zos.perf.get "]
    {
        assert_eq!(Command::named(name), None, "{name}");
    }
}

#[test]
fn a_name_is_taken_in_any_case_and_form() {
    for payload in
        [r#"{"name":"iperf"}"#, r#"{"Name":"iperf"}"#, r#"{"x":1,"NAME":"iperf","limit":null}"#, r#""iperf""#]
    {
        assert_eq!(arguments(payload).unwrap().name, "iperf", "{payload}");
    }
    for payload in ["null", "{}", r#"{"name":null}"#] {
        assert_eq!(arguments(payload).unwrap(), Arguments::default(), "{payload}");
    }
    let all = arguments(r#"{"name":"disk","since_ms":7,"Limit":5000000000}"#).unwrap();
    assert_eq!(all, Arguments { name: "disk".into(), since_ms: Some(7), limit: Some(u32::MAX) });
}

#[test]
fn a_payload_that_cannot_be_read_is_repeated_in_decimal_bytes() {
    assert_eq!(arguments("").unwrap_err(), "failed to unmarshal payload []: unexpected end of JSON input");
    assert_eq!(arguments("[1").unwrap_err(), "failed to unmarshal payload [91 49]: unexpected end of JSON input");
    assert_eq!(arguments("7").unwrap_err(), "failed to unmarshal payload [55]: an object is expected");
    assert!(arguments("x").unwrap_err().starts_with("failed to unmarshal payload [120]: expected value"));
    assert!(arguments(r#"{"name":7}"#).unwrap_err().ends_with("]: name is not a string"));
    assert!(arguments(r#"{"limit":-1}"#).unwrap_err().ends_with("]: limit is not a whole number from 0"));
    let long = arguments(&"x".repeat(5_000)).unwrap_err();
    assert!(long.contains(" 120 ...]: ") && long.len() < 5_000, "{}", long.len());
    let request = Request::parse(&with("dat", &json!("***")), NOW).unwrap();
    assert!(request.arguments().unwrap_err().starts_with("failed to unmarshal payload []: "));
}

proptest! {
    #[test]
    fn no_bytes_break_a_request(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        _ = Request::parse(&bytes, NOW);
    }

    #[test]
    fn no_payload_breaks_the_arguments(payload in "\\PC{0,64}") {
        _ = arguments(&payload);
    }
}
