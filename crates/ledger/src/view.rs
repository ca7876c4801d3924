//! The state for readers: the names and paths of the database that this ledger follows, as JSON.
//!
//! Paths may be written as the database writes them: `storage/17/user/form/region`, `DB.status.idleHosters[0]`, `user[5]`,
//! `lookups.userByAddress/<hex>`, `getFeedByKey/<hex>`. Nothing is stored under them: each is an answer out of the state. Shares are
//! millionths, times are heights, sizes are bytes, rates are bits per second. Lists are cut at [`MOST_ROWS`] rows.

mod documents;
mod lists;

use serde_json::{Value, json};

use crate::item::Item;
use crate::item::user::Role;
use crate::machine::Machine;
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::{Id, Key};

/// Most rows of a list in an answer.
pub const MOST_ROWS: usize = 1000;

impl Machine {
    /// What lies under a path.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] where there is nothing, [`Refusal::WrongKind`] where an entry of another type is, [`Refusal::Invalid`] where a
    /// part of the path is no id or key.
    pub fn query(&self, path: &str) -> Result<Value, Refusal> {
        let mut parts: Vec<&str> = path.split(['/', '.', '[', ']']).filter(|part| !part.is_empty()).collect();
        if parts.first() == Some(&"DB") {
            parts.remove(0);
        }
        let Some((first, rest)) = parts.split_first() else { return Err(Refusal::unknown("path", cut(path))) };
        self.state().answer(first, rest)?.ok_or_else(|| Refusal::unknown("path", cut(path)))
    }
}

/// What of a wrong path is repeated.
fn cut(path: &str) -> String {
    path.chars().take(200).collect()
}

/// Names of types in paths, those of the database first.
const KINDS: [(&str, &str); 14] = [
    ("user", "user"),
    ("feed", "feed"),
    ("plan", "plan"),
    ("hosting", "contract"),
    ("contract", "contract"),
    ("amendment", "amendment"),
    ("storage_challenge", "storage_challenge"),
    ("performance_challenge", "performance_challenge"),
    ("dataset", "dataset"),
    ("performance", "performance"),
    ("timing", "timing"),
    ("region", "region"),
    ("resources", "resources"),
    ("record", "record"),
];

/// Queries by id of the database, and the type that they answer with; any where it is empty.
const BY_ID: [(&str, &str); 8] = [
    ("getItemByID", ""),
    ("getUserByID", "user"),
    ("getFeedByID", "feed"),
    ("getPlanByID", "plan"),
    ("getContractByID", "contract"),
    ("getAmendmentByID", "amendment"),
    ("getStorageChallengeByID", "storage_challenge"),
    ("getPerformanceChallengeByID", "performance_challenge"),
];

