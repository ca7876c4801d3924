//! What is stored under an id.

pub mod component;
pub mod feed;
pub mod hosting;
pub mod judged;
pub mod plan;
pub mod record;
pub mod user;

use serde::{Deserialize, Serialize};

pub use component::{Dataset, Performance, Region, Resources, Timing};
pub use feed::Feed;
pub use hosting::{Amendment, Contract, PerformanceChallenge, StorageChallenge};
pub use plan::Plan;
pub use record::Record;
pub use user::User;

use crate::Id;
use crate::outcome::Refusal;

/// One entry of the storage. The tag says of what type it is, as the seed asks (`storage[15].type`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "value")]
#[expect(missing_docs, reason = "each variant is the type of its name")]
pub enum Item {
    User(User),
    Feed(Feed),
    Plan(Plan),
    Dataset(Dataset),
    Performance(Performance),
    Timing(Timing),
    Region(Region),
    Resources(Resources),
    Contract(Contract),
    Amendment(Amendment),
    StorageChallenge(StorageChallenge),
    PerformanceChallenge(PerformanceChallenge),
    /// A report or a statement of the judge.
    Record(Record),
}

impl Item {
    /// Its type in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Feed(_) => "feed",
            Self::Plan(_) => "plan",
            Self::Dataset(_) => "dataset",
            Self::Performance(_) => "performance",
            Self::Timing(_) => "timing",
            Self::Region(_) => "region",
            Self::Resources(_) => "resources",
            Self::Contract(_) => "contract",
            Self::Amendment(_) => "amendment",
            Self::StorageChallenge(_) => "storage_challenge",
            Self::PerformanceChallenge(_) => "performance_challenge",
            Self::Record(_) => "record",
        }
    }
}

/// A type of entry, so that one is never read as another.
pub trait Kind: Sized {
    /// Its type in words, as [`Item::kind`] says it.
    const KIND: &'static str;

    /// The value, where the item is of this type.
    fn of(item: &Item) -> Option<&Self>;

    /// The item.
    fn into_item(self) -> Item;
}

macro_rules! kinds {
    ($($type:ident $word:literal),+ $(,)?) => {$(
        impl Kind for $type {
            const KIND: &'static str = $word;

            fn of(item: &Item) -> Option<&Self> {
                if let Item::$type(value) = item { Some(value) } else { None }
            }

            fn into_item(self) -> Item {
                Item::$type(self)
            }
        }
    )+};
}

kinds! {
    User "user", Feed "feed", Plan "plan", Dataset "dataset", Performance "performance", Timing "timing", Region "region",
    Resources "resources", Contract "contract", Amendment "amendment", StorageChallenge "storage_challenge",
    PerformanceChallenge "performance_challenge", Record "record",
}

/// The refusal of an id under which there is another type, or nothing.
pub(crate) fn expected<T: Kind>(id: Id, item: Option<&Item>) -> Result<&T, Refusal> {
    let item = item.ok_or_else(|| Refusal::unknown(T::KIND, id))?;
    T::of(item).ok_or_else(|| Refusal::WrongKind { id, expected: T::KIND.to_owned(), found: item.kind().to_owned() })
}
