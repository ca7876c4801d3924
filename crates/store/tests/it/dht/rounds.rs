//! Rounds are written once, and read page by page.

use peermark_store::StoreError;
use peermark_store::dht::{Measured, MeasuredFilter, NodeId, RoundRows, RoundWritten, SchedulerId};

use crate::dht::{Bed, NOW, everything, on_both, row};

on_both!(
    a_round_is_written_once,
    of_many_tries_at_once_one_writes,
    a_server_that_is_gone_costs_its_own_rows,
    who_came_back_meanwhile_is_not_offline,
    measurements_go_with_their_server,
    what_a_server_says_does_not_cost_the_round,
    pages_miss_and_repeat_nothing,
    the_filter_has_fleets_and_borders,
    nonsense_is_refused,
);

fn round(batch: &str, node: NodeId) -> RoundRows {
    let mut failed = row(node, NOW + 2);
    failed.error = Some("no peer".to_owned());
    let mut provide = row(node, NOW);
    provide.step = "provide".to_owned();
    let mut succeeded = row(node, NOW + 1);
    succeeded.error = Some(String::new());
    RoundRows {
        batch: batch.to_owned(),
        provides: vec![provide],
        retrievals: vec![succeeded, failed],
        offline: vec![(node, NOW + 3)],
    }
}

async fn a_round_is_written_once(bed: &Bed) {
    let (scheduler, other, node) = (bed.scheduler().await, bed.scheduler().await, bed.node("default").await);
    bed.store.heartbeat(node, NOW).await.unwrap();
    let rows = round("r-1", node);
    assert!(bed.store.write_round(scheduler, &rows).await.unwrap().now);
    let state = format!("SELECT {} || ' ' || {} FROM nodes_ecs", bed.ms("last_heartbeat"), bed.ms("offline_since"));
    assert_eq!(bed.sql(&state).await, format!("{NOW} {}", NOW + 3));
    // The server came back before the acknowledgement that was lost was asked for again.
    bed.store.heartbeat(node, NOW + 9).await.unwrap();
    assert!(!bed.store.write_round(scheduler, &rows).await.unwrap().now);
    assert_eq!(bed.sql(&state).await, format!("{} -", NOW + 9));
    assert_eq!((bed.count("provides_ecs").await, bed.count("retrievals_ecs").await), (1, 2));

    let provide = format!(
        "SELECT scheduler_id || ' ' || node_id || ' ' || rt_size || ' ' || duration || ' ' || cid || ' ' || {} || ' ' \
         || coalesce(error, '-') || ' ' || step FROM provides_ecs",
        bed.ms("created_at")
    );
    let expected = format!("1 1 201 1.234567891 {} {NOW} - provide", row(node, 0).cid);
    assert_eq!(bed.sql(&provide).await, expected);
    let no_error = "SELECT CAST(count(*) AS TEXT) FROM retrievals_ecs WHERE error IS NULL";
    assert_eq!(bed.sql(no_error).await, "1", "an empty text is no error");

    assert!(bed.store.write_round(other, &rows).await.unwrap().now, "names are each scheduler's own");
    assert_eq!(bed.count("provides_ecs").await, 2);
    let read = bed.store.measured(&everything(), 10).await.unwrap();
    let mut expected = rows.retrievals[0].clone();
    expected.error = None;
    assert_eq!(read[2].row, expected);
    assert_eq!((read[0].provide, read[2].provide, read[1].scheduler), (true, false, other));
    assert_eq!(read[0].row, rows.provides[0]);
    assert_eq!(read[4].row, rows.retrievals[1]);
    assert_eq!((read[0].region.as_str(), read[0].fleet.as_str()), ("eu-central-1", "default"));
}

async fn of_many_tries_at_once_one_writes(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let tries = (0..8).map(|_| {
        let (store, rows) = (bed.store.clone(), round("r-1", node));
        tokio::spawn(async move { store.write_round(scheduler, &rows).await.unwrap().now })
    });
    let mut written = 0;
    for one in tries.collect::<Vec<_>>() {
        written += u32::from(one.await.unwrap());
    }
    assert_eq!(written, 1);
    assert_eq!((bed.count("provides_ecs").await, bed.count("retrievals_ecs").await), (1, 2));
}

