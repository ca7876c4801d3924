//! Redis that comes late, goes and comes back; and the ways to reach one.

use std::sync::Arc;
use std::time::Duration;

use peermark_monitor::bus::{Bus, BusError};
use peermark_testkit::{FakeClock, Redis};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::caller::NOW;
use super::{Caller, DEADLINE, FakeDesk, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_comes_back_with_redis_and_the_view_is_written_again() {
    let mut stage = Stage::set().await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.until("it is written", |figures| figures.written == 1).await;
    stage.redis.stop();
    stage.until("it is noticed", |figures| figures.service_connected + figures.view_connected == 0).await;
    // What happens meanwhile is in the view afterwards.
    stage.desk.succeed("iperf", NOW, json!(2));
    stage.redis.start_again();
    stage.until("both keys are there", |figures| figures.written == 3 && figures.service_connected == 1).await;
    let mut caller = stage.caller().await;
    assert!(caller.command::<String>(&["GET", "perf.disk"]).await.ends_with(r#""result":1}"#));
    assert!(caller.command::<String>(&["GET", "perf.iperf"]).await.ends_with(r#""result":2}"#));
    assert_eq!(caller.call("zos.perf.get", r#"{"name":"iperf"}"#).await.unwrap()["result"], 2);
    assert_eq!(stage.figures().connections, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_come_after_the_monitor_and_connections_may_be_killed() {
    let mut redis = Redis::start();
    redis.stop();
    let desk = Arc::new(FakeDesk::new());
    desk.succeed("disk", NOW, json!(1));
    let bus = Bus::start(&redis.url(), desk.clone(), Arc::new(FakeClock::new()), &CancellationToken::new()).unwrap();
    assert_eq!(bus.counters().figures().connections, 0);
    redis.start_again();
    let stage = Stage { redis, desk, clock: Arc::new(FakeClock::new()), bus };
    let mut caller = Caller::connect(&stage.redis.url()).await;
    assert_eq!(caller.call("zos.perf.get", r#"{"name":"disk"}"#).await.unwrap()["result"], 1);
    stage.until("the view is there", |figures| figures.written == 1).await;
    let _: i64 = caller.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    stage.until("both are back", |figures| figures.connections == 4 && figures.written == 2).await;
    assert_eq!(caller.call("zos.perf.get", r#"{"name":"disk"}"#).await.unwrap()["result"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_no_list_does_not_silence_the_others_for_ever() {
    let stage = Stage::set().await;
    let mut caller = stage.caller().await;
    let _: String = caller.command(&["SET", "msgbus.zos.perf.run", "no list"]).await;
    assert_eq!(caller.call("zos.perf.get_all", "null").await, Ok(json!([])));
    let _: i64 = caller.command(&["DEL", "msgbus.zos.perf.run"]).await;
    assert_eq!(caller.call("zos.perf.run", r#"{"name":"iperf"}"#).await.unwrap()["after_seq"], 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_databases_and_unix_sockets_are_used() {
    let redis = Redis::start_with(Some("secret"));
    let (tcp, unix) = (format!("{}/3", redis.url()), format!("{}&db=5", redis.unix_url()));
    let stage = Stage::set_on(redis, &tcp).await;
    let mut caller = Caller::connect(&tcp).await;
    assert_eq!(caller.call("zos.perf.get_all", "null").await, Ok(json!([])));
    let Stage { redis, bus, .. } = stage;
    tokio::time::timeout(DEADLINE, bus.stop()).await.expect("the bus stops");
    let stage = Stage::set_on(redis, &unix).await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.until("it is written", |figures| figures.written == 1).await;
    let mut caller = Caller::connect(&unix).await;
    assert_eq!(caller.command::<Vec<String>>(&["KEYS", "*"]).await, ["perf.disk"]);
    let mut other = Caller::connect(&tcp).await;
    assert_eq!(other.command::<i64>(&["DBSIZE"]).await, 0);
}

fn refused_logins(stats: &str) -> u64 {
    stats
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_WRONGPASS:count="))
        .map_or(0, |n| n.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_again_and_a_bad_url_never() {
    let redis = Redis::start_with(Some("secret"));
    let url = format!("redis://:wrong@127.0.0.1:{}", redis.port());
    let (desk, clock) = (Arc::new(FakeDesk::new()), Arc::new(FakeClock::new()));
    let stop = CancellationToken::new();
    let bus = Bus::start(&url, desk.clone(), clock.clone(), &stop).unwrap();
    let mut caller = Caller::connect(&redis.url()).await;
    let tried = async {
        while refused_logins(&caller.command::<String>(&["INFO", "errorstats"]).await) < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, tried).await.expect("it tries");
    assert_eq!(bus.counters().figures().connections, 0);
    let _: String = caller.command(&["CONFIG", "SET", "requirepass", "wrong"]).await;
    super::until("it is in", || bus.counters().figures().connections == 2).await;
    stop.cancel();
    tokio::time::timeout(DEADLINE, bus.stop()).await.expect("the bus stops");
    for url in ["", "localhost", "rediss://127.0.0.1", "redis://127.0.0.1/x"] {
        let refused = Bus::start(url, desk.clone(), clock.clone(), &stop).err();
        assert!(matches!(refused, Some(BusError::Url(_))), "{url}");
    }
}
