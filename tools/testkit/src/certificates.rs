//! An authority of a test's own and the server certificates that it signs, as PEM files in a directory that goes with the test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// Signs certificates. Its files are deleted when it is dropped.
pub struct Certificates {
    directory: TempDir,
    root: rcgen::Certificate,
    root_key: KeyPair,
}

/// A server's certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// File of the certificate.
    pub chain: PathBuf,
    /// File of its private key.
    pub key: PathBuf,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificates {
    /// A new authority, which nobody trusts yet.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root_key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "peermark test authority");
        let root = parameters.self_signed(&root_key).expect("a certificate");
        fs::write(directory.path().join("root.pem"), root.pem()).expect("a certificate can be written");
        Self { directory, root, root_key }
    }

    /// File of the authority's own certificate: what a client has to trust.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A certificate for a name or address, good for now.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn issue(&self, name: &str) -> Certificate {
        self.sign(name, "good", Self::parameters(name))
    }

    /// A certificate for a name or address whose time ended in 2001.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn issue_expired(&self, name: &str) -> Certificate {
        let mut parameters = Self::parameters(name);
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(2001, 1, 1);
        self.sign(name, "expired", parameters)
    }

    fn parameters(name: &str) -> CertificateParams {
        CertificateParams::new([name.to_owned()]).expect("a name")
    }

    fn sign(&self, name: &str, kind: &str, parameters: CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let signed = parameters.signed_by(&key, &self.root, &self.root_key).expect("a certificate");
        let file = |part: &str| self.directory.path().join(format!("{name}-{kind}.{part}.pem"));
        let made = Certificate { chain: file("chain"), key: file("key") };
        fs::write(&made.chain, signed.pem()).expect("a certificate can be written");
        fs::write(&made.key, key.serialize_pem()).expect("a key can be written");
        made
    }
}
