//! Certificates for a server on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

/// Who signed the server's certificate.
pub(super) const ROOT: &str = "root.crt";
/// An authority that signed nothing.
pub(super) const FOREIGN: &str = "foreign.crt";
pub(super) const SERVER: &str = "server.crt";
pub(super) const KEY: &str = "server.key";

/// What the server reads.
pub(super) const FILES: [&str; 2] = [SERVER, KEY];

/// Writes all of them into the directory.
pub(super) fn write(directory: &Path) {
    let (root, root_key) = authority("peermark test root");
    let (foreign, _) = authority("somebody else");
    // Not for the address, so that tests can tell who looks at the name.
    let names = ["localhost".to_owned()];
    let key = KeyPair::generate().expect("a key");
    let server =
        CertificateParams::new(names).expect("a name").signed_by(&key, &root, &root_key).expect("a certificate");
    for (name, text) in
        [(ROOT, root.pem()), (FOREIGN, foreign.pem()), (SERVER, server.pem()), (KEY, key.serialize_pem())]
    {
        let path = directory.join(name);
        fs::write(&path, text).expect("a certificate can be written");
        // PostgreSQL refuses a key that others may read.
        let mode = if name == KEY { 0o600 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode can be set");
    }
}

fn authority(name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate, key)
}