impl State {
    fn answer(&self, first: &str, rest: &[&str]) -> Result<Option<Value>, Refusal> {
        if let Some((_, kind)) = BY_ID.iter().find(|(name, _)| *name == first) {
            let [id] = rest else { return Ok(None) };
            return self.entry(number(id)?, kind).map(Some);
        }
        if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == first) {
            let Some((id, inner)) = rest.split_first() else { return Ok(Some(self.ids_of(kind))) };
            let id = number(id)?;
            if let ("feed", ["chunk", length]) = (*kind, inner) {
                return self.prefix_of(id, number(length)?);
            }
            return Ok(walk(self.entry(id, kind)?, inner));
        }
        match (first, rest) {
            ("storage", []) => Ok(Some(json!({ "size": self.storage().len() }))),
            ("storage", [id, inner @ ..]) => self.stored(number(id)?, inner),
            ("type", [one]) if one.parse::<Id>().is_ok() => self.stored(number(one)?, &["type"]),
            ("type", [kind]) => Ok(kind_of(kind).map(|kind| self.ids_of(kind))),
            ("type", [kind, id]) => Ok(kind_of(kind).zip(Some(number(id)?)).map(|(kind, id)| json!(self.is(id, kind)))),
            ("status", [list, inner @ ..]) => Ok(self.status(list).and_then(|list| walk(list, inner))),
            ("queues", ["tasks", inner @ ..]) => Ok(walk(self.tasks(), inner)),
            ("queues", []) => Ok(Some(json!({ "tasks": self.tasks() }))),
            ("active" | "activeQueue", [list, inner @ ..]) => Ok(self.active(list).and_then(|list| walk(list, inner))),
            ("lookups", [table, key]) => self.lookup(table, key),
            ("getFeedByKey", [key]) => {
                let id = self.feed_by_key.get(&bytes(key)?).copied();
                id.map(|id| self.entry(id, "feed")).transpose()
            }
            ("getUserByAddress", [key]) => {
                let id = self.user_by_address.get(&address(key)?).copied();
                id.map(|id| self.entry(id, "user")).transpose()
            }
            ("getUserIDByNoiseKey", [key]) => self.lookup("userIDByNoiseKey", key),
            ("getUserIDBySigningKey", [key]) => self.lookup("userIDBySigningKey", key),
            ("doesQualify", [user, role, contract]) => self.qualifies(user, role, contract).map(Some),
            ("getCapacity", [user, role]) => {
                let (user, role) = (number(user)?, role_of(role)?);
                Ok(Some(json!(self.balance(&Account::FreeSlots(user, role)))))
            }
            ("balance", [key]) => Ok(Some(json!(self.balance(&Account::Money(address(key)?))))),
            ("balance", ["plan", id]) => Ok(Some(json!(self.balance(&Account::Plan(number(id)?))))),
            ("balance", ["held", task]) => Ok(Some(json!(self.held_for(number(task)?)))),
            ("rootDoubt", [feed]) => Ok(Some(json!(self.root_doubt_of(number(feed)?)))),
            ("height", []) => Ok(Some(json!(self.height()))),
            ("epoch", []) => Ok(Some(json!(self.epoch()))),
            ("policy", inner) => Ok(walk(json!(self.policy()), inner)),
            ("marketPrice", []) => Ok(Some(json!(self.market_price()))),
            ("marketPrice", [area]) => {
                let area = area.parse().map_err(|error| Refusal::invalid("path", format!("{error}")))?;
                Ok(Some(json!(self.price_in(&[area]))))
            }
            ("map", [user]) => self.map_document(number(user)?).map(Some),
            ("map", [one, other]) => Ok(Some(self.pair_document(number(one)?, number(other)?))),
            ("nearer", [contract]) => Ok(Some(json!(self.nearer(number(contract)?)?))),
            ("markets", inner) => Ok(walk(self.markets_document(), inner)),
            ("quality", [user]) => Ok(Some(self.quality_document(number(user)?))),
            _ => Ok(None),
        }
    }

    /// An entry of a type; of any where `kind` is empty.
    fn entry(&self, id: Id, kind: &str) -> Result<Value, Refusal> {
        let item = self.storage().get(id).ok_or_else(|| Refusal::unknown("entry", id))?;
        if !kind.is_empty() && item.kind() != kind {
            return Err(Refusal::WrongKind { id, expected: kind.to_owned(), found: item.kind().to_owned() });
        }
        Ok(self.document(id, item))
    }

    fn stored(&self, id: Id, inner: &[&str]) -> Result<Option<Value>, Refusal> {
        let versions = self.storage().versions(id);
        match inner {
            // History stays when an entry is deleted.
            ["versions"] if !versions.is_empty() => return Ok(Some(json!(versions.len()))),
            ["versions", version, inner @ ..] => {
                let version = usize::try_from(number(version)?).ok().and_then(|version| versions.get(version));
                return Ok(version.map(|item| json!(item)).and_then(|item| walk(item, inner)));
            }
            _ => {}
        }
        let item = self.storage().get(id).ok_or_else(|| Refusal::unknown("entry", id))?;
        if let ["type"] = inner {
            return Ok(Some(json!(item.kind())));
        }
        // `storage/17/user/form` and `storage/17/form` of a user are the same; fields may have the name of another type.
        let inner = match inner.split_first() {
            Some((name, inner)) if kind_of(name) == Some(item.kind()) => inner,
            _ => inner,
        };
        Ok(walk(self.document(id, item), inner))
    }

    fn ids_of(&self, kind: &str) -> Value {
        json!(self.all_of(kind).take(MOST_ROWS).collect::<Vec<_>>())
    }

    /// Bytes of the first chunks of a feed (S28).
    fn prefix_of(&self, feed: Id, length: u64) -> Result<Option<Value>, Refusal> {
        self.item::<crate::item::Feed>(feed)?;
        let bytes = length.checked_sub(1).map_or(Some(0), |last| self.range_bytes(feed, 0, last));
        Ok(bytes.map(|bytes| json!(bytes)))
    }

    fn lookup(&self, table: &str, key: &str) -> Result<Option<Value>, Refusal> {
        let id = match table {
            "userByAddress" => self.user_by_address.get(&address(key)?),
            "userIDByNoiseKey" => self.user_by_noise_key.get(&bytes(key)?),
            "userIDBySigningKey" => self.user_by_signing_key.get(&bytes(key)?),
            "userIDByKey" => {
                let key = bytes(key)?;
                self.user_by_noise_key.get(&key).or_else(|| self.user_by_signing_key.get(&key))
            }
            "feedByKey" => self.feed_by_key.get(&bytes(key)?),
            _ => None,
        };
        Ok(id.map(|id| json!(id)))
    }

    fn qualifies(&self, user: &str, role: &str, contract: &str) -> Result<Value, Refusal> {
        let terms = self.terms_of(number(contract)?)?;
        let reasons = self.does_not_qualify(number(user)?, role_of(role)?, &terms)?;
        Ok(json!({ "qualifies": reasons.is_empty(), "reasons": reasons }))
    }
}

