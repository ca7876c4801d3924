//! Which network is meant: what a reader knows before it reads anything.

use std::fmt;
use std::str::FromStr;

use peermark_ledger::genesis::Genesis;
use thiserror::Error;

/// Digits of a genesis's hash that are part of a network's name.
const SHORT: usize = 8;

/// Digits of a whole hash.
const WHOLE: usize = 64;

/// A network by its name and the first digits of the hash of its genesis: `lab-1f2e3d4c`. Eight digits are 32 bits, which keep ledgers
/// apart that are named alike by chance; somebody who wants to can make another genesis with the same eight. Up to all 64 may be given,
/// and all 64 name one genesis alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkName {
    name: String,
    digits: String,
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected NAME-HHHHHHHH: the name of a network, '-' and 8 to 64 digits of the hash of its genesis (peermark ledger init prints both)"
)]
pub struct NetworkNameError;

/// A ledger is of another network than the one that was named.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it is of the network {found}, not of {wanted}")]
pub struct OtherNetwork {
    /// The network that was named.
    pub wanted: NetworkName,
    /// Name and whole hash of the genesis that was found.
    pub found: NetworkName,
}

impl NetworkName {
    /// Name and whole hash of a genesis.
    pub fn of(genesis: &Genesis) -> Self {
        Self { name: genesis.name.clone(), digits: genesis.hash().to_string() }
    }

    /// Whether this is what a genesis is named.
    pub fn names(&self, genesis: &Genesis) -> bool {
        let found = Self::of(genesis);
        self.name == found.name && found.digits.starts_with(&self.digits)
    }

    /// Refuses the genesis of another network. Without a name everything is of a network that nobody named.
    ///
    /// # Errors
    /// [`OtherNetwork`].
    pub fn require(wanted: Option<&Self>, genesis: &Genesis) -> Result<(), OtherNetwork> {
        match wanted {
            Some(wanted) if !wanted.names(genesis) => {
                Err(OtherNetwork { wanted: wanted.clone(), found: Self::of(genesis) })
            }
            _ => Ok(()),
        }
    }
}

/// What is said where no network was named: the genesis is the one that the ledger brought itself.
pub fn unnamed(network: &str) -> String {
    format!(
        "of a network that you have not named: {network}; whoever made it chose who signs. --network NAME-HHHHHHHH names one"
    )
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.digits)
    }
}

impl FromStr for NetworkName {
    type Err = NetworkNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digits) = text.rsplit_once('-').ok_or(NetworkNameError)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_name = (1..=40).contains(&name.len()) && name.bytes().all(plain);
        let is_hash = (SHORT..=WHOLE).contains(&digits.len()) && digits.bytes().all(hex);
        if is_name && is_hash {
            Ok(Self { name: name.to_owned(), digits: digits.to_owned() })
        } else {
            Err(NetworkNameError)
        }
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::sealed::SigningKey;
    use peermark_ledger::genesis::Policy;

    use super::*;

    fn genesis(name: &str, sequencer: u8) -> Genesis {
        Genesis {
            name: name.into(),
            sequencer: SigningKey::from_seed([sequencer; 32]).public(),
            admins: Vec::new(),
            admin_threshold: 1,
            grants: Vec::new(),
            beacon: peermark_ledger::beacon::BeaconRule::Checkpoint,
            policy: Policy::default(),
        }
    }

    #[test]
    fn a_network_is_named_by_eight_digits_or_more() {
        let (ours, theirs) = (genesis("my-lab", 1), genesis("my-lab", 2));
        for text in [ours.network(), format!("my-lab-{}", ours.hash())] {
            let named: NetworkName = text.parse().unwrap();
            assert!(named.names(&ours) && !named.names(&theirs) && !named.names(&genesis("lab", 1)), "{text}");
            assert_eq!(NetworkName::require(Some(&named), &ours), Ok(()));
            let refused = NetworkName::require(Some(&named), &theirs).unwrap_err();
            assert!(refused.to_string().contains(&theirs.hash().to_string()), "{refused}");
        }
        assert_eq!(NetworkName::require(None, &theirs), Ok(()));
        // Seven digits of eight, upper case, no name, too long.
        for bad in ["lab-1234567", "lab-1234567G", "lab-ABCDEF12", "-12345678", "12345678", "", "l b-12345678"] {
            assert_eq!(bad.parse::<NetworkName>(), Err(NetworkNameError), "{bad}");
        }
        assert_eq!(format!("lab-{}", "0".repeat(65)).parse::<NetworkName>(), Err(NetworkNameError));
    }
}