async fn a_server_that_is_gone_costs_its_own_rows(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let mut rows = round("r-1", node);
    rows.retrievals[1].node = NodeId(99);
    rows.offline.insert(0, (NodeId(99), NOW));
    let written = bed.store.write_round(scheduler, &rows).await.unwrap();
    assert_eq!(written, RoundWritten { now: true, orphans: 1 });
    assert_eq!((bed.count("provides_ecs").await, bed.count("retrievals_ecs").await), (1, 1));
    assert_eq!(bed.count("nodes_ecs WHERE offline_since IS NOT NULL").await, 1);
    let again = bed.store.write_round(scheduler, &rows).await.unwrap();
    assert_eq!(again, RoundWritten { now: false, orphans: 0 });
    // Without its scheduler a round is nobody's, and nothing is kept of its name.
    let gone = SchedulerId(77);
    for _ in 0..2 {
        let error = bed.store.write_round(gone, &round("r-2", node)).await.unwrap_err();
        assert!(matches!(&error, StoreError::DanglingRound { batch } if batch == "r-2"), "{error:?}");
    }
    assert_eq!((bed.count("provides_ecs").await, bed.count("retrievals_ecs").await), (1, 1));
}

async fn who_came_back_meanwhile_is_not_offline(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let offline = format!("SELECT {} FROM nodes_ecs", bed.ms("offline_since"));
    bed.store.heartbeat(node, NOW + 4).await.unwrap();
    assert!(bed.store.write_round(scheduler, &round("late", node)).await.unwrap().now);
    assert_eq!(bed.sql(&offline).await, "-", "offline at 3, alive at 4");
    bed.store.heartbeat(node, NOW + 3).await.unwrap();
    assert!(bed.store.write_round(scheduler, &round("in time", node)).await.unwrap().now);
    assert_eq!(bed.sql(&offline).await, (NOW + 3).to_string());
    bed.store.heartbeat(node, NOW + 9).await.unwrap();
    bed.store.mark_offline(node, NOW + 5).await.unwrap();
    assert_eq!(bed.sql(&offline).await, (NOW + 5).to_string(), "a server itself knows that it stops");
}

async fn measurements_go_with_their_server(bed: &Bed) {
    let (scheduler, gone, stays) = (bed.scheduler().await, bed.node("default").await, bed.node("default").await);
    for (batch, node) in [("r-1", gone), ("r-2", stays)] {
        bed.store.write_round(scheduler, &round(batch, node)).await.unwrap();
    }
    bed.sql(&format!("DELETE FROM nodes_ecs WHERE id = {}", gone.0)).await;
    let left = bed.store.measured(&everything(), 10).await.unwrap();
    assert_eq!(left.iter().map(|measured| measured.row.node).collect::<Vec<_>>(), [stays, stays, stays]);
    bed.sql("DELETE FROM schedulers_ecs").await;
    assert_eq!((bed.count("provides_ecs").await, bed.count("retrievals_ecs").await), (0, 0));
}

async fn what_a_server_says_does_not_cost_the_round(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let mut rows = round("r-1", node);
    rows.retrievals[1].error = Some(format!("a\0b{}", "ü".repeat(1_000_000)));
    rows.retrievals[1].cid = "\0".repeat(5000);
    rows.retrievals[1].rt_size = i32::MIN;
    rows.retrievals[1].duration_ns = u64::MAX;
    assert!(bed.store.write_round(scheduler, &rows).await.unwrap().now);
    let read = bed.store.measured(&MeasuredFilter { from_ms: NOW + 2, ..everything() }, 10).await;
    // Six hundred years are above what seconds as a float say exactly: the reader names the row or rounds.
    match read {
        Ok(read) => {
            let error = read[0].row.error.as_deref().unwrap();
            assert!(error.starts_with("a\u{fffd}bü") && error.len() <= 4096, "{} bytes", error.len());
            assert!(read[0].row.cid.len() <= 256 && !read[0].row.cid.contains('\0'));
        }
        Err(error) => panic!("{error:?}"),
    }
}

