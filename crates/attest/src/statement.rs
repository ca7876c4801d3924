//! What a ledger says, as documents: one for every job that was judged in it. Schema `peermark.statement/1`.

use peermark_ledger::machine::Machine;
use peermark_ledger::outcome::Refusal;
use peermark_ledger::{Digest, Height, Id};
use serde::Serialize;
use thiserror::Error;

use crate::explain::ExplainDocument;
use crate::source::Judged;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.statement/1";

/// Documents over every job of a ledger, with the place in it that they follow from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerStatement<D> {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The network.
    pub network: String,
    /// Height of the last block.
    pub height: Height,
    /// Hash of the state after it.
    pub state: Digest,
    /// Number of the rules that hold.
    pub policy: u32,
    /// One for each judged job.
    pub documents: Vec<D>,
}

/// Why there is no statement.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The ledger says nothing of it.
    #[error(transparent)]
    Nothing(#[from] Refusal),
    /// It cannot be written.
    #[error("statement cannot be written")]
    Json(#[from] serde_json::Error),
}

impl<D> LedgerStatement<D> {
    /// A document of every job in which something was judged; what `make` has nothing to say of is left out.
    pub fn of_jobs(machine: &Machine, make: impl Fn(&Judged) -> Option<D>) -> Result<Self, StatementError> {
        let state = machine.state();
        let judged =
            state.judged_jobs().into_iter().map(|key| state.judged(&key, None)).collect::<Result<Vec<_>, _>>()?;
        let documents = judged.into_iter().filter_map(|judged| make(&Judged::of_ledger(machine, judged))).collect();
        Ok(Self::new(machine, documents))
    }

    fn new(machine: &Machine, documents: Vec<D>) -> Self {
        let state = machine.state();
        Self {
            schema: SCHEMA,
            network: machine.network().to_owned(),
            height: state.height(),
            state: state.hash(),
            policy: state.policy().version,
            documents,
        }
    }

    /// For a terminal: every document, told by `text`.
    pub fn text(&self, text: impl Fn(&D) -> String) -> String {
        let head =
            format!("network {}, height {}, policy {}, state {}", self.network, self.height, self.policy, self.state);
        let mut parts = vec![head];
        if self.documents.is_empty() {
            parts.push("nothing was judged of it yet".to_owned());
        }
        parts.extend(self.documents.iter().map(text));
        parts.join("\n\n")
    }
}

/// Why a hoster stands where it stands, in every job in which it was judged.
///
/// # Errors
/// [`StatementError::Nothing`] where it is no user, or nothing was judged of it yet.
pub fn explain(machine: &Machine, hoster: Id) -> Result<LedgerStatement<ExplainDocument>, StatementError> {
    let judged = machine.state().statement(hoster)?;
    let name = hoster.to_string();
    let documents =
        judged.into_iter().filter_map(|judged| ExplainDocument::new(&Judged::of_ledger(machine, judged), &name, None));
    Ok(LedgerStatement::new(machine, documents.collect()))
}

/// The bytes of [`explain`], as a bundle holds them and as whoever checks it makes them again.
///
/// # Errors
/// As [`explain`].
pub fn document_of(machine: &Machine, hoster: Id) -> Result<Vec<u8>, StatementError> {
    Ok(serde_json::to_vec(&explain(machine, hoster)?)?)
}
