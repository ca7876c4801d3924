//! What callers and other people's data can get wrong, and what they are told.

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body_util::Full;
use peermark_core::ByteSize;
use peermark_node::content::{
    BLOCK_CODEC, Digest, MANIFEST_CODEC, Manifest, TREE_CODEC, block_cid, cid_text, digest_of,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fleet::{Net, Peer, content};
use crate::rest::{PREFIXES, request};
use crate::wait::until;

const UNKNOWN: &str = "zDvZRwzm4JtfW7EkW9DkJWi9KrDTBDuBnWuCL4M8ksggkz8ASZQW";

/// Every route that takes a CID, for one CID.
fn routes(cid: &str) -> Vec<(&'static str, String)> {
    let mut routes = vec![("GET", format!("/api/v1/blocks/{cid}"))];
    for prefix in PREFIXES {
        let data = format!("{prefix}/data/{cid}");
        routes.push(("GET", data.clone()));
        routes.push(("DELETE", data.clone()));
        routes.push(("POST", format!("{data}/network")));
        for below in ["network/stream", "network/manifest", "exists"] {
            routes.push(("GET", format!("{data}/{below}")));
        }
    }
    routes
}

#[tokio::test]
async fn texts_that_are_no_cid_of_ours_are_named() {
    let node = Net::new().start().await;
    let blake3 = {
        let hash = multihash::Multihash::<64>::wrap(0x1e, &[7; 32]).unwrap();
        cid_text(&cid::Cid::new_v1(BLOCK_CODEC, hash))
    };
    let short = {
        let hash = multihash::Multihash::<64>::wrap(0x12, &[7; 20]).unwrap();
        cid_text(&cid::Cid::new_v1(BLOCK_CODEC, hash))
    };
    let long = "z".repeat(1000);
    for (cid, said) in [
        ("zDv", "not a CID"),
        ("hello", "not a CID"),
        ("..", "not a CID"),
        ("z%00%00", "not a CID"),
        ("z\u{fc}", "not a CID"),
        (long.as_str(), "1000 characters"),
        (blake3.as_str(), "unsupported hash 0x1e"),
        (short.as_str(), "of 20 bytes"),
    ] {
        // What a URL may hold; dots alone would be a path.
        let in_url = cid.replace('\u{fc}', "%C3%BC").replace("..", "%2E%2E");
        for (method, path) in routes(&in_url) {
            let answer = node.send(request(method, &path).body(Full::default()).unwrap()).await;
            let detail = answer.problem(400, "bad_request")["detail"].to_string();
            assert!(detail.contains(said), "{method} {path}: {detail}");
        }
    }
}

/// Not found is an answer, not a deadline: with nobody to ask and with a peer that does not have it.
#[tokio::test]
async fn content_that_nobody_has_is_not_found() {
    let net = Net::new();
    let node = net.start().await;
    for peers in 0..2 {
        let _peer = if peers == 1 { Some(net.join(&node).await) } else { None };
        let asks = routes(UNKNOWN).into_iter().map(async |(method, path)| {
            let answer = node.send(request(method, &path).body(Full::default()).unwrap()).await;
            match (method, path.ends_with("exists")) {
                ("DELETE", _) => assert_eq!(answer.status, 204),
                (_, true) => assert_eq!(answer.json()["has"], false),
                _ => drop(answer.problem(404, "not_found")),
            }
        });
        futures::future::join_all(asks).await;
    }
}

#[tokio::test]
async fn a_block_that_is_no_manifest_is_no_dataset() {
    let net = Net::new();
    let node = net.start().await;
    let reader = net.join(&node).await;
    node.upload("hello world").await;
    for part in
        ["zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr", "zDzSvJTf3WiMn7YfKzYg4ZVVY5Wse8ADH6wvgyHkxK5VZU5okpmf"]
    {
        for (peer, below) in
            [(&node, ""), (&node, "/network/stream"), (&reader, "/network/stream"), (&reader, "/network/manifest")]
        {
            let answer = peer.get(&format!("/api/archivist/v1/data/{part}{below}")).await;
            let detail = answer.problem(404, "not_found")["detail"].to_string();
            assert!(detail.contains("not a dataset"), "{detail}");
        }
    }
    assert_eq!(reader.client().list().await.unwrap().content.len(), 0);
}

/// Puts a block into a node's store, as if it had come from a peer.
async fn plant(node: &Peer, bytes: impl Into<Bytes>) -> Digest {
    let bytes = bytes.into();
    let digest = digest_of(&bytes);
    node.node.exchange().blocks().keep(digest, bytes, None).await.unwrap();
    digest
}

async fn plant_manifest(node: &Peer, tree: Digest, dataset_size: u64) -> String {
    let manifest = Manifest { tree, block_size: 1024, dataset_size, filename: None, mimetype: None };
    cid_text(&plant(node, manifest.encode()).await.cid(MANIFEST_CODEC))
}

/// An inner node with any key.
fn inner(left: Digest, right: Digest, key: u8) -> Vec<u8> {
    [left.0.as_slice(), right.0.as_slice(), &[key]].concat()
}

#[tokio::test]
async fn a_tree_that_is_not_what_its_manifest_says_is_a_bad_gateway() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let zero = Digest([0; 32]);
    let block = plant(&holder, vec![1; 1024]).await;
    let short = plant(&holder, vec![2; 1000]).await;
    let long = plant(&holder, vec![3; 5000]).await;
    let text = plant(&holder, "no tree at all").await;
    let bottom = plant(&holder, inner(block, block, 1)).await;
    let odd = plant(&holder, inner(block, zero, 3)).await;
    let cases = [
        ("text for a root", text, 2048),
        ("a block for a root", block, 1024),
        ("leaves where inner nodes belong", bottom, 4096),
        ("an inner node where leaves belong", plant(&holder, inner(bottom, bottom, 0)).await, 2048),
        ("two leaves for one", bottom, 1024),
        ("one leaf for two", odd, 2048),
        ("an odd node with two children", plant(&holder, inner(block, block, 3)).await, 1024),
        ("a key that there is not", plant(&holder, inner(block, block, 9)).await, 2048),
        ("a node with more behind it", plant(&holder, [inner(block, block, 1), vec![0]].concat()).await, 2048),
        ("a block that is too short", plant(&holder, inner(short, zero, 3)).await, 1024),
        ("a block that is too long", plant(&holder, inner(long, zero, 3)).await, 1024),
    ];
    for (what, tree, size) in cases {
        let cid = plant_manifest(&holder, tree, size).await;
        for (peer, below) in [(&holder, ""), (&reader, "/network/stream")] {
            let answer = peer.get(&format!("/api/codex/v1/data/{cid}{below}")).await;
            assert_eq!(answer.status, 502, "{what}: {answer:?}");
            answer.problem(502, "bad_dataset");
        }
    }
    // The same parts, rightly put together, are a dataset.
    let cid = plant_manifest(&holder, bottom, 2000).await;
    assert_eq!(reader.fetch(&cid).await.unwrap(), vec![1; 2000]);
}

