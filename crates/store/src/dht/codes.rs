//! The small integers that stand for words of closed lists in `dht_operation` and `dht_hop`. They are part of the schema: a word
//! keeps its number, new words come at the end, and `0002_dht.sql` says the same; later words are in the statements of the version that
//! brought them.

use crate::error::StoreError;

/// A closed list; a word's code is its place.
pub(super) struct Words {
    what: &'static str,
    words: &'static [&'static str],
}

pub(super) const KINDS: Words = Words { what: "kind of operation", words: &["dht.provide", "dht.retrieve"] };

pub(super) const VARIANTS: Words = Words { what: "variant", words: &["default", "optprov", "fullrt"] };

pub(super) const HITS: Words = Words { what: "hit", words: &["local", "remote", "miss", "failed"] };

pub(super) const RPCS: Words = Words { what: "RPC", words: &["find_node", "get_providers", "add_provider", "confirm"] };

/// Not the order of `FailureClass::ALL`, though equal to it today: that one may change.
pub(super) const FAILURES: Words = Words {
    what: "failure class",
    words: &[
        "timeout",
        "not_sent",
        "connect_failed",
        "connection_reset",
        "not_found",
        "wrong_bytes",
        "truncated",
        "rejected",
        "server_error",
        "quota_full",
        "unpaid",
        "protocol",
        "node_down",
        "abandoned",
        "busy",
        "program_missing",
        "not_permitted",
        "bad_output",
        "panicked",
        "unfit",
    ],
};

impl Words {
    pub(super) fn code(&self, word: &str) -> Result<i16, StoreError> {
        let place = self.words.iter().position(|known| *known == word);
        place
            .and_then(|place| i16::try_from(place).ok())
            .ok_or_else(|| StoreError::UnknownName { what: self.what, found: word.to_owned() })
    }

    pub(super) fn word(&self, code: i64) -> Option<&'static str> {
        usize::try_from(code).ok().and_then(|place| self.words.get(place)).copied()
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::FailureClass;

    use super::*;

    #[test]
    fn every_failure_class_has_a_code() {
        for class in FailureClass::ALL {
            let code = FAILURES.code(class.as_str()).expect("a code");
            assert_eq!(FAILURES.word(code.into()), Some(class.as_str()));
        }
    }

    /// Words that the longest list had when its statements were released.
    const FIRST: usize = 14;

    /// The statements list the codes for those who read the tables without peermark.
    #[test]
    fn the_statements_list_the_codes() {
        let first = include_str!("../../migrations/sqlite/0002_dht.sql");
        let later = include_str!("../../migrations/sqlite/0003_records.sql");
        let prose =
            |sql: &str| sql.lines().map(|line| line.trim_start_matches([' ', '-'])).collect::<Vec<_>>().join(" ");
        let (first, later) = (prose(first), prose(later));
        for list in [KINDS, VARIANTS, HITS, RPCS, FAILURES] {
            let listed: Vec<String> =
                list.words.iter().enumerate().map(|(code, word)| format!("{code} {word}")).collect();
            let split = listed.len().min(FIRST);
            assert!(first.contains(&listed[..split].join(", ")), "{}", listed.join(", "));
            assert!(later.contains(&listed[split..].join(", ")), "{}", listed.join(", "));
        }
    }
}
