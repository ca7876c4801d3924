//! Asks a ledger, from here or from elsewhere, over its REST interface.

mod possession;

use std::time::Duration;

use bytes::Bytes as Body;
use http::Method;
use peermark_core::sealed::{Draft, PublicKey, Sealed, SealedError, SigningKey};
use peermark_ledger::genesis::{Genesis, GenesisError};
use peermark_ledger::http::{Acknowledgement, BASE, Executed, ProofDocument, Status};
use peermark_ledger::machine::DOMAIN;
use peermark_ledger::outcome::Refusal;
use peermark_ledger::state::ChainEnd;
use peermark_ledger::transaction::Transaction;
use peermark_ledger::{Digest, Height};
use peermark_node::client::{Service, ServiceClient};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

use crate::network::{NetworkName, OtherNetwork};

pub use peermark_node::client::{Access, ServiceError};
pub use possession::prove_possession;

/// How errors name it, where it is, and what it reads.
const SERVICE: Service = Service { what: "ledger", base: BASE, content_type: "application/octet-stream" };

/// Longest answer that is read: a page of the log is cut at 4 MiB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Why a ledger cannot be asked, or did not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerClientError {
    /// It cannot be asked, or did not answer.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Its genesis is none.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// An entry cannot be made.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// A transaction cannot be written.
    #[error(transparent)]
    Transaction(#[from] Refusal),
    /// The ledger is of another network than the one that was named.
    #[error(transparent)]
    Network(#[from] OtherNetwork),
    /// The entry is on the ledger's disk, and no block executed it in time.
    #[error("no block executed the entry within {} s; it is on the ledger's disk and need not be sent again", longest.as_secs())]
    Late {
        /// How long was waited.
        longest: Duration,
    },
}

/// A client of one ledger: one connection, kept alive. Clones share it.
#[derive(Clone, Debug)]
pub struct LedgerClient {
    service: ServiceClient,
}

impl LedgerClient {
    /// A client, without any I/O.
    ///
    /// # Errors
    /// [`LedgerClientError::Service`], as [`ServiceClient::new`].
    pub fn new(access: &Access) -> Result<Self, LedgerClientError> {
        Ok(Self { service: ServiceClient::new(SERVICE, access)? })
    }

    /// Where the ledger is.
    ///
    /// # Errors
    /// Any [`LedgerClientError`], as all that follow.
    pub async fn status(&self) -> Result<Status, LedgerClientError> {
        self.get("/status").await
    }

    /// What its network agreed on.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn genesis(&self) -> Result<Genesis, LedgerClientError> {
        Ok(Genesis::decode(&self.read("/genesis").await?)?)
    }

    /// Where the next entry of a signer goes.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn chain(&self, signer: PublicKey) -> Result<ChainEnd, LedgerClientError> {
        self.get(&format!("/chains/{signer}")).await
    }

    /// What became of an entry; `None` before its block is closed, and of entries long ago.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn outcome(&self, entry: &Digest) -> Result<Option<Executed>, LedgerClientError> {
        match self.get(&format!("/entries/{entry}")).await {
            Err(LedgerClientError::Service(ServiceError::Refused { status: 404, .. })) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Reads the state under one of its paths.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn query(&self, path: &str) -> Result<Value, LedgerClientError> {
        let path = form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
        self.get(&format!("/query?path={path}")).await
    }

    /// Records from an index on; none at the end of the log.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn log(&self, from: u64) -> Result<Vec<Vec<u8>>, LedgerClientError> {
        let path = format!("/log?from={from}");
        let page = self.read(&path).await?;
        let cut = || self.service.misread(&path, "a record is cut");
        let mut rest = page.as_slice();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (length, more) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
            let (record, more) = more.split_at_checked(length).ok_or_else(cut)?;
            records.push(record.to_vec());
            rest = more;
        }
        Ok(records)
    }

    /// The last checkpoint, as a signed note.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn checkpoint(&self) -> Result<String, LedgerClientError> {
        let note = self.read("/checkpoint").await?;
        Ok(String::from_utf8(note).map_err(|error| self.service.misread("/checkpoint", error))?)
    }

    /// Proof that the tree of `from` leaves is the beginning of that of `to`.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ProofDocument, LedgerClientError> {
        self.get(&format!("/proofs/consistency?from={from}&to={to}")).await
    }

    /// The genesis, where it is that of the network that was named.
    ///
    /// # Errors
    /// Any [`LedgerClientError`]; [`LedgerClientError::Network`] for another's.
    pub async fn genesis_of(&self, network: Option<&NetworkName>) -> Result<Genesis, LedgerClientError> {
        let genesis = self.genesis().await?;
        NetworkName::require(network, &genesis)?;
        Ok(genesis)
    }

    /// Signs a transaction as the next entry of a key in a network and hands it over. The answer says that it is on the disk, not yet
    /// what became of it.
    ///
    /// # Errors
    /// Any [`LedgerClientError`]; 409 where somebody else signed with this key meanwhile.
    pub async fn submit(
        &self,
        key: &SigningKey,
        network: String,
        transaction: &Transaction,
    ) -> Result<(Sealed, Acknowledgement), LedgerClientError> {
        let end = self.chain(key.public()).await?;
        let payload = transaction.payload()?;
        let sequence = end.sequence.saturating_add(1);
        let draft = Draft { domain: DOMAIN.into(), network, sequence, previous: end.last.0, payload };
        let entry = Sealed::seal(key, draft)?;
        let acknowledgement = self.submit_entry(&entry).await?;
        Ok((entry, acknowledgement))
    }

    /// Hands over an entry that is signed already.
    ///
    /// # Errors
    /// Any [`LedgerClientError`].
    pub async fn submit_entry(&self, entry: &Sealed) -> Result<Acknowledgement, LedgerClientError> {
        let body = entry.bytes().to_vec().into();
        Ok(self.service.ask(Method::POST, "/entries", body, MAX_ANSWER_BYTES).await?)
    }

    /// Waits until the block of an entry is closed, by asking again and again. The entry was acknowledged after the block `height`.
    ///
    /// # Errors
    /// Any [`LedgerClientError`]; [`LedgerClientError::Late`] where nothing became of it in `longest`.
    pub async fn executed(
        &self,
        entry: &Digest,
        mut height: Height,
        pause: Duration,
        longest: Duration,
    ) -> Result<Executed, LedgerClientError> {
        let asking = async {
            loop {
                let status = self.status().await?;
                if status.height > height {
                    height = status.height;
                    if let Some(executed) = self.outcome(entry).await? {
                        return Ok(executed);
                    }
                }
                tokio::time::sleep(pause).await;
            }
        };
        timeout(longest, asking).await.unwrap_or(Err(LedgerClientError::Late { longest }))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LedgerClientError> {
        Ok(self.service.ask(Method::GET, path, Body::new(), MAX_ANSWER_BYTES).await?)
    }

    /// What is no JSON.
    async fn read(&self, path: &str) -> Result<Vec<u8>, LedgerClientError> {
        Ok(self.service.send(Method::GET, path, Body::new(), MAX_ANSWER_BYTES).await?.body)
    }
}