#[tokio::test]
async fn a_dataset_with_parts_missing_is_not_found() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let absent = digest_of(b"absent");
    let half = plant(&holder, inner(absent, Digest([0; 32]), 3)).await;
    for (what, tree) in [("the tree", absent), ("the only block", half)] {
        let cid = plant_manifest(&holder, tree, 1000).await;
        for (peer, below) in [(&holder, ""), (&reader, "/network/stream")] {
            let answer = peer.get(&format!("/api/archivist/v1/data/{cid}{below}")).await;
            assert_eq!(answer.status, 404, "{what}: {answer:?}");
            answer.problem(404, "not_found");
        }
    }
    // A later block that is missing can be told by breaking off only: the head is sent by then.
    let block = plant(&holder, vec![1; 1024]).await;
    let tree = plant(&holder, inner(block, absent, 1)).await;
    let cid = plant_manifest(&holder, tree, 2048).await;
    let broken = reader.fetch(&cid).await.map(|content| content.len()).unwrap_err();
    assert_eq!(broken.failure().0, peermark_core::FailureClass::Truncated, "{broken}");
}

#[tokio::test]
async fn manifests_that_cannot_be_are_not_read() {
    let holder = Net::new().start().await;
    let tree = digest_of(b"tree").cid(TREE_CODEC).to_bytes();
    let header = |block_size: u64, dataset_size: u64, more: &[u8]| {
        let mut bytes = vec![0x0a, tree.len() as u8];
        bytes.extend_from_slice(&tree);
        for (tag, value) in [(0x10, block_size), (0x18, dataset_size), (0x20, 0xcd02), (0x28, 0x12), (0x30, 2)] {
            bytes.push(tag);
            prost::encoding::encode_varint(value, &mut bytes);
        }
        bytes.extend_from_slice(more);
        let mut outer = vec![0x0a];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        [outer, bytes].concat()
    };
    for (manifest, said) in [
        (header(0, 1024, &[]), "blockSize"),
        (header(3 << 20, 1024, &[]), "blockSize"),
        (header(1024, 0, &[]), "datasetSize"),
        (header(1, 1 << 49, &[]), "datasetSize"),
        (header(1024, u64::MAX, &[]), "datasetSize"),
        (header(1024, 1024, &[0x3a, 0x00]), "protected"),
        (vec![0x0a, 0x00], "blockSize"),
        (Vec::new(), "no header"),
        (vec![0; 70_000], "too large"),
    ] {
        let cid = cid_text(&plant(&holder, manifest).await.cid(MANIFEST_CODEC));
        let answer = holder.get(&format!("/api/archivist/v1/data/{cid}")).await;
        let detail = answer.problem(404, "not_found")["detail"].to_string();
        assert!(detail.contains(said), "{said}: {detail}");
    }
}

