//! Asks a ledger, from here or from elsewhere, over its REST interface.

use std::time::Duration;

use bytes::Bytes as Body;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use peermark_core::sealed::{Draft, PublicKey, Sealed, SealedError, SigningKey};
use peermark_ledger::genesis::{Genesis, GenesisError};
use peermark_ledger::http::{Acknowledgement, BASE, Executed, ProofDocument, Status};
use peermark_ledger::machine::DOMAIN;
use peermark_ledger::outcome::Refusal;
use peermark_ledger::state::ChainEnd;
use peermark_ledger::transaction::Transaction;
use peermark_ledger::{Digest, Height};
use peermark_node::client::{Answer, Call, ClientError, ClientOptions, NodeClient, Trust};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

use crate::network::{NetworkName, OtherNetwork};

/// Longest answer that is read: a page of the log is cut at 4 MiB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Longest text of a refusal that is handed on.
const MAX_REFUSAL_CHARS: usize = 300;

/// A ledger to talk to, and by what right.
#[derive(Clone, Debug)]
pub struct LedgerAccess {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// Bearer token, where the ledger wants one.
    pub token: Option<std::sync::Arc<str>>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether a token may be sent to another machine where everybody on the way can read it.
    pub insecure: bool,
    /// Longest time for a whole question.
    pub timeout: Duration,
}

/// Why a ledger cannot be asked, or did not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerClientError {
    /// The token would be readable on the way.
    #[error("the token for {host} would travel unencrypted: use https://, or allow it with --insecure")]
    TokenInTheClear {
        /// To which host.
        host: String,
    },
    /// The token holds characters that no header may.
    #[error("the token is no single line of printable text")]
    Token,
    /// The call failed.
    #[error("cannot ask the ledger at {url}")]
    Call {
        /// Which ledger.
        url: String,
        /// Why.
        source: ClientError,
    },
    /// It refused, in its own words.
    #[error("the ledger says: {detail} (HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its machine-readable reason.
        code: String,
        /// What it said, shortened.
        detail: String,
    },
    /// Its answer is not what the interface defines.
    #[error("the answer to {path} is not that of a ledger: {what}")]
    Document {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        what: String,
    },
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
    client: NodeClient,
    headers: HeaderMap,
    timeout: Duration,
}

impl LedgerClient {
    /// A client, without any I/O.
    ///
    /// # Errors
    /// [`LedgerClientError::TokenInTheClear`] for a token over plain HTTP to anywhere but this machine, unless that is allowed;
    /// [`LedgerClientError::Token`]; [`LedgerClientError::Call`] for a URL that cannot be used.
    pub fn new(access: &LedgerAccess) -> Result<Self, LedgerClientError> {
        let options = ClientOptions { connect_timeout: access.timeout, timeout: access.timeout, max_connections: 2 };
        let client = NodeClient::trusting(&access.url, options, access.trust.clone())
            .map_err(|source| LedgerClientError::Call { url: access.url.clone(), source })?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &access.token {
            let endpoint = client.endpoint();
            if !endpoint.is_encrypted() && !endpoint.is_loopback() && !access.insecure {
                return Err(LedgerClientError::TokenInTheClear { host: endpoint.host().to_owned() });
            }
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| LedgerClientError::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { client, headers, timeout: access.timeout })
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
        Ok(Genesis::decode(&self.send(Method::GET, "/genesis", Body::new()).await?.body)?)
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
            Err(LedgerClientError::Refused { status: 404, .. }) => Ok(None),
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
        let page = self.send(Method::GET, &path, Body::new()).await?.body;
        let cut = || LedgerClientError::Document { path: path.clone(), what: "a record is cut".to_owned() };
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
        let note = self.send(Method::GET, "/checkpoint", Body::new()).await?.body;
        String::from_utf8(note)
            .map_err(|error| LedgerClientError::Document { path: "/checkpoint".into(), what: error.to_string() })
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
        let answer = self.send(Method::POST, "/entries", entry.bytes().to_vec().into()).await?;
        parse("/entries", &answer.body)
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
        parse(path, &self.send(Method::GET, path, Body::new()).await?.body)
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Answer, LedgerClientError> {
        let (path, headers) = (format!("{BASE}{path}"), self.headers.clone());
        let timeout = self.timeout;
        let call = Call { method, path: &path, headers, body, max_answer_bytes: MAX_ANSWER_BYTES, timeout };
        let failed = |source| LedgerClientError::Call { url: self.client.endpoint().to_string(), source };
        let answer = self.client.call(call).await.map_err(failed)?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(refused(&answer)) }
    }
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, LedgerClientError> {
    serde_json::from_slice(body)
        .map_err(|error| LedgerClientError::Document { path: path.to_owned(), what: error.to_string() })
}

fn refused(answer: &Answer) -> LedgerClientError {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let detail = text("detail").chars().take(MAX_REFUSAL_CHARS).map(plain).collect();
    LedgerClientError::Refused { status: answer.status, code: text("code").to_owned(), detail }
}
