//! Components: stored once for equal content (S45, S46), and how transactions refer to them (S47, S48).

use peermark_core::region::{Geohash, named};
use serde::Serialize;

use crate::Id;
use crate::item::component::{Lag, Speed};
use crate::item::{Dataset, Feed, Item, Kind, Performance, Region, Resources, Timing};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::hashing::hash_of;
use crate::transaction::{Components, Reference};

/// Most timings of an offer or an item of a program: every search compares all edges of both.
const MAX_TIMINGS: usize = 4;
/// Most areas of a region, and of an item of a program in all its regions: enough for a continent.
pub(super) const MAX_AREAS: usize = 256;

/// Ids of what came with a transaction, in its order.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    feeds: Vec<Id>,
    datasets: Vec<Id>,
    performances: Vec<Id>,
    timings: Vec<Id>,
    regions: Vec<Id>,
    resources: Vec<Id>,
}

/// A type of entry that may come with a transaction.
pub(super) trait Listed: Kind {
    /// Those that came.
    fn list(new: &Resolved) -> &[Id];
}

macro_rules! listed {
    ($($type:ident $list:ident),+ $(,)?) => {$(
        impl Listed for $type {
            fn list(new: &Resolved) -> &[Id] {
                &new.$list
            }
        }
    )+};
}

listed! {
    Feed feeds, Dataset datasets, Performance performances, Timing timings, Region regions, Resources resources,
}

impl State {
    /// The id that a reference means, if there is an entry of this type under it.
    pub(super) fn resolve<T: Listed>(&self, new: &Resolved, reference: Reference) -> Result<Id, Refusal> {
        if let Ok(id) = Id::try_from(reference) {
            return self.item::<T>(id).map(|_| id);
        }
        let place = usize::try_from(reference.unsigned_abs()).ok().and_then(|place| place.checked_sub(1));
        let id = place.and_then(|place| T::list(new).get(place));
        id.copied().ok_or_else(|| Refusal::unknown(format!("{} of this transaction", T::KIND), reference))
    }

    /// [`Self::resolve`] for each.
    pub(super) fn resolve_all<T: Listed>(&self, new: &Resolved, references: &[Reference]) -> Result<Vec<Id>, Refusal> {
        self.within_bounds(T::KIND, references.len())?;
        references.iter().map(|reference| self.resolve::<T>(new, *reference)).collect()
    }

    /// Stores what comes with a transaction; also gives the ids that are new, in their order.
    pub(super) fn publish(&mut self, user: Id, components: &Components) -> Result<(Vec<Id>, Resolved), Refusal> {
        let before = self.storage.len();
        let mut new = Resolved::default();
        self.within_bounds("feeds", components.feeds.len())?;
        for feed in &components.feeds {
            let id = self.publish_feed(user, feed)?;
            new.feeds.push(id);
        }
        self.within_bounds("datasets", components.datasets.len())?;
        for dataset in &components.datasets {
            let feed = self.resolve::<Feed>(&new, dataset.feed)?;
            let dataset = Dataset { feed, ranges: dataset.ranges.clone() };
            self.check_dataset(&dataset)?;
            new.datasets.push(self.component(dataset));
        }
        self.within_bounds("performances", components.performances.len())?;
        for performance in &components.performances {
            check_performance(performance, self.policy().max_guarantee)?;
            new.performances.push(self.component(performance.clone()));
        }
        self.within_bounds("timings", components.timings.len())?;
        for timing in &components.timings {
            check_timing(timing, self.policy().min_window_blocks)?;
            new.timings.push(self.component(timing.clone()));
        }
        self.within_bounds("regions", components.regions.len())?;
        for region in &components.regions {
            if !(1..=MAX_AREAS).contains(&region.geohashes.len()) {
                let found = region.geohashes.len();
                return Err(Refusal::invalid("region", format!("{found} areas, not within 1 and {MAX_AREAS}")));
            }
            new.regions.push(self.region(region.geohashes.clone()));
        }
        self.within_bounds("resources", components.resources.len())?;
        for resources in &components.resources {
            new.resources.push(self.component(resources.clone()));
        }
        Ok(((before..self.storage.len()).collect(), new))
    }

    /// The region of these areas: in any order and however often one is named, it is the same.
    fn region(&mut self, mut geohashes: Vec<Geohash>) -> Id {
        geohashes.sort();
        geohashes.dedup();
        self.component(Region { geohashes })
    }

