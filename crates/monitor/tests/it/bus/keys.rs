//! The keys that readers of zos know.

use serde_json::json;

use super::Stage;
use super::caller::NOW;

const HEALTHCHECK: &str = r#"{"name":"healthcheck","description":"What healthcheck does.","timestamp":1767225600,"result":{"cache":[],"network":[]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_holds_the_latest_success_for_ever_and_failures_do_not_touch_it() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    stage.desk.succeed("healthcheck", NOW, json!({"cache": [], "network": []}));
    stage.until("it is written", |figures| figures.written == 1).await;
    assert_eq!(caller.command::<String>(&["GET", "perf.healthcheck"]).await, HEALTHCHECK);
    assert_eq!(caller.command::<i64>(&["TTL", "perf.healthcheck"]).await, -1);

    // The next success of another task shows that the failure before it was looked at.
    let _: String = caller.command(&["SET", "perf.healthcheck", "touched"]).await;
    stage.desk.fail();
    stage.desk.succeed("disk", NOW, json!(1));
    stage.until("the other is written", |figures| figures.written == 2).await;
    assert_eq!(caller.command::<String>(&["GET", "perf.healthcheck"]).await, "touched");

    stage.desk.succeed("healthcheck", NOW + 60, json!({"cache": ["full"], "network": []}));
    stage.until("it is written", |figures| figures.written == 3).await;
    let value: String = caller.command(&["GET", "perf.healthcheck"]).await;
    assert!(value.contains(r#""timestamp":1767225660,"result":{"cache":["full"],"network":[]}"#), "{value}");
    let keys: Vec<String> = caller.command(&["KEYS", "*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_does_not_take_is_counted_and_written_when_it_does() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    let _: String = caller.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.until("it is refused", |figures| figures.unwritten > 0).await;
    let _: String = caller.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    stage.until("it is written", |figures| figures.written == 1).await;
    assert_eq!(stage.figures().connections, 2);
    assert!(caller.command::<String>(&["GET", "perf.disk"]).await.contains(r#""result":1}"#));
}
