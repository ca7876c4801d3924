use super::*;

fn healthy() -> Facts {
    Facts {
        directory: "/data".into(),
        clock_synchronised: Some(true),
        disk_free_bytes: Some(50 << 30),
        disk_bytes: Some(100 << 30),
        fsync_ns: Some(Ok(300_000)),
        memory_available_bytes: Some(4 << 30),
        memory_bytes: Some(8 << 30),
        memory_pressure: Some(0.0),
        open_files: Some(1 << 20),
        cpu_busy: 0.1,
        cpu_steal: 0.0,
        throttled: Some(0),
        governor: Some("performance".into()),
        somaxconn: Some(4096),
        rmem_max: Some(7_500_000),
        wmem_max: Some(7_500_000),
        node: Some(NodeFacts {
            url: "http://127.0.0.1:1".into(),
            routing_peers: 20,
            announced: 2,
            ..NodeFacts::default()
        }),
    }
}

#[test]
fn a_machine_in_order_needs_no_fix_and_each_fault_needs_its_own() {
    assert_eq!(fixes(&judge(&healthy())), []);
    type Change = fn(&mut Facts);
    let faults: [(&str, Change); 16] = [
        ("clock", |facts| facts.clock_synchronised = Some(false)),
        ("disk space", |facts| facts.disk_free_bytes = Some(900 << 20)),
        ("disk space", |facts| facts.disk_free_bytes = Some(4 << 30)),
        ("durable writes", |facts| facts.fsync_ns = Some(Ok(30_000_000))),
        ("durable writes", |facts| facts.fsync_ns = Some(Err("read-only file system".into()))),
        ("memory", |facts| facts.memory_available_bytes = Some(300 << 20)),
        ("memory", |facts| facts.memory_pressure = Some(0.3)),
        ("open files", |facts| facts.open_files = Some(1024)),
        ("CPU", |facts| facts.cpu_steal = 0.2),
        ("CPU", |facts| facts.throttled = Some(3)),
        ("CPU", |facts| facts.cpu_busy = 0.99),
        ("CPU frequency", |facts| facts.governor = Some("powersave".into())),
        ("waiting connections", |facts| facts.somaxconn = Some(128)),
        ("UDP buffers", |facts| facts.rmem_max = Some(212_992)),
        ("node's peers", |facts| facts.node.as_mut().unwrap().routing_peers = 0),
        ("node", |facts| facts.node.as_mut().unwrap().error = Some("connection refused".into())),
    ];
    for (name, change) in faults {
        let mut facts = healthy();
        change(&mut facts);
        let checks = judge(&facts);
        let fixes = fixes(&checks);
        assert_eq!(fixes.iter().map(|(check, _)| check.name).collect::<Vec<_>>(), [name]);
        assert!(!fixes[0].1.command.is_empty() && !fixes[0].1.why.is_empty());
    }
}

#[test]
fn at_most_three_fixes_the_worst_first() {
    let mut facts = healthy();
    facts.somaxconn = Some(128);
    facts.clock_synchronised = Some(false);
    facts.disk_free_bytes = Some(0);
    facts.open_files = Some(100);
    let checks = judge(&facts);
    let names: Vec<&str> = fixes(&checks).iter().map(|(check, _)| check.name).collect();
    assert_eq!(names, ["disk space", "clock", "open files"]);
}

#[test]
fn what_the_system_does_not_tell_is_not_good() {
    let checks = judge(&Facts::default());
    let unknown = checks.iter().filter(|check| check.standing == CheckStanding::Unknown).count();
    assert_eq!((checks.len(), unknown), (9, 8), "{checks:?}");
}

#[tokio::test]
async fn this_machine_is_looked_at_within_bounds_and_nothing_stays() {
    let directory = tempfile::tempdir().unwrap();
    let looked = tokio::time::timeout(std::time::Duration::from_secs(20), collect(directory.path())).await;
    let facts = looked.expect("it ends");
    assert!(facts.memory_bytes.unwrap() > 1 << 20 && facts.disk_bytes.unwrap() > 0 && facts.open_files.unwrap() > 0);
    assert!(matches!(facts.fsync_ns, Some(Ok(ns)) if ns > 0), "{:?}", facts.fsync_ns);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the file of the check is gone");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let facts = ask_node(&url, None).await;
    assert!(!facts.wants_token);
    assert!(facts.error.as_ref().unwrap().contains("connect"), "{facts:?}");
}

#[tokio::test]
async fn a_node_that_asks_for_a_token_is_no_node_that_is_gone() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let asked = String::from_utf8_lossy(&request[..read]).to_lowercase();
            // Whoever does not send the token is told something else.
            let status =
                if asked.contains("authorization: bearer wrong") { "401 Unauthorized" } else { "400 Bad Request" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let facts = ask_node(&url, Some("wrong")).await;
    server.abort();
    assert!(facts.wants_token, "{facts:?}");
    let checks = judge(&Facts { node: Some(facts), ..Facts::default() });
    let (check, fix) = fixes(&checks)[0];
    assert!(check.name == "node" && fix.why.contains("token") && fix.command.contains("--token-file"), "{fix:?}");
}
