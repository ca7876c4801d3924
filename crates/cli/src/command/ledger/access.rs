//! Which ledger is meant.

use std::path::PathBuf;

use clap::Args;
use peermark_attest::client::LedgerClient;
use peermark_attest::ledger::{LedgerSource, Loaded};
use peermark_attest::network::{NetworkName, unnamed};

use crate::command::ledger::{LedgerError, threads};
use crate::command::service::AccessArgs;
use crate::error::ExpectedError;
use crate::output;

/// A ledger in a directory or at a server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Ledger")]
pub(crate) struct SourceArgs {
    /// The ledger: its directory, or the URL of its server. Either way everything is replayed and checked here
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) ledger: Option<String>,
    /// The network that it must be of: its name and 8 to 64 digits of the hash of its genesis. Another is refused; without it, everything
    /// that follows is of a network that you have not named
    #[arg(long, value_name = "NAME-HHHHHHHH")]
    pub(crate) network: Option<NetworkName>,
    #[command(flatten)]
    access: AccessArgs,
}

impl SourceArgs {
    /// The ledger that was named.
    ///
    /// # Errors
    /// [`ExpectedError::Configuration`] where none was, and of files that cannot be used.
    pub(crate) fn source(&self) -> Result<LedgerSource, ExpectedError> {
        let named = self.named()?;
        if is_url(named) {
            Ok(LedgerSource::Server(self.client()?))
        } else {
            Ok(LedgerSource::Directory(PathBuf::from(named)))
        }
    }

    /// A client of the server that was named.
    ///
    /// # Errors
    /// As [`Self::source`], and where a directory was named.
    pub(crate) fn client(&self) -> Result<LedgerClient, ExpectedError> {
        let url = self.named()?;
        if !is_url(url) {
            let text = format!("--ledger {url}: the URL of a running ledger is needed here (peermark ledger serve)");
            return Err(ExpectedError::Configuration(text));
        }
        let access = self.access.to(url.to_owned())?;
        Ok(LedgerClient::new(&access).map_err(LedgerError::from)?)
    }

    /// Reads and checks the whole ledger.
    ///
    /// # Errors
    /// [`ExpectedError`].
    pub(crate) async fn load(&self) -> Result<Loaded, ExpectedError> {
        Ok(self.source()?.load(self.network.as_ref(), threads()).await.map_err(LedgerError::from)?)
    }

    /// Says on stderr that the network was not named.
    pub(crate) fn say_unnamed(&self, network: &str) {
        if self.network.is_none() {
            output::talk(&format!("note: {}", unnamed(network)));
        }
    }

    fn named(&self) -> Result<&str, ExpectedError> {
        let missing = || ExpectedError::Configuration("--ledger DIR|URL says which ledger is meant".to_owned());
        self.ledger.as_deref().ok_or_else(missing)
    }
}

fn is_url(named: &str) -> bool {
    named.starts_with("http://") || named.starts_with("https://")
}
