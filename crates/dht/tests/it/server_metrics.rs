//! The page of metrics, read as strictly as its format is defined.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::FailureClass;

use crate::server_measure::{Script, TOOK_NS};
use crate::server_rig::{Rig, Setup, ask, post, raw};

const CID: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

type Labels = BTreeMap<String, String>;

/// A family of the page.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

/// Reads Prometheus text 0.0.4 and panics at everything that the format does not allow.
fn parse(page: &str) -> BTreeMap<String, Family> {
    assert!(page.ends_with('\n'), "the last line ends");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut helped = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "one HELP: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && helped.contains(name), "{line}");
            assert!(["counter", "gauge", "summary", "histogram"].contains(&kind), "{line}");
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "families are not torn: {line}");
            current = name.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("a sample before its TYPE: {line}"));
            let suffixes: &[&str] = match family.kind.as_str() {
                "summary" => &["", "_sum", "_count"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let suffix = name.strip_prefix(current.as_str()).unwrap_or("?");
            assert!(suffixes.contains(&suffix), "{line} is no sample of {current}");
            let twice = family.samples.iter().any(|(other, with, _)| *other == name && *with == labels);
            assert!(!twice, "the same series twice: {line}");
            family.samples.push((name, labels, value));
        }
    }
    families
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let (value, after) = quoted(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(!value.contains(' '), "no timestamps: {line}");
    (name.to_owned(), labels, value.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// The value up to the closing quote, unescaped, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                other => panic!("no such escape: \\{other}"),
            },
            c => value.push(c),
        }
    }
    panic!("no end of the value: {text}")
}

/// Checks what the types demand of their samples.
fn check(families: &BTreeMap<String, Family>) {
    for (name, family) in families {
        match family.kind.as_str() {
            "counter" => {
                assert!(name.ends_with("_total"), "{name}");
                assert!(family.samples.iter().all(|(_, _, value)| *value >= 0.0), "{name}");
            }
            "histogram" => check_histogram(name, family),
            "summary" => {
                for (sample, labels, _) in &family.samples {
                    assert_eq!(labels.contains_key("quantile"), sample == name, "{name}");
                }
            }
            _ => {}
        }
    }
}

fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        match labels.remove("le") {
            Some(bound) => series.entry(labels).or_default().push((bound.parse().unwrap(), *value)),
            None if sample.ends_with("_count") => drop(counts.insert(labels, *value)),
            None => {}
        }
    }
    for (labels, buckets) in series {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}{labels:?}: {buckets:?}");
        let (bound, last) = *buckets.last().unwrap();
        assert!(bound.is_infinite() && counts[&labels].total_cmp(&last).is_eq(), "{name}{labels:?}");
    }
}

fn value(families: &BTreeMap<String, Family>, family: &str, sample: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = families.get(family)?.samples.iter().find(|(name, with, _)| name == sample && *with == labels);
    found.map(|(_, _, value)| *value)
}

async fn scrape(rig: &Rig) -> BTreeMap<String, Family> {
    let reply = ask(rig.server.telemetry_address(), "GET", "/metrics").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let families = parse(&reply.body);
    check(&families);
    families
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= 0.01 * expected)
}