async fn pages_miss_and_repeat_nothing(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    for number in 0..6 {
        let mut rows = RoundRows { batch: format!("r-{number}"), ..RoundRows::default() };
        // Most rows share their moment with rows of both tables.
        rows.provides = (0..5).map(|_| row(node, NOW + number / 4)).collect();
        rows.retrievals = (0..7).map(|part| row(node, NOW + number / 2 + part / 6)).collect();
        assert!(bed.store.write_round(scheduler, &rows).await.unwrap().now);
    }
    let whole = bed.store.measured(&everything(), 1000).await.unwrap();
    assert_eq!(whole.len(), 72);
    assert!(whole.is_sorted_by_key(|measured| measured.cursor));
    assert!(whole.is_sorted_by_key(|measured| measured.row.created_ms));
    for size in [1, 7, 71, 72] {
        let (mut filter, mut pages) = (everything(), Vec::<Measured>::new());
        loop {
            let page = bed.store.measured(&filter, size).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some(last.cursor);
            assert!(page.len() <= size as usize);
            pages.extend(page);
        }
        assert_eq!(pages, whole, "pages of {size}");
    }
    assert!(bed.store.measured(&everything(), 0).await.unwrap().is_empty());
}

async fn the_filter_has_fleets_and_borders(bed: &Bed) {
    let scheduler = bed.scheduler().await;
    for (batch, fleet) in [("r-1", "default"), ("r-2", "optprov")] {
        let node = bed.node(fleet).await;
        bed.store.write_round(scheduler, &round(batch, node)).await.unwrap();
    }
    let count = async |fleets: &[&str], from_ms, until_ms| {
        let fleets = fleets.iter().map(|fleet| (*fleet).to_owned()).collect();
        let filter = MeasuredFilter { fleets, from_ms, until_ms, after: None };
        bed.store.measured(&filter, 100).await.unwrap().len()
    };
    assert_eq!(count(&[], 0, u64::MAX).await, 6);
    assert_eq!(count(&["optprov"], 0, u64::MAX).await, 3);
    assert_eq!(count(&["fullrt"], 0, u64::MAX).await, 0);
    assert_eq!(count(&[], NOW + 1, NOW + 2).await, 2, "from is within, until is not");
    assert_eq!(count(&[], NOW, NOW).await, 0);
    assert_eq!(count(&[], u64::MAX, u64::MAX).await, 0);
}

async fn nonsense_is_refused(bed: &Bed) {
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let nameless = bed.store.write_round(scheduler, &round("", node)).await.unwrap_err();
    assert!(matches!(nameless, StoreError::NamelessRound), "{nameless:?}");
    let long = bed.store.write_round(scheduler, &round(&"r".repeat(1025), node)).await.unwrap_err();
    assert!(matches!(long, StoreError::TooLong { .. }), "{long:?}");
    let mut late = round("r-1", node);
    late.provides[0].created_ms = u64::MAX;
    let late = bed.store.write_round(scheduler, &late).await.unwrap_err();
    assert!(matches!(late, StoreError::DoesNotFit { what: "created_at", .. }), "{late:?}");
    let many = RoundRows { offline: vec![(node, NOW); 100_001], ..round("r-1", node) };
    let many = bed.store.write_round(scheduler, &many).await.unwrap_err();
    assert!(matches!(many, StoreError::TooMany { .. }), "{many:?}");
    bed.sql("UPDATE nodes_ecs SET region = 'x'").await;
    assert!(bed.store.write_round(scheduler, &round("r-1", node)).await.unwrap().now);
    bed.sql("UPDATE provides_ecs SET duration = -1").await;
    let negative = bed.store.measured(&everything(), 10).await.unwrap_err();
    let StoreError::Row(negative) = negative else { panic!("{negative:?}") };
    assert_eq!(negative.to_string(), "provides_ecs 1: not a duration in seconds: -1");
}
