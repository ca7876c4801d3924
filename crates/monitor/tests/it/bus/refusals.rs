//! What gets an error, what gets no answer, and what happens to neither the bus nor the keys of others.

use serde_json::json;

use super::caller::{NOW, request, result};
use super::{Caller, Stage};

const GET: &str = "msgbus.zos.perf.get";

/// The bus still serves.
async fn serves(caller: &mut Caller) {
    assert_eq!(caller.call("zos.perf.get", "{}").await, Err("result not found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_words_that_clients_look_for() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    let cases = [
        ("zos.perf.get", r#"{"name":"disk"}"#, "result not found"),
        ("zos.perf.get", "null", "result not found"),
        ("zos.perf.get", "{}", "result not found"),
        ("zos.perf.get", "", "failed to unmarshal payload []: unexpected end of JSON input"),
        ("zos.perf.get", "[1]", "failed to unmarshal payload [91 49 93]: an object is expected"),
        ("zos.perf.history", r#"{"name":"disk"}"#, "result not found"),
        ("zos.perf.run", r#"{"name":"disk"}"#, "disk runs already"),
        ("zos.perf.run", r#"{"name":"clock"}"#, "clock is not configured: no server"),
        ("zos.perf.run", r#"{"name":"x"}"#, "unknown task \"x\""),
    ];
    for (command, payload, error) in cases {
        assert_eq!(caller.call(command, payload).await, Err(error.into()), "{command} {payload}");
    }
    assert_eq!(caller.call("zos.perf.get_all", "").await, Ok(json!([])));
    assert_eq!(stage.figures().errors, cases.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_not_served_are_not_found_and_make_no_key() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    for command in ["system.reply", "system.local", "zos.perf.get_all.x", "zos.admin.reboot", "", "*"] {
        caller.push(GET, &request(command, "null", "back").to_string()).await;
        let answer = serde_json::from_str(&caller.pop("back").await).unwrap();
        assert_eq!(result(&answer), Err("function not found".into()), "{command}");
    }
    assert_eq!(caller.command::<Vec<String>>(&["KEYS", "*"]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_dropped_and_counted() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    for body in ["", "not json", "null", "[]", "{}", "\u{0}\r\n*1\r\n$4\r\nPING\r\n"] {
        caller.push(GET, body).await;
    }
    stage.until("all are looked at", |figures| figures.malformed == 6).await;
    for (member, value) in [("exp", json!(0)), ("now", json!(NOW - 31))] {
        let mut late = request("zos.perf.get", "{}", "back");
        late[member] = value;
        caller.push(GET, &late.to_string()).await;
    }
    stage.until("both are looked at", |figures| figures.expired == 2).await;
    assert_eq!((stage.figures().answered, stage.figures().requests), (0, 8));
    serves(&mut caller).await;
    assert_eq!(stage.figures().connections, 2);
}

/// 100 MB in a queue go by; they are never in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_the_bound_is_passed_over() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    let script = "return redis.call('LPUSH', KEYS[1], string.rep('x', 100000000))";
    let before = peak_kib();
    let _: i64 = caller.command(&["EVAL", script, "1", GET]).await;
    stage.until("it is passed over", |figures| figures.oversized == 1).await;
    let grown = peak_kib() - before;
    assert!(grown < 32 << 10, "{grown} KiB more than before");
    caller.push(GET, &"x".repeat((64 << 10) + 1)).await;
    stage.until("it is passed over", |figures| figures.oversized == 2).await;
    serves(&mut caller).await;
    assert_eq!((stage.figures().connections, stage.figures().malformed), (2, 0));
}

/// Most memory that this process had so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_go_to_no_key_that_is_not_the_callers() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.until("it is written", |figures| figures.written == 1).await;
    for ret in ["perf.disk", "perf.other", GET, "msgbus.system.local", "msgbus.zos.perf.run", ""] {
        caller.push(GET, &request("zos.perf.get", "{}", ret).to_string()).await;
    }
    stage.until("all are refused", |figures| figures.refused_return == 6).await;
    // Somebody's key that is no list stays what it is.
    let _: String = caller.command(&["SET", "theirs", "value"]).await;
    caller.push(GET, &request("zos.perf.get", "{}", "theirs").to_string()).await;
    stage.until("it is not delivered", |figures| figures.undelivered == 1).await;
    assert_eq!(caller.command::<String>(&["GET", "theirs"]).await, "value");
    let mut keys: Vec<String> = caller.command(&["KEYS", "*"]).await;
    keys.sort();
    assert_eq!(keys, ["perf.disk", "theirs"]);
    serves(&mut caller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_do_not_pile_up_without_bound() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    let message = request("zos.perf.get", "{}", "msgbus.system.reply").to_string();
    let script = "for i = 1, 10050 do redis.call('LPUSH', KEYS[1], ARGV[1]) end";
    let _: () = caller.command(&["EVAL", script, "1", GET, &message]).await;
    stage.until("all are answered", |figures| figures.answered == 10_050).await;
    assert_eq!(caller.command::<i64>(&["LLEN", "msgbus.system.reply"]).await, 10_000);
}
