//! The node's ed25519 key, kept in its data directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libp2p::identity::Keypair;
use peermark_core::sealed::SigningKey;

use crate::error::NodeError;

/// Name of the key's file: a libp2p private key in its protobuf encoding, readable by the owner only.
pub const FILE: &str = "identity.key";

/// Reads the key, or makes and keeps one.
///
/// # Errors
/// [`NodeError::Data`] when the directory cannot be read or written, [`NodeError::Identity`] when the file holds something else.
pub fn load_or_create(data: &Path) -> Result<Keypair, NodeError> {
    let path = data.join(FILE);
    let failed = |source| NodeError::Data { path: path.clone(), source };
    match fs::read(&path) {
        Ok(bytes) => Keypair::from_protobuf_encoding(&bytes)
            .map_err(|error| NodeError::Identity { path: path.clone(), reason: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Keypair::generate_ed25519();
            let bytes = key
                .to_protobuf_encoding()
                .map_err(|error| NodeError::Identity { path: path.clone(), reason: error.to_string() })?;
            write_new(&path, &bytes).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The key as it signs records ([`peermark_core::sealed`]): the same 32-byte seed, so the signer of a node's records is the key
/// that its peer id names.
///
/// # Errors
/// [`NodeError::Identity`] when the key is not ed25519.
pub fn signing_key(data: &Path, key: &Keypair) -> Result<SigningKey, NodeError> {
    let failed = |reason: String| NodeError::Identity { path: data.join(FILE), reason };
    let key = key.clone().try_into_ed25519().map_err(|error| failed(error.to_string()))?;
    let seed = key.secret().as_ref().try_into().map_err(|_| failed("its seed has another length".into()))?;
    Ok(SigningKey::from_seed(seed))
}

/// Writes beside and renames: a crash leaves no half key that a later start would refuse.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_and_garbage_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_create(directory.path()).unwrap();
        let second = load_or_create(directory.path()).unwrap();
        assert_eq!(first.public().to_peer_id(), second.public().to_peer_id());
        fs::write(directory.path().join(FILE), "garbage").unwrap();
        assert!(matches!(load_or_create(directory.path()), Err(NodeError::Identity { .. })));
    }
    #[test]
    fn records_are_signed_by_the_key_of_the_peer_id() {
        let directory = tempfile::tempdir().unwrap();
        let key = load_or_create(directory.path()).unwrap();
        let signing = signing_key(directory.path(), &key).unwrap();
        let public = key.public().try_into_ed25519().unwrap();
        assert_eq!(signing.public().0, public.to_bytes());
        assert!(public.verify(b"said", &signing.sign(b"said")));
    }
}
