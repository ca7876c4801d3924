//! Public networks that can be measured: name of the protocol and peers to join by.
//!
//! Nothing here is a default. A preset is named by the operator, is joined as a client unless the operator says otherwise, and its
//! peers are strangers: whoever uses one keeps its rate low.
//!
//! Source: the bootstrap lists that each project publishes with its node software; a few peers of each that are reached over TCP or
//! by a `dnsaddr`. Networks whose Kademlia is not libp2p's (Ethereum and Codex discv5, Bitcoin, Waku, Monero) are out of reach.

use libp2p::Multiaddr;
use thiserror::Error;

/// A public network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The project, as parsec names it.
    pub project: &'static str,
    /// The project's network, as parsec names it.
    pub network: &'static str,
    /// Name of the Kademlia protocol.
    pub protocol: &'static str,
    /// Multiaddresses of the peers to join by.
    pub bootstrap: &'static [&'static str],
}

/// There is no such network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no preset {project}/{network}: one of {}", names())]
pub struct UnknownPreset {
    /// The project that was asked for.
    pub project: String,
    /// Its network.
    pub network: String,
}

const AMINO: &[&str] = &[
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
    "/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
];

macro_rules! preset {
    ($project:literal / $network:literal, $protocol:literal, $bootstrap:expr) => {
        Preset { project: $project, network: $network, protocol: $protocol, bootstrap: $bootstrap }
    };
}

