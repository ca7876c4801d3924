//! Whose certificates a client believes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Whose certificates a client believes where a URL says `https`.
#[derive(Clone, Default)]
pub struct Trust {
    /// `None`: the system's.
    config: Option<Arc<ClientConfig>>,
}

/// Why a file of certification authorities cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file cannot be read as PEM.
    #[error("cannot read certificates from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A certificate in it cannot be an authority.
    #[error("a certificate in {path} cannot be trusted as an authority")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// It holds no certificate.
    #[error("no certificate in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Trust {
    /// The authorities that this machine trusts. They are read once for the process, when a first connection needs them.
    pub fn system() -> Self {
        Self { config: None }
    }

    /// The authorities in a PEM file and no others: for servers whose certificate the operator made. A self-signed certificate is
    /// its own authority.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn pem_file(path: &Path) -> Result<Self, TrustError> {
        let read = |source| TrustError::Read { path: path.to_owned(), source };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
            let added = roots.add(certificate.map_err(read)?);
            added.map_err(|source| TrustError::Certificate { path: path.to_owned(), source })?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty { path: path.to_owned() });
        }
        Ok(Self { config: Some(Arc::new(config(roots))) })
    }

    pub(super) async fn config(&self) -> Arc<ClientConfig> {
        static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        if let Some(config) = self.config.as_ref().or_else(|| SYSTEM.get()) {
            return Arc::clone(config);
        }
        // A hundred files and more, once in the life of the process: not on the thread that measures others.
        let read = tokio::task::spawn_blocking(|| SYSTEM.get_or_init(|| Arc::new(config(system_roots()))).clone());
        read.await.unwrap_or_else(|_cancelled| Arc::new(config(RootCertStore::empty())))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.config.is_some() { "Trust(file)" } else { "Trust(system)" })
    }
}

/// Without any root, every certificate is refused as of an unknown issuer: a machine without certificates fails closed.
fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "read the system's certificates");
    roots
}

fn config(roots: RootCertStore) -> ClientConfig {
    // Named, because QUIC links a second provider and a default would be a matter of chance.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring speaks TLS 1.2 and 1.3");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}