#[tokio::test]
async fn names_types_and_labels_are_parsecs() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("records"), [0; 777]).unwrap();
    let mut setup = Setup::default();
    setup.config.provider_store = Some(directory.path().to_owned());
    let rig = setup.start().await.unwrap();
    let api = rig.server.api_address();
    for _ in 0..3 {
        post(api, "/provide", "{}").await;
    }
    rig.measure.follow(Script::Fail(FailureClass::NotFound, "not found"));
    post(api, &format!("/retrieve/{CID}"), "{}").await;
    ask(api, "GET", "/readiness").await;
    ask(api, "GET", "/nowhere/x").await;

    let page = scrape(&rig).await;
    assert_eq!(page["parsec_durations"].kind, "summary");
    let provides = [("type", "provide_duration"), ("success", "true"), ("scheduler", "default,rust")];
    let misses = [("type", "retrieval_ttfpr"), ("success", "false"), ("scheduler", "default,rust")];
    let took = TOOK_NS as f64 / 1e9;
    for (labels, count) in [(provides, 3.0), (misses, 1.0)] {
        assert!(near(value(&page, "parsec_durations", "parsec_durations_count", &labels), count), "{page:?}");
        assert!(near(value(&page, "parsec_durations", "parsec_durations_sum", &labels), took * count));
        for quantile in ["0.5", "0.9", "0.95", "0.99"] {
            let labels: Vec<_> = labels.into_iter().chain([("quantile", quantile)]).collect();
            assert!(near(value(&page, "parsec_durations", "parsec_durations", &labels), took), "{quantile}");
        }
    }
    let requests = |method, path, scheduler| {
        let labels = [("method", method), ("path", path), ("scheduler", scheduler)];
        value(&page, "parsec_http_requests_total", "parsec_http_requests_total", &labels)
    };
    assert_eq!(page["parsec_http_requests_total"].kind, "counter");
    assert!(near(requests("POST", "provide", "default,rust"), 3.0));
    assert!(near(requests("POST", "retrieve", "default,rust"), 1.0));
    assert!(near(requests("GET", "readiness", ""), 1.0));
    assert!(near(requests("GET", "other", ""), 1.0));
    let disk = || value(&page, "parsec_datastore_disk_usage", "parsec_datastore_disk_usage", &[]);
    assert!(
        disk().is_some_and(|bytes| bytes.total_cmp(&0.0).is_eq() || bytes.total_cmp(&777.0).is_eq()),
        "{:?}",
        disk()
    );
    crate::server_rig::until("the store's size is known", async || {
        near(value(&scrape(&rig).await, "parsec_datastore_disk_usage", "parsec_datastore_disk_usage", &[]), 777.0)
    })
    .await;
}

#[tokio::test]
async fn our_own_histograms_tell_hits_from_misses_and_rpcs_apart() {
    let rig = Setup::default().start().await.unwrap();
    let page = scrape(&rig).await;
    let operations = |page: &BTreeMap<String, Family>, kind: &str, hit: &str| {
        let labels = [("kind", kind), ("variant", "default"), ("hit", hit)];
        value(page, "peermark_dht_operation_seconds", "peermark_dht_operation_seconds_count", &labels)
    };
    for kind in ["dht.provide", "dht.retrieve"] {
        for hit in ["local", "remote", "miss", "failed"] {
            assert!(operations(&page, kind, hit).is_some_and(|count| count.total_cmp(&0.0).is_eq()), "{kind} {hit}");
        }
    }
    assert!(!page.contains_key("parsec_datastore_disk_usage"), "there is no provider store");
    let api = rig.server.api_address();
    post(api, "/provide", "{}").await;
    rig.measure.follow(Script::Fail(FailureClass::NotFound, "not found"));
    post(api, &format!("/retrieve/{CID}"), "{}").await;
    let page = scrape(&rig).await;
    assert!(near(operations(&page, "dht.provide", "remote"), 1.0));
    assert!(near(operations(&page, "dht.retrieve", "miss"), 1.0));
    let rpc = [("rpc", "get_providers")];
    assert!(near(value(&page, "peermark_dht_rpc_seconds", "peermark_dht_rpc_seconds_count", &rpc), 2.0));
    let failures = [("rpc", "get_providers"), ("class", "connect_failed")];
    let failed = value(&page, "peermark_dht_rpc_failures_total", "peermark_dht_rpc_failures_total", &failures);
    assert!(near(failed, 2.0));
    for name in
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
    {
        assert!(value(&page, name, name, &[]).is_some_and(|value| value > 0.0), "{name}");
    }
    assert!(near(value(&page, "peermark_dht_routing_table_peers", "peermark_dht_routing_table_peers", &[]), 231.0));
}

#[tokio::test]
async fn what_callers_call_themselves_neither_breaks_the_page_nor_fills_it() {
    let rig = Setup::default().start().await.unwrap();
    let api = rig.server.api_address();
    let named = async |name: &str| {
        let request =
            format!("POST /provide HTTP/1.1\r\nHost: {api}\r\nX-Scheduler-Id: {name}\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(raw(api, request.as_bytes()).await.status, 200, "{name}");
    };
    named("quote\" back\\slash {brace} ü").await;
    named(&"x".repeat(4000)).await;
    for number in 0..40 {
        named(&format!("scheduler-{number}")).await;
    }
    let page = scrape(&rig).await;
    let labels = |family: &str| -> BTreeSet<String> {
        page[family].samples.iter().map(|(_, labels, _)| labels["scheduler"].clone()).collect()
    };
    for family in ["parsec_durations", "parsec_http_requests_total"] {
        let labels = labels(family);
        assert!(labels.contains("quote\" back\\slash {brace} ü") && labels.contains("other"), "{labels:?}");
        assert_eq!(labels.len(), 17, "sixteen and the others: {labels:?}");
    }
}