/// Every preset, by parsec's names.
pub const PRESETS: [Preset; 19] = [
    preset!("ipfs" / "amino", "/ipfs/kad/1.0.0", AMINO),
    preset!("ipfs" / "mainnet", "/ipfs/kad/1.0.0", AMINO),
    preset!(
        "filecoin" / "mainnet",
        "/fil/kad/testnetnet/kad/1.0.0",
        &["/dns/bootstrap.filecoin.chain.love/tcp/1235/p2p/12D3KooWBF8cpp65hp2u9LK5mh19x67ftAam84z9LsfaquTDSBpt"]
    ),
    preset!(
        "filecoin" / "calibnet",
        "/fil/kad/calibrationnet/kad/1.0.0",
        &[
            "/dns/bootstrap.calibration.filecoin.chain.love/tcp/1237/p2p/12D3KooWQPYouEAsUQKzvFUA9sQ8tz4rfpqtTzh2eL6USd9bwg7x"
        ]
    ),
    preset!(
        "celestia" / "mainnet",
        "/celestia/celestia/kad/1.0.0",
        &[
            "/dnsaddr/da-bootstrapper-1.celestia-bootstrap.net/p2p/12D3KooWSqZaLcn5Guypo2mrHr297YPJnV8KMEMXNjs3qAS8msw8",
            "/dnsaddr/da-bootstrapper-2.celestia-bootstrap.net/p2p/12D3KooWQpuTFELgsUypqp9N4a1rKBccmrmQVY8Em9yhqppTJcXf",
            "/dnsaddr/boot.celestia.pops.one/p2p/12D3KooWBBzzGy5hAHUQVh2vBvL25CKwJ7wbmooPcz4amQhzJHJq",
        ]
    ),
    preset!(
        "celestia" / "arabica",
        "/celestia/arabica-10/kad/1.0.0",
        &[
            "/dns4/da-bridge.celestia-arabica-10.com/tcp/2121/p2p/12D3KooWM3e9MWtyc8GkP8QRt74Riu17QuhGfZMytB2vq5NwkWAu",
            "/dns4/da-full-1.celestia-arabica-10.com/tcp/2121/p2p/12D3KooWBWkgmN7kmJSFovVrCjkeG47FkLGq7yEwJ2kEqNKCsBYk",
        ]
    ),
    preset!(
        "celestia" / "mocha",
        "/celestia/mocha-4/kad/1.0.0",
        &[
            "/dns4/da-bridge-mocha-4.celestia-mocha.com/tcp/2121/p2p/12D3KooWCBAbQbJSpCpCGKzqz3rAN4ixYbc63K68zJg9aisuAajg",
            "/dns4/da-full-1-mocha-4.celestia-mocha.com/tcp/2121/p2p/12D3KooWCUHPLqQXZzpTx1x3TAsdn3vYmTNDhzg66yG8hqoxGGN8",
        ]
    ),
    preset!(
        "celestia" / "blockspace_race",
        "/celestia/blockspacerace-0/kad/1.0.0",
        &[
            "/dns4/bootstr-incent-3.celestia.tools/tcp/2121/p2p/12D3KooWNzdKcHagtvvr6qtjcPTAdCN6ZBiBLH8FBHbihxqu4GZx",
            "/dns4/bootstr-incent-2.celestia.tools/tcp/2121/p2p/12D3KooWNJZyWeCsrKxKrxsNM1RVL2Edp77svvt7Cosa63TggC9m",
        ]
    ),
    preset!(
        "polkadot" / "mainnet",
        "/dot/kad",
        &[
            "/dns/polkadot-bootnode-0.polkadot.io/tcp/30333/p2p/12D3KooWSz8r2WyCdsfWHgPyvD8GKQdJ1UAiRmrcrs8sQB3fe2KU",
            "/dns/polkadot-bootnode-1.polkadot.io/tcp/30333/p2p/12D3KooWFN2mhgpkJsDBuNuE5427AcDrsib8EoqGMZmkxWwx3Md4",
        ]
    ),
    preset!(
        "polkadot" / "kusama",
        "/ksmcc3/kad",
        &[
            "/dns/kusama-bootnode-0.polkadot.io/tcp/30333/p2p/12D3KooWSueCPH3puP2PcvqPJdNaDNF3jMZjtJtDiSy35pWrbt5h",
            "/dns/kusama-bootnode-1.polkadot.io/tcp/30333/p2p/12D3KooWQKqane1SqWJNWMQkbia9qiMWXkcHtAdfW5eVF8hbwEDw",
        ]
    ),
    preset!(
        "polkadot" / "rococo",
        "/rococo/kad",
        &[
            "/dns/rococo-bootnode-0.polkadot.io/tcp/30333/p2p/12D3KooWGikJMBmRiG5ofCqn8aijCijgfmZR5H9f53yUF3srm6Nm",
            "/dns/rococo-bootnode-1.polkadot.io/tcp/30333/p2p/12D3KooWLDfH9mHRCidrd5NfQjp7rRMUcJSEUwSvEKyu7xU2cG3d",
        ]
    ),
    preset!(
        "polkadot" / "westend",
        "/wnd2/kad",
        &[
            "/dns/westend-bootnode-0.polkadot.io/tcp/30333/p2p/12D3KooWKer94o1REDPtAhjtYR4SdLehnSrN8PEhBnZm5NBoCrMC",
            "/dns/westend-bootnode-1.polkadot.io/tcp/30333/p2p/12D3KooWPVPzs42GvRBShdUMtFsk4SvnByrSdWqb6aeAAHvLMSLS",
        ]
    ),
    preset!(
        "avail" / "mainnet_fn",
        "/Avail/kad",
        &[
            "/dns/bootnode-mainnet-001.avail.so/tcp/30333/p2p/12D3KooWBXk3rcfKkvd1YbJ8fHPH4WZy34QCw8Czrvqf6cbmrdKh",
            "/dns/bootnode-mainnet-002.avail.so/tcp/30333/p2p/12D3KooWMJt1z4ap2UacerW7vJprr7Mqws5sqmJXZqg8XpZswiwF",
        ]
    ),
    preset!(
        "avail" / "mainnet_lc",
        "/avail_kad/id/1.0.0-b91746",
        &[
            "/dns/bootnode.1.lightclient.mainnet.avail.so/tcp/37000/p2p/12D3KooWHgPbEYcvZvZz4aT3KiBdjQmphG5qJ9StWoUps1ofKbJx"
        ]
    ),
    preset!(
        "avail" / "turing_fn",
        "/Avail/kad",
        &[
            "/dns/bootnode-turing-001.avail.so/tcp/30333/p2p/12D3KooWRYCs192er73R2oyE4QWkKdtoRk1fL28tR3immzxTQQAq",
            "/dns/bootnode-turing-002.avail.so/tcp/30333/p2p/12D3KooWLxzYHmGXpRnN4rAKkkZVzFgpGuqKofPggUnWz4iUR5yT",
        ]
    ),
    preset!(
        "avail" / "turing_lc",
        "/avail_kad/id/1.0.0-6f0996",
        &[
            "/dns/bootnode.1.lightclient.turing.avail.so/tcp/37000/p2p/12D3KooWKK5KfQcec2Q6bLJnTo1UxuavrF8qnb48Ajtg6AJsRsJb"
        ]
    ),
    preset!(
        "pactus" / "mainnet",
        "/pactus/gossip/v1/kad/1.0.0",
        &[
            "/dns/bootstrap1.pactus.org/tcp/21888/p2p/12D3KooWMnDsu8TDTk2VV8uD8zsNSB6eUkqtQs6ttg4bHq9zNaBe",
            "/dns/bootstrap2.pactus.org/tcp/21888/p2p/12D3KooWM39ag7ghta49qybf7McADgT8FLakTYkCsiBvwdnjuG5q",
        ]
    ),
    preset!(
        "dria" / "mainnet",
        "/dria/kad/0.2",
        &[
            "/ip4/44.206.245.139/tcp/4001/p2p/16Uiu2HAm4q3LZU2T9kgjKK4ysy6KZYKLq8KiXQyae4RHdF7uqSt4",
            "/ip4/18.234.39.91/tcp/4001/p2p/16Uiu2HAmJqegPzwuGKWzmb5m3RdSUJ7NhEGWB5jNCd3ca9zdQ9dU",
        ]
    ),
    preset!(
        "algorand" / "mainnet",
        "/algorand/kad/mainnet/kad/1.0.0",
        &[
            "/dns4/r-2o.algorand-mainnet.network/tcp/4190/p2p/12D3KooWJaD1NyhzWEdpUqK4zsmN1RhawvPe1hTkKCnJAoCo9dRX",
            "/dns4/r-38.algorand-mainnet.network/tcp/4190/p2p/12D3KooWMBGG9jAAuReNmv2GA8RrD4TPgnTMdh8hehg3EnBSXN7A",
        ]
    ),
];

