//! Flags of commands that serve an API, and of those that ask a server of ours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use peermark_core::in_words;
use peermark_node::client::{Access, Trust};
use serde::Serialize;

use crate::error::ExpectedError;

/// Where an API is served, and to whom. What is not given comes from the configuration.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ApiArgs {
    /// Address of the API; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<SocketAddr>,
    /// Serve the API beyond loopback to callers without a token
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_anonymous: bool,
    /// File with the token that callers of the API must present
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    token_file: Option<PathBuf>,
}

/// What an API is served with. What is not given comes from the configuration.
#[derive(Debug, Args, Serialize)]
pub(crate) struct TlsArgs {
    /// Certificate chain (PEM) to serve the API with
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
}

/// By what right a server is asked, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// File with the token that the server wants
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the authorities whose certificates are believed [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send the token to another machine over plain HTTP, where everybody on the way can read it
    #[arg(long)]
    insecure: bool,
    /// Longest time for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl ApiArgs {
    /// What callers must present.
    ///
    /// # Errors
    /// As [`read_token`].
    pub(crate) fn token(&self) -> Result<Option<Arc<str>>, ExpectedError> {
        self.token_file.as_deref().map(read_token).transpose()
    }
}

impl AccessArgs {
    /// To the server at this URL. No I/O but reading the files that are named.
    ///
    /// # Errors
    /// [`ExpectedError`] of a file that cannot be used.
    pub(crate) fn to(&self, url: String) -> Result<Access, ExpectedError> {
        let trust = match &self.ca {
            Some(ca) => Trust::pem_file(ca).map_err(|error| ExpectedError::Configuration(in_words(&error)))?,
            None => Trust::system(),
        };
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(Access { url, token, trust, insecure: self.insecure, timeout: Duration::from_secs(self.timeout) })
    }
}

/// A token from its file: on the command line everybody on the machine could read it.
///
/// # Errors
/// [`ExpectedError`] when the file cannot be read or is empty.
pub(crate) fn read_token(path: &Path) -> Result<Arc<str>, ExpectedError> {
    let text = std::fs::read_to_string(path).map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
    match text.trim() {
        "" => Err(ExpectedError::Configuration(format!("token file {} is empty", path.display()))),
        token => Ok(token.into()),
    }
}
