//! The conversation with Redis, byte for byte.

use std::path::Path;

use peermark_testkit::Redis;
use serde_json::json;

use super::caller::{NOW, request, result};
use super::recorder::Recorder;
use super::{Stage, until};

/// Every command and every error, one after another, as a service behind rmb-peer. The file has what the bus (`>`) and Redis (`<`)
/// say on either connection.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_redis_is_what_rmb_peer_expects() {
    let redis = Redis::start();
    let recorder = Recorder::default();
    let address = recorder.listen(redis.port()).await;
    let stage = Stage::set_on(redis, &format!("redis://{address}")).await;
    let mut caller = stage.caller().await;
    let ret = "msgbus.system.reply";
    caller.ask("zos.perf.get_all", "null", ret).await;
    stage.desk.succeed("iperf", NOW - 100, json!([{"upload_speed": 1000.5, "test_type": "tcp"}]));
    stage.until("the key is written", |figures| figures.written == 1).await;
    stage.desk.succeed("healthcheck", NOW - 50, json!({"cache": [], "network": []}));
    stage.until("the key is written", |figures| figures.written == 2).await;
    for (command, payload) in [
        ("zos.perf.get", r#"{"Name":"iperf"}"#),
        ("zos.perf.get", r#"{"name":"healthcheck"}"#),
        ("zos.perf.get", r#"{"name":"disk"}"#),
        ("zos.perf.get", "null"),
        ("zos.perf.get", "[1]"),
        ("zos.perf.get", ""),
        ("zos.perf.get_all", ""),
        ("zos.perf.run", r#"{"name":"iperf"}"#),
        ("zos.perf.run", r#"{"name":"disk"}"#),
        ("zos.perf.schedule", "null"),
        ("zos.perf.status", "null"),
        ("zos.perf.history", r#"{"name":"disk"}"#),
    ] {
        caller.ask(command, payload, ret).await;
    }
    // A command in the message that is not the queue's, and a session at the source.
    let mut message = request("zos.perf.delete", "null", ret);
    message["src"] = json!("7:session");
    message["ref"] = json!(null);
    caller.push("msgbus.zos.perf.get", &message.to_string()).await;
    caller.pop(ret).await;
    // What gets no answer.
    message["shm"] = json!("application/octet-stream");
    caller.push("msgbus.zos.perf.get", &message.to_string()).await;
    stage.until("it is dropped", |figures| figures.foreign_schema == 1).await;
    until("the wait after it is said", || recorder.transcript("BRPOP").ends_with("> 5\n")).await;
    let view = "perf.iperf\r\n";
    until("Redis's word about the last", || recorder.transcript(view).ends_with("< +OK\n")).await;
    let transcript = format!(
        "# Connection of the service\n{}# Connection of the view\n{}",
        recorder.transcript("BRPOP"),
        recorder.transcript(view)
    );
    compare(&transcript);
}

/// What the guide says to type.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_is_answered() {
    let guide = include_str!("../../../../../docs/guides/redis-bus.md");
    let line = guide.lines().find_map(|line| line.strip_prefix("redis-cli LPUSH ")).unwrap();
    let (queue, message) = line.split_once(' ').unwrap();
    let stage = Stage::set().await;
    stage.desk.succeed("healthcheck", NOW, json!({"cache": [], "network": []}));
    let mut caller = stage.caller().await;
    caller.push(queue, message.trim_matches('\'')).await;
    let answer = serde_json::from_str(&caller.pop("my-answers").await).unwrap();
    assert_eq!(result(&answer).unwrap()["name"], "healthcheck");
}

fn compare(transcript: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bus.txt");
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bus.txt");
    std::fs::write(&actual, transcript).unwrap();
    assert!(expected == transcript, "compare {} with {}", golden.display(), actual.display());
}
