use serde_json::{Value, json};

use crate::genesis::Policy;
use crate::item::Plan;
use crate::outcome::Refusal;
use crate::town::{Offer, Town, address, plan};
use crate::transaction::Transaction;
use crate::transaction::plan::ProgramDraft;

fn town() -> (Town, u64, u64) {
    let mut town = Town::new(Policy::default());
    let user = town.settle(1, Offer::new("u33d", "one"));
    town.register(2);
    let mut draft = plan(&town, 50);
    if let ProgramDraft::Item(item) = &mut draft.program[0] {
        item.performance = Some(-1);
    }
    draft.from = 500;
    let created = town.say(2, Transaction::PublishPlan(draft)).unwrap();
    let plan = created.into_iter().find(|id| town.state().is(*id, "plan")).unwrap();
    (town, user, plan)
}

fn get(town: &Town, path: &str) -> Value {
    town.machine.query(path).unwrap_or_else(|refusal| panic!("{path}: {refusal}"))
}

/// S15-S28, S42, S49-S54: every path of the seed has an answer.
#[test]
fn s17_the_seeds_paths_answer() {
    let (town, user, plan) = town();
    let item = town.state().item::<Plan>(plan).unwrap().clone();
    let contract = item.contracts[0];
    let feed = town.state().all_of("feed").next().unwrap();
    let dataset = item.program[0].datasets[0];
    let performance = item.program[0].performance.unwrap();
    let region = item.program[0].regions[0];
    for (path, expected) in [
        // S21, S24
        (format!("storage/{user}/user/id"), json!(user)),
        (format!("storage/{user}/user/noisekey"), get(&town, &format!("storage/{user}/key"))),
        (format!("storage/{user}/user/signkey"), json!(address(1))),
        (format!("storage/{user}/user/form/from"), json!(0)),
        (format!("storage/{user}/user/form/until"), Value::Null),
        (format!("storage/{user}/user/form/timing"), json!([])),
        (format!("storage/{user}/user/form/components/region/geohash/0"), json!("u33d")),
        (format!("storage/{user}/user/form/components/resources/storage_bytes"), json!(1 << 30)),
        (format!("storage/{user}/user/form/performance"), Value::Null),
        (format!("storage/{user}/user/jobs/hoster"), json!({})),
        (format!("storage/{user}/user/status/capacity"), json!(60)),
        (format!("storage/{user}/user/status/idleStorage"), json!(1 << 30)),
        (format!("storage[{user}].type"), json!("user")),
        (format!("type/{user}"), json!("user")),
        // S17, S19
        (format!("storage/{contract}/hosting/id"), json!(contract)),
        (format!("storage/{contract}/hosting/plan_id"), json!(plan)),
        (format!("storage/{contract}/hosting/feed_id"), json!(feed)),
        (format!("storage/{contract}/hosting/ranges"), json!([[0, 9]])),
        (format!("storage/{contract}/hosting/amendments"), json!([])),
        (format!("storage/{contract}/hosting/status/active_hoster"), json!({})),
        // S25-S28
        (format!("storage/{feed}/publickey"), json!(address(50))),
        (format!("feed/{feed}/chunk/100"), json!(100_000)),
        (format!("feed/{feed}/chunk/0"), json!(0)),
        (format!("storage/{feed}/meta/hashType"), json!("peermark/feed-tree/v1")),
        (format!("storage/{feed}/meta/children"), json!([63, 159, 195])),
        // S42
        (format!("storage/{plan}/sponsor_id"), json!(get(&town, &format!("lookups/userByAddress/{}", address(2))))),
        (format!("storage/{plan}/from"), json!(500)),
        (format!("storage/{plan}/until/time"), Value::Null),
        (format!("storage/{plan}/status/contract_ids/0"), json!(contract)),
        (format!("storage/{plan}/program/0/dataset"), json!([dataset])),
        // S49, S50, S54
        (format!("storage/{dataset}/ranges/0/first"), json!(0)),
        (format!("storage/{dataset}/ranges/0/last"), json!(24)),
        (format!("type/dataset/{dataset}"), json!(true)),
        (format!("storage/{performance}/availability"), json!(900_000)),
        (format!("storage/{performance}/bandwidth/egress"), Value::Null),
        (format!("region/{region}/geohash"), json!(["u33"])),
        ("type/plan".into(), json!([plan])),
    ] {
        assert_eq!(get(&town, &path), expected, "{path}");
    }
    assert!(get(&town, &format!("storage/{contract}/hosting/status/scheduler_id")).is_u64());
    assert_eq!(get(&town, &format!("storage/{feed}/meta/signature/100")).as_str().map(str::len), Some(128));
    let qualifies = get(&town, &format!("doesQualify/{user}/hoster/{contract}"));
    assert_eq!(qualifies, json!({ "qualifies": true, "reasons": [] }));
}

