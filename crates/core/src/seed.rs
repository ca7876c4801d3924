//! Randomness as an argument: one printed number from which every stream of a run is derived by name.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The seed of a run. The same seed gives the same topology, schedule and payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// An independent stream for one named purpose. Streams of different names never share output, so adding a consumer does
    /// not change what the others draw.
    pub fn stream(self, purpose: &str) -> ChaCha8Rng {
        self.stream_at(purpose, 0)
    }

    /// The stream of one item of a purpose, such as one payload: reproducible without the streams of the other items.
    pub fn stream_at(self, purpose: &str, index: u64) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(b"peermark/seed/1");
        hash.update(self.0.to_be_bytes());
        hash.update(index.to_be_bytes());
        hash.update(purpose.as_bytes());
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_are_reproducible_and_apart() {
        let draw = |seed: Seed, purpose: &str, index| seed.stream_at(purpose, index).next_u64();
        assert_eq!(draw(Seed(7), "topology", 0), draw(Seed(7), "topology", 0));
        assert_ne!(draw(Seed(7), "topology", 0), draw(Seed(8), "topology", 0));
        assert_ne!(draw(Seed(7), "topology", 0), draw(Seed(7), "payload", 0));
        assert_ne!(draw(Seed(7), "payload", 0), draw(Seed(7), "payload", 1));
    }
}
