//! What places pay: of every contract those in the region in which they are worst. Regions are never averaged.

use std::collections::BTreeMap;

use super::court::Case;
use crate::pay;
use crate::places::PlaceHistory;
use crate::policy::Policy;

impl Case {
    /// Of every contract the places in the region in which they are worst: regions are never averaged.
    pub(super) fn worst_places(&self, seats: &[(u32, u32, u32)], now_s: u64, policy: &Policy) -> Vec<&PlaceHistory> {
        let mut worst: BTreeMap<u32, (u32, &PlaceHistory)> = BTreeMap::new();
        for (contract, _, subject) in seats {
            let Some(history) = self.places.of(*contract, *subject) else { continue };
            let Some(shares) = history.shares(now_s, &policy.ranking) else { continue };
            let found = worst.entry(*contract).or_insert((shares.score_ppm, history));
            if shares.score_ppm < found.0 {
                *found = (shares.score_ppm, history);
            }
        }
        worst.into_values().map(|(_, history)| history).collect()
    }

    /// What every hoster of every contract is paid: the tier of its places in the region in which they are worst.
    pub(super) fn pay(&self, now_s: u64, policy: &Policy) -> BTreeMap<(u32, u32), pay::Tier> {
        let mut tiers: BTreeMap<(u32, u32), pay::Tier> = BTreeMap::new();
        for ((contract, subject), history) in self.places.all() {
            let Some(subject) = self.docket.subjects.get(subject) else { continue };
            let tier = pay::tier(history.shares(now_s, &policy.ranking).as_ref(), &policy.pay);
            let found = tiers.entry((contract, subject.hoster)).or_insert(tier);
            if tier.number < found.number {
                *found = tier;
            }
        }
        tiers
    }
}
