//! A program that asks over the queues, with a stock client of Redis.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue};
use serde_json::{Value, json};

use super::DEADLINE;

/// The moment of the tests' clock, Unix seconds.
pub(super) const NOW: u64 = 1_767_225_600;

pub(super) struct Caller {
    connection: MultiplexedConnection,
}

/// A request as rmb-peer puts it into a queue.
pub(super) fn request(command: &str, payload: &str, ret: &str) -> Value {
    json!({
        "ver": 1, "ref": "29eb", "src": "1", "cmd": command, "exp": 30, "dat": STANDARD.encode(payload), "tag": null, "ret": ret,
        "shm": "application/json", "now": NOW,
    })
}

/// The JSON in an answer, or the words of its error.
pub(super) fn result(answer: &Value) -> Result<Value, String> {
    match &answer["err"] {
        Value::Null => Ok(serde_json::from_slice(&STANDARD.decode(answer["dat"].as_str().unwrap()).unwrap()).unwrap()),
        error => {
            assert_eq!((&error["code"], &answer["dat"]), (&json!(255), &json!("")));
            Err(error["message"].as_str().unwrap().to_owned())
        }
    }
}

impl Caller {
    pub(super) async fn connect(url: &str) -> Self {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        let client = Client::open(url).unwrap();
        Self { connection: client.get_multiplexed_async_connection_with_config(&config).await.unwrap() }
    }

    pub(super) async fn command<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query_async(&mut self.connection).await.unwrap()
    }

    pub(super) async fn push(&mut self, queue: &str, body: &str) {
        let _: i64 = self.command(&["LPUSH", queue, body]).await;
    }

    /// The next answer under a key.
    pub(super) async fn pop(&mut self, key: &str) -> String {
        let popped: Option<(String, String)> = self.command(&["BLPOP", key, "30"]).await;
        popped.expect("an answer").1
    }

    /// Asks a service's own queue, and answers with the whole message.
    pub(super) async fn ask(&mut self, command: &str, payload: &str, ret: &str) -> Value {
        self.push(&format!("msgbus.{command}"), &request(command, payload, ret).to_string()).await;
        serde_json::from_str(&self.pop(ret).await).unwrap()
    }

    /// Asks and reads the answer.
    pub(super) async fn call(&mut self, command: &str, payload: &str) -> Result<Value, String> {
        result(&self.ask(command, payload, "0b9c2f7e-4a86-4b3c-9d3c-6d4f5f3a2b10").await)
    }
}