impl Preset {
    /// The network of a project; `network` alone may be the name of a project (its first network), or `project/network`.
    ///
    /// # Errors
    /// [`UnknownPreset`], which names all that there are.
    pub fn find(project: Option<&str>, network: Option<&str>) -> Result<Self, UnknownPreset> {
        let (project, network) = match (project, network) {
            (_, Some(both)) if both.contains('/') => both.split_once('/').map(|(one, two)| (one, Some(two))),
            (Some(project), network) => Some((project, network)),
            (None, Some(alone)) if PRESETS.iter().any(|preset| preset.project == alone) => Some((alone, None)),
            // parsec's default project.
            (None, network) => Some(("ipfs", network)),
        }
        .unwrap_or_default();
        let named = |preset: &&Self| preset.project == project && network.is_none_or(|name| preset.network == name);
        PRESETS
            .iter()
            .find(named)
            .copied()
            .ok_or_else(|| UnknownPreset { project: project.to_owned(), network: network.unwrap_or("*").to_owned() })
    }

    /// The peers to join by.
    ///
    /// # Panics
    /// Never: a test reads every address.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.bootstrap.iter().map(|text| text.parse().expect("a valid multiaddr")).collect()
    }
}

fn names() -> String {
    let names: Vec<String> = PRESETS.iter().map(|preset| format!("{}/{}", preset.project, preset.network)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use libp2p::multiaddr::Protocol;

    use super::*;

    #[test]
    fn every_address_can_be_dialled_and_names_its_peer() {
        for preset in PRESETS {
            assert!(!preset.bootstrap.is_empty() && preset.protocol.starts_with('/'), "{preset:?}");
            for address in preset.addresses() {
                assert!(matches!(address.iter().last(), Some(Protocol::P2p(_))), "{address}");
                assert!(!address.to_string().contains("/ws"), "{address}: no transport for it");
            }
        }
    }

    #[test]
    fn names_are_taken_in_every_form_that_people_use() {
        let find = |project, network| Preset::find(project, network).map(|preset| (preset.project, preset.network));
        assert_eq!(find(Some("ipfs"), Some("amino")), Ok(("ipfs", "amino")));
        assert_eq!(find(None, Some("ipfs")), Ok(("ipfs", "amino")));
        assert_eq!(find(None, Some("amino")), Ok(("ipfs", "amino")));
        assert_eq!(find(None, Some("polkadot/kusama")), Ok(("polkadot", "kusama")));
        assert_eq!(find(Some("filecoin"), None), Ok(("filecoin", "mainnet")));
        for (project, network) in [(Some("ipfs"), Some("kusama")), (None, Some("a/b/c")), (Some("ethereum"), None)] {
            let error = Preset::find(project, network).unwrap_err().to_string();
            assert!(error.contains("celestia/mocha"), "{error}");
        }
    }
}
