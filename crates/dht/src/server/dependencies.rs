//! What a server is made of and what its figures mean, for the `dependencies` column of its row.

use serde_json::{Value, json};

use crate::operation::Variant;

/// Crates that decide what is measured, with the versions that the binary is built with. A test holds them against `Cargo.lock`.
pub const CRATE_VERSIONS: [(&str, &str); 2] = [("libp2p", "0.57.1"), ("libp2p-kad", "0.49.0")];

/// How the lookup engine is set up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineFacts {
    /// Which of parsec's implementations it follows.
    pub variant: Variant,
    /// Name of the Kademlia protocol.
    pub protocol: String,
    /// Whether it answers other peers' queries.
    pub server_mode: bool,
    /// Everything else that decides on its figures: alpha, k, beta, limits. Any JSON object.
    pub settings: Value,
}

/// The document.
pub fn dependencies(engine: &EngineFacts, commit: &str) -> Value {
    let crates: serde_json::Map<String, Value> =
        CRATE_VERSIONS.iter().map(|(name, version)| ((*name).to_owned(), Value::from(*version))).collect();
    json!({
        "schema": "peermark.dht.dependencies/1",
        "implementation": "peermark",
        "version": env!("CARGO_PKG_VERSION"),
        "commit": commit,
        "crates": crates,
        "variant": engine.variant.as_str(),
        "protocol": engine.protocol,
        "server_mode": engine.server_mode,
        "settings": engine.settings,
        "timed": {
            "clock": "monotonic, of the server; from the decision to begin to the return of the call; HTTP is not part of it",
            "provide": provide_words(engine.variant),
            "retrieve": "from the begin of the lookup to the first provider record, from the own store or from a peer; the \
                provider is not dialled and no content is moved; 'not found' when the lookup ends without one",
        },
    })
}

fn provide_words(variant: Variant) -> &'static str {
    match variant {
        Variant::Default => {
            "lookup of the k closest peers, then ADD_PROVIDER to all of them at once; ends when the last one is written or has \
             failed, connections included; fails when none was written"
        }
        Variant::OptProv => {
            "ADD_PROVIDER while the lookup runs, to peers that are close enough by the estimated size of the network; ends when \
             three quarters of k are written or have failed, the rest goes on; as 'default' while there is no estimate"
        }
        Variant::FullRt => {
            "ADD_PROVIDER to the k closest peers of the crawled table, without a lookup; ends when enough are written or have \
             failed; fails when none was written"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = include_str!("../../../../Cargo.lock");
        for (name, version) in CRATE_VERSIONS {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} is not at {version} in Cargo.lock");
        }
    }

    #[test]
    fn every_variant_says_what_it_times() {
        for variant in [Variant::Default, Variant::OptProv, Variant::FullRt] {
            let document = dependencies(&EngineFacts { variant, ..EngineFacts::default() }, "abc");
            assert_eq!(document["variant"], variant.as_str());
            assert!(document["timed"]["provide"].as_str().is_some_and(|words| words.contains("ADD_PROVIDER")));
            assert_eq!(document["commit"], "abc");
        }
    }
}
