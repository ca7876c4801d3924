//! A ledger over HTTP.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::sealed::{Bytes, Sealed};
use peermark_http::Server;
use peermark_ledger::directory::Directory;
use peermark_ledger::http::{Acknowledgement, BASE, Executed, ProofDocument, Status};
use peermark_ledger::log::tree::leaf_hash;
use peermark_ledger::log::{Inclusion, Signer};
use peermark_ledger::sequencer::Sequencer;
use peermark_ledger::server::LedgerServer;
use peermark_node::client::{Answer, Call, ClientOptions, NodeClient};
use peermark_testkit::FakeClock;
use tokio::time::timeout;

use crate::actor::{Actor, genesis, grant};

const DEADLINE: Duration = Duration::from_secs(30);

async fn start(directory: &Directory, block: Duration) -> LedgerServer {
    let fatal = Box::new(|error: &_| panic!("{error}"));
    let sequencer = Sequencer::open(directory, Arc::new(FakeClock::default()), fatal).unwrap();
    let bound = Server::bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    LedgerServer::start(sequencer, bound, block, None)
}

struct Caller(NodeClient);

impl Caller {
    fn new(server: &LedgerServer) -> Self {
        Self(NodeClient::new(&server.url(), ClientOptions::default()).unwrap())
    }

    async fn call(&self, method: http::Method, path: &str, body: Vec<u8>) -> Answer {
        let path = format!("{BASE}{path}");
        let call = Call {
            method,
            path: &path,
            headers: http::HeaderMap::new(),
            body: body.into(),
            max_answer_bytes: 8 << 20,
            timeout: DEADLINE,
        };
        self.0.call(call).await.unwrap()
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.call(http::Method::GET, path, Vec::new()).await;
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{path}: {} {:?}", answer.status, answer.body))
    }

    async fn submit(&self, entry: &[u8]) -> Answer {
        self.call(http::Method::POST, "/entries", entry.to_vec()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_acknowledged_executed_and_proven() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::create(&place.path().join("ledger"), genesis(), [1; 32]).unwrap();
    let server = start(&directory, Duration::from_millis(50)).await;
    let mut blocks = server.subscribe();
    let caller = Caller::new(&server);
    let status: Status = caller.get("/status").await;
    let mut admin = Actor::new(2, &status.network);
    let user = Actor::new(3, &status.network);

    let entry = admin.say(&grant(&user, 5));
    let answer = caller.submit(entry.bytes()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let receipt: Acknowledgement = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(receipt.leaf, Bytes(leaf_hash(entry.bytes())));
    let block = loop {
        let block = timeout(DEADLINE, blocks.recv()).await.unwrap().unwrap();
        if !block.outcomes.is_empty() {
            break block;
        }
    };
    let executed: Executed = caller.get(&format!("/entries/{}", Bytes(entry.hash()))).await;
    assert_eq!((executed.height, &executed.outcome), (block.height, &block.outcomes[0]));

    // What the checkpoint signs, the proof leads to.
    let size = block.index + 1;
    let proof: ProofDocument = caller.get(&format!("/proofs/inclusion?index={}&size={size}", receipt.index)).await;
    let path = proof.hashes.iter().map(|hash| hash.0).collect();
    assert!(Inclusion { index: receipt.index, size, path }.verify(&receipt.leaf.0, &proof.root.0));
    let note = caller.call(http::Method::GET, "/checkpoint", Vec::new()).await;
    let signer = Signer::new(&status.network, status.sequencer).unwrap();
    signer.open(&note.body).unwrap();

    let page = caller.call(http::Method::GET, "/log?from=0&limit=1", Vec::new()).await.body;
    let first = Sealed::decode(&page[4..]).unwrap();
    assert_eq!(page.len() - 4, first.bytes().len());
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_entries_get_a_reason_and_a_status() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::create(&place.path().join("ledger"), genesis(), [1; 32]).unwrap();
    let server = start(&directory, Duration::from_secs(3_600)).await;
    let caller = Caller::new(&server);
    let status: Status = caller.get("/status").await;
    let mut user = Actor::new(3, &status.network);
    let register = user.register();
    let good = user.say(&register);
    let mut forged = good.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let other = Actor::new(3, "lab-00000000").say(&register);
    let late = user.draft(7, good.hash(), register.payload().unwrap());
    for (entry, expected) in [
        (Vec::new(), 400),
        (b"hello".to_vec(), 400),
        (vec![1; 65_536], 413),
        (vec![1; 200_000], 413),
        (forged, 403),
        (other.bytes().to_vec(), 422),
        (late.bytes().to_vec(), 409),
        (good.bytes().to_vec(), 200),
        (good.bytes().to_vec(), 200),
    ] {
        let answer = caller.submit(&entry).await;
        assert_eq!(answer.status, expected, "{:?}", answer.body);
    }
    for path in ["/entries/xyz", "/chains/12", "/proofs/inclusion?index=9&size=1", "/log?from=0&more=1", "/nothing"] {
        let answer = caller.call(http::Method::GET, path, Vec::new()).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], answer.status, "{path}");
    }
    server.shutdown().await.unwrap();
}
