//! The node's ed25519 key, kept in its data directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use libp2p::identity::Keypair;

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
}
