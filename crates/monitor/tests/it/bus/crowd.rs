//! Many callers at once, and answers that take their time.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::caller::{NOW, request, result};
use super::{Caller, Stage};

const CALLERS: u64 = 200;
const QUESTIONS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_callers_each_get_their_own_answers() {
    let stage = Stage::set().await;
    for task in 0..5 {
        stage.desk.succeed(&format!("task-{task}"), NOW, json!(task));
    }
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let url = stage.redis.url();
        callers.spawn(async move {
            let mut caller = Caller::connect(&url).await;
            let key = format!("caller-{number}");
            for question in 0..QUESTIONS {
                let task = (number + question) % 6;
                let mut message = request("zos.perf.get", &json!({ "name": format!("task-{task}") }).to_string(), &key);
                let reference = format!("{number}-{question}");
                message["ref"] = json!(reference);
                caller.push("msgbus.zos.perf.get", &message.to_string()).await;
                let answer: serde_json::Value = serde_json::from_str(&caller.pop(&key).await).unwrap();
                assert_eq!(answer["ref"], json!(reference));
                match result(&answer) {
                    Ok(found) => assert_eq!(found["result"], json!(task)),
                    Err(error) => assert_eq!((task, error.as_str()), (5, "result not found")),
                }
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    stage.until("the last is confirmed", |figures| figures.answered == CALLERS * QUESTIONS).await;
    let figures = stage.figures();
    assert_eq!((figures.requests, figures.connections, figures.undelivered), (CALLERS * QUESTIONS, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_history_hold_up_nobody_and_wait_in_redis_beyond_a_bound() {
    let stage = Stage::set().await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.desk.gate.forget_permits(1_000);
    let mut caller = stage.caller().await;
    let message = request("zos.perf.history", r#"{"name":"disk","since_ms":5000,"limit":3}"#, "back").to_string();
    for _ in 0..20 {
        caller.push("msgbus.zos.perf.history", &message).await;
    }
    stage.until("sixteen are under way", |figures| figures.requests == 16).await;
    assert_eq!(caller.call("zos.perf.get", r#"{"name":"disk"}"#).await.unwrap()["result"], 1);
    assert_eq!(caller.command::<i64>(&["LLEN", "msgbus.zos.perf.history"]).await, 4);
    // Through another queue it is taken, and refused.
    caller.push("msgbus.zos.perf.get", &message).await;
    let refused = serde_json::from_str(&caller.pop("back").await).unwrap();
    assert_eq!(result(&refused), Err("too many questions at once: ask again later".into()));
    stage.desk.gate.add_permits(20);
    for _ in 0..20 {
        let answer = serde_json::from_str(&caller.pop("back").await).unwrap();
        let document = result(&answer).unwrap();
        assert_eq!(document["attempts"].as_array().unwrap().len(), 3);
        assert_eq!((&document["attempts"][2]["seq"], &document["truncated"]), (&json!(1_004), &json!(false)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_cut_to_its_newest_attempts() {
    let stage = Stage::set().await;
    stage.desk.succeed("disk", NOW, json!(1));
    *stage.desk.padding.lock() = 40_000;
    let mut caller = stage.caller().await;
    let document = caller.call("zos.perf.history", r#"{"name":"disk","limit":100}"#).await.unwrap();
    let attempts = document["attempts"].as_array().unwrap();
    assert!((20..27).contains(&attempts.len()), "{}", attempts.len());
    assert_eq!((&attempts.last().unwrap()["seq"], &document["truncated"]), (&json!(999), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_is_not_delivered() {
    let stage = Stage::set().await;
    stage.desk.succeed("disk", NOW, json!(1));
    stage.desk.gate.forget_permits(1_000);
    let mut caller = stage.caller().await;
    let message = request("zos.perf.history", r#"{"name":"disk"}"#, "back").to_string();
    caller.push("msgbus.zos.perf.history", &message).await;
    stage.until("it is under way", |figures| figures.requests == 1).await;
    stage.clock.advance(Duration::from_secs(31));
    stage.desk.gate.add_permits(1);
    stage.until("it is dropped", |figures| figures.undelivered == 1).await;
    assert_eq!(caller.command::<i64>(&["EXISTS", "back"]).await, 0);
}