    /// The region of the whole earth, where a plan names none.
    pub(super) fn everywhere(&mut self) -> Id {
        self.region(named("global").map(|global| global.cells).unwrap_or_default())
    }

    /// The id of a component: that of the same content, or a new one. The hash is over the type and a fixed schema of integers and
    /// sorted lists, so neither the order of fields nor the text of a number can split one.
    fn component<T: Kind + Serialize>(&mut self, component: T) -> Id {
        let hash = hash_of(&format!("component/{}", T::KIND), &component);
        if let Some(id) = self.component_by_hash.get(&hash) {
            return *id;
        }
        let id = self.create(component);
        self.component_by_hash.put(hash, id);
        id
    }

    fn check_dataset(&self, dataset: &Dataset) -> Result<(), Refusal> {
        self.within_bounds("ranges", dataset.ranges.len())?;
        if dataset.ranges.is_empty() {
            return Err(Refusal::invalid("dataset", "no range"));
        }
        let length = self.item::<Feed>(dataset.feed)?.length();
        for &(first, last) in &dataset.ranges {
            if first > last {
                return Err(Refusal::invalid("range", format!("{first} is after {last}")));
            }
            if last >= length {
                return Err(Refusal::invalid("range", format!("{last} is not in a feed of {length} chunks")));
            }
        }
        Ok(())
    }

    /// Refuses lists that are longer than the policy allows.
    pub(super) fn within_bounds(&self, what: &str, found: usize) -> Result<(), Refusal> {
        let limit = u64::from(self.policy().max_list);
        let found = found as u64;
        if found <= limit { Ok(()) } else { Err(Refusal::TooMany { what: what.to_owned(), found, limit }) }
    }

    /// All ids of a type, in their order (S52).
    pub fn all_of(&self, kind: &str) -> impl Iterator<Item = Id> + '_ {
        let kind = kind.to_owned();
        (0..self.storage.len()).filter(move |id| self.storage.get(*id).map(Item::kind) == Some(kind.as_str()))
    }
}

/// Refuses timings that are active for no block, and such as change so often that following them is most of the work.
fn check_timing(timing: &Timing, least: u64) -> Result<(), Refusal> {
    let again = timing.repeat.is_none_or(|repeat| repeat > 0);
    match timing.duration {
        Some(0) => Err(Refusal::invalid("timing", "active for no block")),
        Some(duration) if duration < least => {
            Err(Refusal::invalid("timing", format!("active for {duration} blocks, at least {least}")))
        }
        Some(_) if again && timing.pause > 0 && timing.pause < least => {
            Err(Refusal::invalid("timing", format!("a pause of {} blocks, at least {least}", timing.pause)))
        }
        _ => Ok(()),
    }
}

/// Refuses more timings than a search can compare.
pub(super) fn check_timings(timings: &[Reference]) -> Result<(), Refusal> {
    let found = timings.len();
    if found <= MAX_TIMINGS {
        return Ok(());
    }
    Err(Refusal::TooMany { what: "timings".into(), found: found as u64, limit: MAX_TIMINGS as u64 })
}

/// Refuses what is no promise, and what no committee can ever prove.
fn check_performance(performance: &Performance, most: u32) -> Result<(), Refusal> {
    let share = |what: &str, share: u32| match share {
        0 => Err(Refusal::invalid(what, "a share of nothing is no promise")),
        share if share > 1_000_000 => Err(Refusal::invalid(what, "more than all")),
        share if share > most => {
            Err(Refusal::invalid(what, format!("no committee can prove {share} ppm: at most {most} ppm")))
        }
        _ => Ok(()),
    };
    if *performance == Performance::default() {
        return Err(Refusal::invalid("performance", "nothing is asked for"));
    }
    if let Some(availability) = performance.availability {
        share("availability", availability)?;
    }
    for (what, speed) in [("egress", performance.egress), ("ingress", performance.ingress)] {
        if let Some(Speed { bits_per_s, guarantee }) = speed {
            if bits_per_s == 0 {
                return Err(Refusal::invalid(what, "no speed"));
            }
            share(what, guarantee)?;
        }
    }
    if let Some(Lag { lag_ms, guarantee }) = performance.latency {
        if lag_ms == 0 {
            return Err(Refusal::invalid("latency", "nothing arrives at once"));
        }
        share("latency", guarantee)?;
    }
    Ok(())
}
