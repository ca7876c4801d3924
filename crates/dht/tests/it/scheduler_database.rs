//! The database goes away and comes back.

use std::collections::HashSet;
use std::time::Duration;

use peermark_dht::scheduler::round::Skip;
use peermark_dht::scheduler::{Notice, SchedulerOptions};
use rusqlite::Connection;

use crate::scheduler_fixture::{Cluster, Fault, complete, quick};

/// Takes the servers' table away or gives it back: neither can servers be read then nor rounds be written.
fn rename(cluster: &Cluster, from: &str, to: &str) {
    let connection = Connection::open(cluster.directory.path().join("peermark.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    // Keeps what the other tables refer to under its name.
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON").unwrap();
    // The lock first: SQLite does not wait for one that a reader wants to have in addition.
    let sql = format!("BEGIN IMMEDIATE; ALTER TABLE {from} RENAME TO {to}; COMMIT");
    connection.execute_batch(&sql).unwrap();
}

#[tokio::test]
async fn rounds_go_on_without_the_database_and_are_written_once_when_it_is_back() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::None), ("b", "us", "default", Fault::None)]).await;
    let options = SchedulerOptions { rounds: None, interval: Duration::from_millis(50), ..quick(0) };
    let running = cluster.begin(options, None);
    running.until("rounds", |told| complete(told) >= 2).await;
    rename(&cluster, "nodes_ecs", "nodes_gone");
    running.until("it is said", |told| told.iter().any(|notice| matches!(notice, Notice::DatabaseGone { .. }))).await;
    let before = complete(&running.told.lock());
    running.until("rounds without the database", |told| complete(told) >= before + 5).await;
    running.until("it is said", |told| told.iter().any(|notice| matches!(notice, Notice::NotWritten { .. }))).await;
    rename(&cluster, "nodes_gone", "nodes_ecs");
    running
        .until("it is back", |told| told.contains(&Notice::DatabaseBack) && told.contains(&Notice::WrittenAgain))
        .await;
    running.stop.cancel();
    let done = running.end().await;

    assert_eq!((done.summary.unwritten, done.summary.metrics.dropped()), (0, 0));
    let rows = cluster.rows().await;
    let provides: Vec<_> = rows.iter().filter(|row| row.provide).map(|row| row.row.cid.clone()).collect();
    let distinct: HashSet<_> = provides.iter().collect();
    assert_eq!(distinct.len(), provides.len(), "no round twice");
    let published = done.rounds().iter().filter(|round| round.published.is_some()).count();
    assert_eq!(provides.len(), published, "no round is missing");
    let said = done.told.iter().filter(|notice| matches!(notice, Notice::DatabaseGone { .. })).count();
    assert_eq!(said, 1, "not every round");
}

#[tokio::test]
async fn a_list_of_servers_that_is_too_old_is_not_used() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::None), ("b", "us", "default", Fault::None)]).await;
    rename(&cluster, "nodes_ecs", "nodes_gone");
    // Never read: there is no list at all.
    let done = cluster.schedule(quick(3)).await;
    assert!(done.told.contains(&Notice::Skipped(Skip::NoDatabase)), "{:?}", done.told);
    assert_eq!(done.summary.metrics.skipped(), 3);
    assert!(cluster.members.iter().all(|member| member.calls.lock().is_empty()));
}

#[tokio::test]
async fn what_cannot_be_written_by_the_end_is_counted() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::None), ("b", "us", "default", Fault::None)]).await;
    let last_writes = Duration::from_millis(300);
    let running = cluster.begin(SchedulerOptions { rounds: None, last_writes, ..quick(0) }, None);
    running.until("a round", |told| complete(told) >= 1).await;
    rename(&cluster, "nodes_ecs", "nodes_gone");
    running.until("it is said", |told| told.iter().any(|notice| matches!(notice, Notice::NotWritten { .. }))).await;
    running.stop.cancel();
    let done = running.end().await;
    assert!(done.summary.unwritten > 0);
    let written = done.summary.metrics.written();
    let published = done.rounds().iter().filter(|round| round.published.is_some()).count() as u64;
    assert_eq!(written + done.summary.unwritten as u64, published);
}
