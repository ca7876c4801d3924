//! Where and with what something was measured. Unlike environments are never compared silently.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The machine and the build of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of peermark.
    pub version: String,
    /// Commit that the binary was built from, `unknown` outside a checkout; `+` at its end marks uncommitted changes.
    pub commit: String,
    /// Kernel name and release.
    pub kernel: String,
    /// CPU model as the kernel names it.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
    /// CPU frequency governor, where the kernel tells.
    pub governor: Option<String>,
    /// `release` or `debug`: figures of a debug build say nothing about the product.
    pub build: String,
}

impl Environment {
    /// Hex digest over everything but version and commit: equal fingerprints mean that two runs differ in the code alone.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"peermark/environment/1");
        let numbers = [self.cores.to_string(), self.memory_bytes.to_string()];
        let governor = self.governor.as_deref().unwrap_or("");
        for part in [self.kernel.as_str(), &self.cpu, &numbers[0], &numbers[1], governor, &self.build] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
