//! Files larger than a node's caches pass through it without staying in its memory.

use std::io::Write;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use peermark_node::Mode;
use peermark_node::client::{ClientOptions, NodeClient, RequestBody, Upload};
use peermark_node::metrics::ProcessUse;

use crate::fleet::{Net, Peer};
use crate::wait::until;

/// Six times the cache of each node, and more than a payer promises ahead, so that promises are renewed on the way.
const FILE_BYTES: u64 = 96 << 20;

/// What two nodes, client and test may take for it together: caches of 16 MiB each, and what is on its way.
const GROWTH_BYTES: u64 = 64 << 20;

const CHUNK_BYTES: usize = 64 << 10;

/// Says to the process that the test starts that it is the one that is measured.
const ALONE: &str = "PEERMARK_TEST_ALONE";

/// Memory is the process's: the test runs itself again in a process where no other test runs.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test says to the process it starts that it is not an ordinary run"
)]
fn a_large_file_passes_through_two_nodes_in_flat_memory() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(pass());
        return;
    }
    let name = "large::a_large_file_passes_through_two_nodes_in_flat_memory";
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "the name of the test has changed: {said}");
}

/// The file, chunk by chunk: every one another.
fn chunks() -> impl Iterator<Item = Bytes> + Send {
    (0..FILE_BYTES / CHUNK_BYTES as u64).map(|number| {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..CHUNK_BYTES / 8).flat_map(|_| next()).collect()
    })
}

/// The most memory that any look found.
#[derive(Default)]
struct Peak(AtomicU64);

impl Peak {
    fn look(&self) {
        self.0.fetch_max(ProcessUse::now().anonymous_bytes, Ordering::Relaxed);
    }
}

fn client(peer: &Peer) -> NodeClient {
    let options = ClientOptions { timeout: Duration::from_secs(600), ..ClientOptions::default() };
    NodeClient::new(&format!("http://{}", peer.node.api_address()), options).unwrap()
}

async fn pass() {
    let net = Net::new();
    let holder = net.start_with(|config| config.mode = Mode::Marketplace).await;
    let reader = net.join(&holder).await;
    let before = ProcessUse::now().anonymous_bytes;
    assert!(before > 0);
    let peak = Arc::new(Peak::default());

    let looking = peak.clone();
    let body = RequestBody::chunks(FILE_BYTES, chunks().inspect(move |_| looking.look()));
    let cid = client(&holder).upload(Upload::new(body)).await.unwrap();
    let after_upload = peak.0.load(Ordering::Relaxed);

    let (mut expected, mut rest) = (chunks(), Bytes::new());
    let mut equal = true;
    let mut sink = |mut came: &[u8]| {
        peak.look();
        while !came.is_empty() && equal {
            if rest.is_empty() {
                rest = expected.next().unwrap_or_default();
            }
            let both = came.len().min(rest.len());
            equal = both > 0 && came[..both] == rest.split_to(both);
            came = &came[both..];
        }
        if equal { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let received = client(&reader).fetch_network(&cid, &mut sink).await.unwrap();
    assert_eq!((received.bytes, equal), (FILE_BYTES, true));

    let grown = |peak: u64| peak.saturating_sub(before) >> 20;
    let total = peak.0.load(Ordering::Relaxed);
    let said =
        format!("{} MiB before, {} more in the upload, {} in all\n", before >> 20, grown(after_upload), grown(total));
    assert!(total - before <= GROWTH_BYTES, "{said}");
    std::io::stdout().write_all(said.as_bytes()).unwrap();
    until("every byte is paid and counted by both sides", async || {
        let books = holder.exchange().await;
        books["paid_bytes"] == books["bytes_sent"]
            && books["bytes_sent"] == reader.exchange().await["bytes_received"]
            && books["bytes_sent"].as_u64() > Some(FILE_BYTES)
    })
    .await;
    assert_eq!(holder.exchanged("unpaid_wants").await, 0);
}