fn kind_of(name: &str) -> Option<&'static str> {
    KINDS.iter().find(|(alias, _)| *alias == name).map(|(_, kind)| *kind)
}

fn number(part: &str) -> Result<Id, Refusal> {
    part.parse().map_err(|_| Refusal::invalid("path", format!("{:?} is no number", cut(part))))
}

fn bytes(part: &str) -> Result<Key, Refusal> {
    part.parse().map_err(|_| Refusal::invalid("path", format!("{:?} is no key", cut(part))))
}

fn address(part: &str) -> Result<peermark_core::sealed::PublicKey, Refusal> {
    bytes(part).map(|key| peermark_core::sealed::PublicKey(key.0))
}

fn role_of(part: &str) -> Result<Role, Refusal> {
    serde_json::from_value(json!(part)).map_err(|_| Refusal::invalid("path", format!("{:?} is no role", cut(part))))
}

/// The part of a value under a path of members and places. A range is a list of two that also answer to `first` and `last`.
fn walk(value: Value, parts: &[&str]) -> Option<Value> {
    let Some((part, rest)) = parts.split_first() else { return Some(value) };
    let inner = match value {
        Value::Object(mut members) => members.remove(*part)?,
        Value::Array(mut list) => {
            let place = match *part {
                "size" if rest.is_empty() => return Some(json!(list.len())),
                "first" | "peek" => 0,
                "last" => list.len().checked_sub(1)?,
                place => place.parse().ok()?,
            };
            if place < list.len() { list.swap_remove(place) } else { return None }
        }
        _ => return None,
    };
    walk(inner, rest)
}

/// The entry as the database would show it.
impl State {
    fn document(&self, id: Id, item: &Item) -> Value {
        let mut document = match item {
            Item::User(user) => self.user_document(id, user),
            Item::Feed(feed) => self.feed_document(id, feed),
            Item::Plan(plan) => self.plan_document(plan),
            Item::Contract(contract) => self.contract_document(id, contract),
            Item::Amendment(amendment) => documents::amendment(amendment),
            Item::StorageChallenge(challenge) => documents::storage_challenge(challenge),
            Item::PerformanceChallenge(challenge) => self.performance_challenge_document(challenge),
            Item::Performance(performance) => documents::performance(performance),
            Item::Region(region) => json!({ "geohash": region.geohashes }),
            Item::Dataset(dataset) => json!(dataset),
            Item::Timing(timing) => json!(timing),
            Item::Resources(resources) => json!(resources),
            Item::Record(record) => json!(record),
        };
        if let Value::Object(members) = &mut document {
            members.insert("id".into(), json!(id));
        }
        document
    }
}

#[cfg(test)]
mod tests;
