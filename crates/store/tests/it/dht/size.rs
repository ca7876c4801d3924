//! What a hop costs on disk: everything that grows when operations are stored, indices and names included.

use crate::dht::traces::batch;
use crate::dht::{Bed, on_both};

on_both!(a_hop_takes_at_most_200_bytes);

const BATCHES: u64 = 17;
const HOPS: u64 = BATCHES * 100 * 12;

#[expect(clippy::print_stdout, reason = "the figure that the test is about")]
async fn a_hop_takes_at_most_200_bytes(bed: &Bed) {
    let before = bytes(bed).await;
    for number in 0..BATCHES {
        // A crawl of the public network sees some ten thousand peers; lookups of one vantage point meet the same ones again.
        bed.store.put_traces(&batch(number * 100, 100, 2_000)).await.unwrap();
    }
    let table = if bed.is_postgres() { "peermark.dht_hop" } else { "dht_hop" };
    assert_eq!(bed.count(table).await, HOPS);
    let per_hop = (bytes(bed).await - before) as f64 / HOPS as f64;
    println!("postgres={}: {per_hop:.1} bytes on disk per hop, of {HOPS} hops of 12 per operation", bed.is_postgres());
    assert!(per_hop <= 200.0, "{per_hop:.1} bytes");
}

async fn bytes(bed: &Bed) -> u64 {
    let sql = if bed.is_postgres() {
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
         WHERE relkind IN ('r', 'S') AND relnamespace = 'peermark'::regnamespace"
    } else {
        "SELECT CAST(page_count * page_size AS TEXT) FROM pragma_page_count, pragma_page_size"
    };
    bed.sql(sql).await.parse().unwrap()
}