#[tokio::test]
async fn uploads_that_cannot_be_described_are_refused() {
    let node = Net::new().start().await;
    for prefix in PREFIXES {
        let path = format!("{prefix}/data");
        node.post(&path, "").await.problem(422, "unprocessable");
        for (name, value) in [
            (CONTENT_TYPE, "nonsense"),
            (CONTENT_TYPE, "text/"),
            (CONTENT_TYPE, "text/html/x y"),
            (CONTENT_DISPOSITION, "attachment"),
            (CONTENT_DISPOSITION, "attachment; filename=\"\""),
            (CONTENT_DISPOSITION, "attachment; filename=\"..\""),
            (CONTENT_DISPOSITION, "attachment; filename=\"a/b\""),
            (CONTENT_DISPOSITION, "attachment; filename=\"..\\b\""),
        ] {
            let upload = request("POST", &path).header(&name, value).body(Full::new(Bytes::from_static(b"x"))).unwrap();
            node.send(upload).await.problem(422, "unprocessable");
        }
    }
    assert_eq!(node.stored().await, (0, 0));
}

#[tokio::test]
async fn a_full_quota_refuses_what_does_not_fit_and_keeps_what_is_there() {
    let node = Net::new().start_with(|config| config.quota = ByteSize(400_000)).await;
    let kept = node.upload(content(200_000, 1)).await;
    let before = node.stored().await;
    // Refused in the middle, and refused at its last block.
    for size in [5_000_000, 300_000] {
        let refused = node.post("/api/archivist/v1/data", content(size, 2)).await;
        refused.problem(507, "quota_full");
        until("nothing of it is left", async || node.stored().await == before).await;
    }
    assert_eq!(node.client().list().await.unwrap().content.len(), 1);
    assert!(node.get(&format!("/api/archivist/v1/data/{kept}")).await.body == content(200_000, 1));
    node.delete(&format!("/api/archivist/v1/data/{kept}")).await;
    node.upload(content(300_000, 2)).await;
}

/// A fetched block is cache: it makes room, and a dataset larger than the quota still passes through.
#[tokio::test]
async fn a_full_quota_does_not_keep_a_node_from_reading() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join_with(&holder, |config| config.quota = ByteSize(300_000)).await;
    let cid = holder.upload(content(2_000_000, 1)).await;
    assert!(reader.fetch(&cid).await.unwrap() == content(2_000_000, 1));
    assert!(reader.stored().await.1 <= 300_000);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let node = Net::new().start().await;
    for head in ["content-length: 10000000", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(node.node.api_address()).await.unwrap();
        let head = format!("POST /api/archivist/v1/data HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n300000\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&content(0x0030_0000, 1)).await.unwrap();
        until("some of it is stored", async || node.stored().await.0 > 10).await;
        drop(stream);
        until("nothing of it is left", async || node.stored().await == (0, 0)).await;
    }
    assert_eq!(node.client().list().await.unwrap().content.len(), 0);
    let block = block_cid(BLOCK_CODEC, &content(65_536, 1));
    node.get(&format!("/api/v1/blocks/{block}")).await.problem(404, "not_found");
}