/// S4-S9, S11-S13, S22: pools, queues, lookups, what is under way, and the queries of the database.
#[test]
fn s4_pools_queues_and_lookups_answer() {
    let (town, user, plan) = town();
    let contract = town.state().item::<Plan>(plan).unwrap().contracts[0];
    let feed = town.state().all_of("feed").next().unwrap();
    for (path, expected) in [
        // Pools, queues, lookups, what is under way
        ("DB.status.idleHosters".into(), json!([user])),
        ("DB.status.idleHosters[0]".into(), json!(user)),
        ("DB.status.idleAttesters".into(), json!([user])),
        ("DB.status.pendingAmendments".into(), json!([])),
        ("DB.status.attestersJobQueue/size".into(), json!(1)),
        ("queues.tasks".into(), json!([{ "fnName": "rawBenchmark", "id": user }])),
        ("active.storageChallenges".into(), json!({})),
        ("DB.activeQueue.activePerformanceChallenges".into(), json!({})),
        ("active/activeAmendments".into(), json!({})),
        (format!("lookups.userIDBySigningKey/{}", address(1)), json!(user)),
        (format!("lookups.userIDByKey/{}", address(1)), json!(user)),
        (format!("lookups.feedByKey/{}", address(50)), json!(feed)),
        (format!("getUserIDBySigningKey/{}", address(1)), json!(user)),
        (format!("getFeedByKey/{}", address(50)), get(&town, &format!("getFeedByID/{feed}"))),
        (format!("getContractByID/{contract}"), get(&town, &format!("storage/{contract}"))),
        (format!("balance/{}", address(1)), json!(crate::town::MONEY)),
        ("balance/held/0".to_owned(), json!(0)),
        ("rootDoubt/0".to_owned(), json!(null)),
        ("height".into(), json!(town.height())),
        ("policy/committee".into(), json!(5)),
        (format!("getCapacity/{user}/hoster"), json!(20)),
    ] {
        assert_eq!(get(&town, &path), expected, "{path}");
    }
}

/// S2, S66: history and tombstones; what is not there, or of another type, is refused with a reason.
#[test]
fn s66_what_is_not_there_has_no_answer() {
    let (mut town, user, plan) = town();
    for wrong in [
        "",
        "/",
        "DB",
        "nonsense",
        "storage/9999",
        "storage/x",
        "storage/-1",
        "status/idle",
        "status.idleHosters[7]",
        "lookups/userByAddress/00",
        "lookups/other/00",
        "getFeedByKey/xyz",
        "queues/other",
        "active/other",
        "type/none",
        "getCapacity/0/king",
        "user/99999999999999999999",
    ] {
        assert!(town.machine.query(wrong).is_err(), "{wrong}");
    }
    assert!(matches!(town.machine.query(&format!("getPlanByID/{user}")), Err(Refusal::WrongKind { .. })));
    assert!(matches!(town.machine.query(&format!("user/{plan}")), Err(Refusal::WrongKind { .. })));
    let long = "x".repeat(100_000);
    assert!(town.machine.query(&long).unwrap_err().to_string().len() < 300);
    town.say(1, Transaction::DeleteAccount {}).unwrap();
    assert!(matches!(town.machine.query(&format!("storage/{user}")), Err(Refusal::Unknown { .. })));
    assert_eq!(get(&town, &format!("storage/{user}/versions")), json!(3));
    assert_eq!(get(&town, &format!("storage/{user}/versions/0/type")), json!("user"));
    assert_eq!(get(&town, &format!("storage/{user}/versions/2")), Value::Null);
}
