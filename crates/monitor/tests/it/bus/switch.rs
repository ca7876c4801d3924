//! Clients as they are: they know `msgbus.system.local` only. Between them and the bus stands what rmb-peer does for a twin on the
//! same machine, without relay and chain.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::caller::{NOW, result};
use super::{Caller, DEADLINE, Stage};

const TWIN: u32 = 7;

/// Turns requests to our own twin into requests to a service, and answers of services into answers to clients.
fn switch(url: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut redis = Caller::connect(&url).await;
        let mut waiting: HashMap<String, Value> = HashMap::new();
        for number in 0_u64.. {
            let popped: Option<(String, String)> =
                redis.command(&["BRPOP", "msgbus.system.local", "msgbus.system.reply", "0"]).await;
            let (queue, body) = popped.unwrap();
            let message: Value = serde_json::from_str(&body).unwrap();
            if queue == "msgbus.system.reply" {
                for member in ["ver", "ref", "dat", "dst", "now"] {
                    assert!(message.get(member).is_some_and(|value| !value.is_null()), "rmb-peer loses it: {message}");
                }
                let request = waiting.remove(message["ref"].as_str().unwrap()).expect("a request");
                assert_eq!(message["dst"], json!(TWIN.to_string()));
                let answer = json!({
                    "ver": 1, "ref": request["ref"], "dat": message["dat"], "src": TWIN.to_string(), "shm": message["shm"],
                    "now": message["now"], "err": message["err"],
                });
                redis.push(request["ret"].as_str().unwrap(), &answer.to_string()).await;
                continue;
            }
            let uid = format!("uid-{number}");
            let command = message["cmd"].as_str().unwrap();
            let sent = if message["now"] == 0 { json!(NOW) } else { message["now"].clone() };
            let incoming = json!({
                "ver": 1, "ref": uid, "src": TWIN.to_string(), "cmd": command, "exp": message["exp"], "dat": message["dat"],
                "tag": message.get("tag"), "ret": "msgbus.system.reply", "shm": message["shm"], "now": sent,
            });
            redis.push(&format!("msgbus.{command}"), &incoming.to_string()).await;
            waiting.insert(uid, message);
        }
    })
}

/// As the Go client of tfgrid calls: members in its order, pushed on the other end, a list of its own for the answer.
async fn call_as_go(caller: &mut Caller, number: u32, command: &str, payload: &str) -> Result<Value, String> {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(payload);
    let queue = format!("3f0c9f0e-0000-4000-8000-{number:012}");
    let body = format!(
        r#"{{"ver":1,"ref":"","cmd":"{command}","exp":300,"dat":"{data}","dst":[{TWIN}],"ret":"{queue}","shm":"application/json","now":0}}"#
    );
    let _: i64 = caller.command(&["RPUSH", "msgbus.system.local", &body]).await;
    let answer: Value = serde_json::from_str(&caller.pop(&queue).await).unwrap();
    assert_eq!(answer["shm"], "application/json");
    result(&answer)
}

/// As the tester that comes with rmb-peer, in Python, calls.
async fn call_as_python(caller: &mut Caller, command: &str, payload: &str) -> Value {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(payload);
    let body = json!({
        "ver": 1, "ref": "my-ref", "cmd": command, "exp": 300, "dat": data, "tag": "", "dst": [TWIN], "ret": "py-answers",
        "shm": "application/json", "now": NOW, "err": {"code": 0, "message": ""},
    });
    caller.push("msgbus.system.local", &body.to_string()).await;
    serde_json::from_str(&caller.pop("py-answers").await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_are_served_behind_a_switch() {
    let stage = Stage::set().await;
    let switch = switch(stage.redis.url());
    let mut caller = stage.caller().await;
    let calls = async {
        assert_eq!(call_as_go(&mut caller, 1, "zos.perf.get_all", "null").await, Ok(json!([])));
        stage.desk.succeed("iperf", NOW, json!([]));
        let got = call_as_go(&mut caller, 2, "zos.perf.get", r#"{"Name":"iperf"}"#).await.unwrap();
        assert_eq!(got, json!({"name": "iperf", "description": "What iperf does.", "timestamp": NOW, "result": []}));
        assert_eq!(call_as_go(&mut caller, 3, "zos.perf.get_all", "null").await, Ok(json!([got])));
        let missing = call_as_go(&mut caller, 4, "zos.perf.get", r#"{"Name":"disk"}"#).await;
        assert_eq!(missing, Err("result not found".into()));
        let history = call_as_go(&mut caller, 5, "zos.perf.history", r#"{"name":"iperf","limit":2}"#).await.unwrap();
        assert_eq!(history["attempts"].as_array().unwrap().len(), 2);
        let answer = call_as_python(&mut caller, "zos.perf.get", r#"{"name":"iperf"}"#).await;
        assert_eq!((&answer["ref"], &answer["err"]), (&json!("my-ref"), &Value::Null));
        assert_eq!(result(&answer).unwrap()["name"], "iperf");
        // Nobody serves it: the caller waits until it gives up.
        let data = json!({"ver": 1, "cmd": "zos.perf.nothing", "exp": 1, "dat": "", "dst": [TWIN], "ret": "never",
            "shm": "application/json", "now": 0, "ref": ""});
        caller.push("msgbus.system.local", &data.to_string()).await;
        let answer: Option<(String, String)> = caller.command(&["BLPOP", "never", "1"]).await;
        assert_eq!(answer, None);
    };
    tokio::time::timeout(DEADLINE, calls).await.expect("answers");
    switch.abort();
    assert!(switch.await.unwrap_err().is_cancelled(), "the switch failed");
}
