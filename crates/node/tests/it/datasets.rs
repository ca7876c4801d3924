//! The official routes for data, under both prefixes: what goes in comes out, under the CIDs of the network.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http_body_util::Full;
use peermark_core::ByteSize;

use crate::fleet::{Net, Peer, content};
use crate::rest::{Answer, PREFIXES, request};

/// Content, bytes of a block, and the CIDs of the first block, the tree and the manifest.
type Golden = (Vec<u8>, u64, [&'static str; 3]);

/// What every implementation of the format has to print, whoever uploads.
fn golden() -> [Golden; 3] {
    let hello = b"hello world".to_vec();
    let counting = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    [
        (
            hello.clone(),
            65_536,
            [
                "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr",
                "zDzSvJTf3WiMn7YfKzYg4ZVVY5Wse8ADH6wvgyHkxK5VZU5okpmf",
                "zDvZRwzm2HaZLtSRUJAt5sSLMamtnV7wz3ev9juJSxN3R2nMiH78",
            ],
        ),
        (
            hello,
            524_288,
            [
                "zDxWB8ED8iahhcdWfdA9G1sJgdx7CQghS2U5V5pbcjqyMKDCT6yW",
                "zDzSvJTfCQLd8d3LNvgEHepfPUxBQRNxGBTR4g9WLRBjcDM2q2gM",
                "zDvZRwzm4JtfW7EkW9DkJWi9KrDTBDuBnWuCL4M8ksggkz8ASZQW",
            ],
        ),
        (
            counting,
            65_536,
            [
                "zDxWB8ED3dHw7Hob9QRy364ZULERsk7CRtaLCfVD2igGJgsgdpfj",
                "zDzSvJTf2sB8go7p8sXJhD8Q3S9JzZpphBniKsYiHhp99528yQHi",
                "zDvZRwzmDtF6yL7Kc8AoMEaBA1QKD6NX5tVGGLfXU1sULTjAARRG",
            ],
        ),
    ]
}

#[tokio::test]
async fn uploads_have_the_cids_of_the_network_under_both_prefixes() {
    for (content, block_size, [block, tree, manifest]) in golden() {
        let node = Net::new().start_with(|config| config.block_size = ByteSize(block_size)).await;
        for prefix in PREFIXES {
            let uploaded = node.post(&format!("{prefix}/data"), content.clone()).await;
            assert_eq!((uploaded.status.as_u16(), uploaded.text()), (200, manifest));
            let item = node.get(&format!("{prefix}/data/{manifest}/network/manifest")).await.json();
            assert_eq!(item["cid"], manifest);
            assert_eq!(item["manifest"]["treeCid"], tree);
            assert_eq!(item["manifest"]["datasetSize"], content.len());
            assert_eq!(item["manifest"]["blockSize"], block_size);
            assert_eq!(item["manifest"]["protected"], false);
            assert!(item["manifest"].get("filename").is_none() && item["manifest"].get("mimetype").is_none(), "{item}");
            for path in [format!("{prefix}/data/{manifest}"), format!("{prefix}/data/{manifest}/network/stream")] {
                let read = node.get(&path).await;
                assert_eq!(read.status, 200);
                assert_eq!(read.header(CONTENT_TYPE), Some("application/octet-stream"));
                assert_eq!(read.header(CONTENT_LENGTH), Some(content.len().to_string().as_str()));
                assert_eq!(read.header(ACCEPT_RANGES), Some("bytes"));
                assert_eq!(read.header(CONTENT_DISPOSITION), None);
                assert!(read.body == content, "{path}");
            }
        }
        let first = node.get(&format!("/api/v1/blocks/{block}")).await;
        assert_eq!((first.status.as_u16(), first.body.len() as u64), (200, block_size));
        assert!(content.starts_with(&first.body[..content.len().min(block_size as usize)]));
    }
}

#[tokio::test]
async fn name_and_type_go_into_the_manifest_and_come_back_as_headers() {
    let node = Net::new().start().await;
    let upload = request("POST", "/api/archivist/v1/data")
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(CONTENT_DISPOSITION, "attachment; filename=\"a note.txt\"")
        .body(Full::new(Bytes::from_static(b"hello world")));
    let cid = node.send(upload.unwrap()).await.text().to_owned();
    assert_ne!(cid, golden()[0].2[2], "name and type are part of what the CID names");

    for prefix in PREFIXES {
        let list = node.get(&format!("{prefix}/data")).await.json();
        let listed = list["content"].as_array().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["cid"], cid.as_str());
        assert_eq!(listed[0]["manifest"]["filename"], "a note.txt");
        assert_eq!(listed[0]["manifest"]["mimetype"], "text/plain");
        let read = node.get(&format!("{prefix}/data/{cid}")).await;
        assert_eq!(read.header(CONTENT_TYPE), Some("text/plain"));
        assert_eq!(read.header(CONTENT_DISPOSITION), Some("attachment; filename=\"a note.txt\""));
        let exposed = read.header(HeaderName::from_static("access-control-expose-headers"));
        assert_eq!(exposed, Some("Content-Disposition"));
    }
}

/// Whoever uploads says what the data is, and whoever opens it in a browser runs it there.
#[tokio::test]
async fn a_page_among_the_data_is_not_a_page_of_the_node() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let upload = request("POST", "/api/archivist/v1/data").header(CONTENT_TYPE, "text/html");
    let page = "<script>fetch('/api/archivist/v1/data', { method: 'POST', body: 'x' })</script>";
    let cid = holder.send(upload.body(Full::new(Bytes::from_static(page.as_bytes()))).unwrap()).await.text().to_owned();
    for (peer, below) in [(&holder, ""), (&reader, "/network/stream")] {
        let read = peer.get(&format!("/api/archivist/v1/data/{cid}{below}")).await;
        assert_eq!((read.text(), read.header(CONTENT_TYPE)), (page, Some("text/html")));
        assert_eq!(read.header(CONTENT_SECURITY_POLICY), Some("sandbox"));
        assert_eq!(read.header(X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
    }
}

#[tokio::test]
async fn the_list_is_cut_where_the_caller_says() {
    let node = Net::new().start().await;
    let mut cids = Vec::new();
    for tag in 0..5 {
        cids.push(node.upload(content(100, tag)).await);
    }
    let listed = async |query: &str| -> Vec<String> {
        let list = node.get(&format!("/api/archivist/v1/data{query}")).await.json();
        list["content"].as_array().unwrap().iter().map(|item| item["cid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("").await, cids, "oldest first");
    assert_eq!(listed("?limit=2").await, cids[..2]);
    assert_eq!(listed("?skip=3").await, cids[3..]);
    assert_eq!(listed("?skip=1&limit=3").await, cids[1..4]);
    assert_eq!(listed("?skip=5").await, [""; 0]);
}

#[tokio::test]
async fn a_range_is_the_part_it_names_whoever_holds_the_data() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let content = content(300_000, 1);
    let cid = holder.upload(content.clone()).await;
    let local = format!("/api/archivist/v1/data/{cid}");
    let remote = format!("/api/codex/v1/data/{cid}/network/stream");
    for (peer, path) in [(&holder, &local), (&reader, &remote)] {
        for (range, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=65535-65536", 65_535, 65_537),
            ("bytes=100000-", 100_000, 300_000),
            ("bytes=-7", 299_993, 300_000),
            ("bytes=-900000", 0, 300_000),
            ("bytes=299999-999999999", 299_999, 300_000),
        ] {
            let part = ranged(peer, path, range).await;
            assert_eq!(part.status, 206, "{range}");
            let described = format!("bytes {start}-{}/300000", end - 1);
            assert_eq!(part.header(CONTENT_RANGE), Some(described.as_str()), "{range}");
            assert_eq!(part.header(CONTENT_LENGTH), Some((end - start).to_string().as_str()), "{range}");
            assert!(part.body == content[start..end], "{range}");
        }
        for outside in ["bytes=300000-", "bytes=-0", "bytes=400000-500000"] {
            let refused = ranged(peer, path, outside).await;
            refused.problem(416, "range");
            assert_eq!(refused.header(CONTENT_RANGE), Some("bytes */300000"), "{outside}");
        }
        for whole in ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x-"] {
            let all = ranged(peer, path, whole).await;
            assert_eq!((all.status.as_u16(), all.body.len()), (200, 300_000), "{whole}");
            assert_eq!(all.header(CONTENT_RANGE), None, "{whole}");
        }
    }
}

#[tokio::test]
async fn a_range_fetches_the_blocks_that_it_touches_and_no_others() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    // 64 blocks: a path of 6 tree nodes leads to each.
    let content = content(64 * 65_536, 2);
    let cid = holder.upload(content.clone()).await;
    let part = ranged(&reader, &format!("/api/archivist/v1/data/{cid}/network/stream"), "bytes=70000-70009").await;
    assert!(part.body == content[70_000..70_010]);
    assert_eq!(reader.exchanged("blocks_received").await, 1 + 6 + 1, "manifest, path, block");
}

async fn ranged(peer: &Peer, path: &str, range: &str) -> Answer {
    peer.send(request("GET", path).header(RANGE, range).body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn existence_and_removal_say_what_is_there() {
    let node = Net::new().start().await;
    let empty = node.stored().await;
    for (tag, prefix) in PREFIXES.into_iter().enumerate() {
        let cid = node.upload(content(200_000, tag as u64)).await;
        assert_eq!(node.stored().await.0, 4 + 3 + 1, "blocks, tree, manifest");
        let path = format!("{prefix}/data/{cid}");
        let answer = node.get(&format!("{path}/exists")).await.json();
        for key in ["has", "exists", &cid] {
            assert_eq!(answer[key], true, "{answer}");
        }
        assert_eq!(answer["cid"], cid.as_str());
        for _ in 0..2 {
            let removed = node.delete(&path).await;
            assert_eq!((removed.status.as_u16(), removed.body.len()), (204, 0));
            assert_eq!(node.stored().await, empty);
            assert_eq!(node.get(&format!("{path}/exists")).await.json()[&cid], false);
        }
        node.get(&path).await.problem(404, "not_found");
        assert_eq!(node.get(&format!("{prefix}/data")).await.json()["content"].as_array().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_block_of_a_dataset_is_not_removed_alone() {
    let node = Net::new().start().await;
    let (content, _, [block, tree, manifest]) = golden()[0].clone();
    node.upload(content.clone()).await;
    let before = node.stored().await;
    for part in [block, tree] {
        assert_eq!(node.delete(&format!("/api/archivist/v1/data/{part}")).await.status, 204);
    }
    assert_eq!(node.stored().await, before);
    assert!(node.get(&format!("/api/archivist/v1/data/{manifest}")).await.body == content);
}
