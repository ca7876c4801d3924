//! A node that cannot start says what is in its way.

use std::fs;
use std::sync::Arc;

use peermark_core::ByteSize;
use peermark_http::BindError;
use peermark_node::{NodeConfig, NodeError};

use crate::fleet::{Net, Peer, content};

async fn refused(config: NodeConfig) -> NodeError {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    Peer::start(config, directory).await.err().expect("a node with such a setting does not start")
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    let net = Net::new();
    let directory = tempfile::tempdir().unwrap();
    type Change = fn(&mut NodeConfig);
    let changes: [(&str, Change); 11] = [
        ("block_size", |config| config.block_size = ByteSize(0)),
        ("block_size", |config| config.block_size = ByteSize(3 << 20)),
        ("listen", |config| config.listen.clear()),
        ("dht_replication", |config| config.dht_replication = 0),
        ("dht_protocol", |config| config.dht_protocol = "no-slash".into()),
        ("metrics_prefix", |config| config.metrics_prefix = String::new()),
        ("metrics_prefix", |config| config.metrics_prefix = "1st".into()),
        ("metrics_prefix", |config| config.metrics_prefix = "peer-mark".into()),
        ("metrics_prefix", |config| config.metrics_prefix = "p\n# HELP".into()),
        ("bootstrap", |config| config.bootstrap = vec!["/ip4/127.0.0.1/tcp/4001".parse().unwrap()]),
        ("bootstrap", |config| config.bootstrap = config.listen.clone()),
    ];
    for (setting, change) in changes {
        let mut config = net.config(&directory);
        change(&mut config);
        let error = refused(config).await;
        assert!(matches!(&error, NodeError::Setting { name, .. } if *name == setting), "{setting}: {error}");
        assert!(error.to_string().starts_with(&format!("setting {setting}: ")), "{error}");
    }
}

#[tokio::test]
async fn addresses_in_use_are_named() {
    let net = Net::new();
    let node = net.start().await;
    let directory = tempfile::tempdir().unwrap();
    let taken = node.node.api_address();
    let error = refused(NodeConfig { api: taken, ..net.config(&directory) }).await;
    assert!(matches!(&error, NodeError::Http(BindError::Io { address, .. }) if *address == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");

    for taken in node.node.addresses() {
        let error = refused(NodeConfig { listen: vec![taken.clone()], ..net.config(&directory) }).await;
        assert!(matches!(&error, NodeError::Listen { address, .. } if *address == taken.to_string()), "{error}");
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
    let nowhere = "/ip4/203.0.113.1/tcp/0".parse().unwrap();
    let error = refused(NodeConfig { listen: vec![nowhere], ..net.config(&directory) }).await;
    assert!(matches!(&error, NodeError::Listen { .. }), "an address of another machine: {error}");
    let unknown = "/ip4/127.0.0.1/udp/0".parse().unwrap();
    let error = refused(NodeConfig { listen: vec![unknown], ..net.config(&directory) }).await;
    assert!(matches!(&error, NodeError::Listen { .. }), "no transport for it: {error}");
}

#[tokio::test]
async fn directories_and_files_that_cannot_be_used_are_named() {
    let net = Net::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for data in [file.clone(), file.join("below")] {
        let error = refused(NodeConfig { data: data.clone(), ..net.config(&directory) }).await;
        assert!(matches!(&error, NodeError::Data { path, .. } if *path == data), "{error}");
        assert!(error.to_string().contains(&data.display().to_string()), "{error}");
    }
    for (name, text) in [("identity.key", "garbage"), ("identity.key", ""), ("blocks.db", "not a database at all")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, text.repeat(100)).unwrap();
        let error = refused(net.config(&directory)).await;
        assert!(error.to_string().contains(&path.display().to_string()), "{name}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text.repeat(100), "it is left as it was");
    }
}

/// Two nodes on one store would count for themselves and sign with one key.
#[tokio::test]
async fn a_directory_belongs_to_one_node_at_a_time() {
    let net = Net::new();
    let node = net.start().await;
    let cid = node.upload(content(1000, 1)).await;
    let error = refused(node.config.clone()).await;
    assert!(matches!(&error, NodeError::Data { path, .. } if path.starts_with(&node.config.data)), "{error}");
    assert!(error.to_string().contains("another node"), "{error}");
    assert!(node.fetch(&cid).await.unwrap() == content(1000, 1));
    let node = node.restart_with(|_| ()).await;
    assert!(node.fetch(&cid).await.unwrap() == content(1000, 1));
}
