//! Randomness that assigns work: chosen by nobody, recomputable by everybody.

use peermark_core::sealed::{Bytes, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{Digest, Height, Signature};

/// Where a network's randomness comes from; part of its genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BeaconRule {
    /// From the hash of the state after the block before and the height. Free of parties, and tasks are drawn before a block's own
    /// entries; but who chooses which entries are in a block can try several choices, so it fits networks that trust their sequencer
    /// with that. The block's record is no part of it: its clock could be tried out at no cost.
    #[default]
    Checkpoint,
    /// From the signature of a beacon over network and height: the sequencer cannot know it before the block is due, the beacon
    /// cannot know what depends on it.
    Signed {
        /// The beacon's key.
        key: PublicKey,
    },
}

/// Why a block has no randomness.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BeaconError {
    /// The rule needs a signature and there is none, or the rule needs none and there is one.
    #[error("the beacon's signature is missing, or not expected")]
    Presence,
    /// It is not the beacon's signature over this height.
    #[error("the beacon's signature does not hold")]
    Signature,
}

/// A source of randomness.
pub trait Beacon {
    /// The randomness of a block: the same for everybody who knows the state and the proof. `state` is the hash of the state
    /// after the block before.
    ///
    /// # Errors
    /// [`BeaconError`] where `proof` does not prove it.
    fn value(
        &self,
        network: &str,
        height: Height,
        state: Digest,
        proof: Option<&Signature>,
    ) -> Result<Digest, BeaconError>;
}

impl Beacon for BeaconRule {
    fn value(
        &self,
        network: &str,
        height: Height,
        state: Digest,
        proof: Option<&Signature>,
    ) -> Result<Digest, BeaconError> {
        let mut hash = Sha256::new();
        match (self, proof) {
            (Self::Checkpoint, None) => {
                hash.update("peermark/beacon/checkpoint/v1\0");
                hash.update(message(network, height));
                hash.update(state.0);
            }
            (Self::Signed { key }, Some(signature)) => {
                if !key.verifies(&message(network, height), &signature.0) {
                    return Err(BeaconError::Signature);
                }
                hash.update("peermark/beacon/signed/v1\0");
                hash.update(signature.0);
            }
            _ => return Err(BeaconError::Presence),
        }
        Ok(Bytes(hash.finalize().into()))
    }
}

/// What a beacon signs for a height.
pub fn sign(key: &SigningKey, network: &str, height: Height) -> Signature {
    Bytes(key.sign(&message(network, height)))
}

fn message(network: &str, height: Height) -> Vec<u8> {
    let mut message = b"peermark/beacon/v1\0".to_vec();
    message.extend((network.len() as u64).to_be_bytes());
    message.extend(network.as_bytes());
    message.extend(height.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_takes_its_own_proof_and_no_other() {
        let key = SigningKey::from_seed([3; 32]);
        let signed = BeaconRule::Signed { key: key.public() };
        let proof = sign(&key, "lab", 7);
        let value =
            |rule: &BeaconRule, height, previous: u8, proof| rule.value("lab", height, Bytes([previous; 32]), proof);
        assert!(value(&signed, 7, 0, Some(&proof)).is_ok());
        assert_eq!(value(&signed, 7, 0, Some(&proof)), value(&signed, 7, 1, Some(&proof)));
        assert_eq!(value(&signed, 8, 0, Some(&proof)), Err(BeaconError::Signature));
        assert_eq!(value(&signed, 7, 0, None), Err(BeaconError::Presence));
        assert_eq!(value(&BeaconRule::Checkpoint, 7, 0, Some(&proof)), Err(BeaconError::Presence));
        assert_ne!(value(&BeaconRule::Checkpoint, 7, 0, None), value(&BeaconRule::Checkpoint, 7, 1, None));
        assert_ne!(value(&BeaconRule::Checkpoint, 7, 0, None), value(&BeaconRule::Checkpoint, 8, 0, None));
    }
}
