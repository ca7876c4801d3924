//! The metrics page: both formats, and counters that count.

use std::cell::Cell;
use std::collections::BTreeMap;

use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::Full;

use crate::fleet::{Net, Peer, content};
use crate::rest::request;
use crate::wait::until;

/// The series of Neverust, of which eight never moved there.
const NEVERUST: [&str; 17] = [
    "neverust_block_count",
    "neverust_block_bytes",
    "neverust_peer_connections",
    "neverust_avg_exchange_time_ms",
    "neverust_discovery_success_rate",
    "neverust_uptime_seconds",
    "neverust_total_peers_seen",
    "neverust_blocks_sent_total",
    "neverust_blocks_received_total",
    "neverust_bytes_sent_total",
    "neverust_bytes_received_total",
    "neverust_cache_hits_total",
    "neverust_cache_misses_total",
    "neverust_discovery_queries_total",
    "neverust_discovery_successes_total",
    "neverust_discovery_failures_total",
    "neverust_blocks_from_discovery_total",
];

/// Every sample of the page by its name, labels included.
async fn samples(peer: &Peer) -> BTreeMap<String, f64> {
    let page = peer.client().metrics().await.unwrap();
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_format_is_the_one_that_is_asked_for() {
    let node = Net::new().start().await;
    let page = async |accept: &str| {
        node.send(request("GET", "/metrics").header(ACCEPT, accept).body(Full::default()).unwrap()).await
    };
    for accept in ["*/*", "text/plain", "text/plain;version=0.0.4"] {
        let old = page(accept).await;
        assert_eq!(old.header(CONTENT_TYPE), Some("text/plain; version=0.0.4; charset=utf-8"), "{accept}");
        assert!(!old.text().contains("# EOF"));
        assert!(old.text().contains("\npeermark_total_peers_seen 0\n"));
    }
    for accept in ["application/openmetrics-text", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"] {
        let new = page(accept).await;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(new.header(CONTENT_TYPE), Some(kind), "{accept}");
        assert!(new.text().ends_with("# EOF\n"));
        assert!(new.text().contains("\npeermark_total_peers_seen_total 0\n"));
    }
}

/// `far` holds a dataset; `reader` is connected to `hub` alone, so that only the DHT leads to it.
#[tokio::test]
async fn every_series_of_neverust_counts_what_happens() {
    let net = Net::new();
    let prefixed = |config: &mut peermark_node::NodeConfig| config.metrics_prefix = "neverust".into();
    let hub = net.start_with(prefixed).await;
    let far = net.join_with(&hub, prefixed).await;
    let cid = far.upload(content(200_000, 1)).await;
    let before = samples(&net.start_with(prefixed).await).await;
    for name in NEVERUST {
        assert!(before.contains_key(name), "{name} in {before:?}");
    }
    for name in NEVERUST.iter().filter(|name| !name.ends_with("uptime_seconds")) {
        assert_eq!(before[*name], 0.0, "{name}");
    }
    let readers = Cell::new(0.0);
    let reader = net
        .alone_with(&hub, prefixed, async |reader| {
            readers.set(readers.get() + 1.0);
            assert!(reader.fetch(&cid).await.unwrap() == content(200_000, 1));
            reader.exchanged("blocks_from_discovery").await == 8
        })
        .await;
    let unknown = "zDvZRwzm4JtfW7EkW9DkJWi9KrDTBDuBnWuCL4M8ksggkz8ASZQW";
    reader.fetch(unknown).await.unwrap_err();
    until("all fetched blocks are stored", async || samples(&reader).await["neverust_block_count"] == 8.0).await;
    until("a second has passed", async || samples(&reader).await["neverust_uptime_seconds"] >= 1.0).await;
    // The second time from the memory cache.
    reader.fetch(&cid).await.unwrap();
    // And once from here, so that blocks are sent too.
    let blocks = reader.exchanged("blocks_received").await;
    hub.fetch(&cid).await.unwrap();
    until("both sides have everything on their books", async || {
        let sent =
            samples(&reader).await["neverust_blocks_sent_total"] + samples(&far).await["neverust_blocks_sent_total"];
        sent == 8.0 * (readers.get() + 1.0)
    })
    .await;

    let after = samples(&reader).await;
    for name in NEVERUST.iter().filter(|name| !name.contains("_sent_")) {
        assert!(after[*name] > 0.0, "{name} in {after:?}");
    }
    assert_eq!((blocks, after["neverust_blocks_received_total"]), (8, 8.0));
    assert_eq!(after["neverust_blocks_from_discovery_total"], 8.0, "nobody else led there");
    assert_eq!(after["neverust_total_peers_seen"], 2.0);
    assert_eq!(after["neverust_discovery_successes_total"], 1.0);
    let failures = after["neverust_discovery_failures_total"];
    assert_eq!(after["neverust_discovery_queries_total"], failures + 1.0);
    assert!((after["neverust_discovery_success_rate"] - 100.0 / (failures + 1.0)).abs() < 1e-9);

    let hubs = samples(&hub).await;
    assert_eq!(hubs["neverust_blocks_received_total"], 8.0);
    let sent = after["neverust_bytes_sent_total"] + samples(&far).await["neverust_bytes_sent_total"];
    let received = readers.get() * after["neverust_bytes_received_total"] + hubs["neverust_bytes_received_total"];
    assert_eq!(sent, received);
}

#[tokio::test]
async fn histograms_and_totals_of_the_product_move_with_what_happens() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let cid = holder.upload(content(200_000, 1)).await;
    let before = samples(&reader).await;
    reader.fetch(&cid).await.unwrap();
    let after = samples(&reader).await;
    let grown = |name: &str| after[name] - before[name];
    assert_eq!(grown("peermark_block_fetch_seconds_count"), 8.0);
    assert!(grown("peermark_block_fetch_seconds_sum") > 0.0);
    assert_eq!(grown("peermark_block_fetch_seconds_bucket{le=\"+Inf\"}"), 8.0);
    assert!(grown("peermark_rest_request_seconds_count") >= 1.0);
    let wants = samples(&holder).await["peermark_wants_received_total"];
    assert!(wants >= 9.0, "eight blocks and the question who has the first: {wants}");
    for name in ["peermark_wrong_blocks_total", "peermark_spurious_blocks_total", "peermark_corrupt_blocks_total"] {
        assert_eq!(after[name], 0.0, "{name}");
    }
}
