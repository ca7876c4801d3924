//! The copies of a contract: taken, compared, thrown away.

use super::super::State;
use super::resolve::{Compared, PlaceEnd, compare};
use super::storage_challenge::chunks_in;
use super::{Holder, Staffing};
use crate::Id;
use crate::feed_tree::range_bytes;
use crate::item::Contract;
use crate::item::hosting::{Amendment, HeldCopy};
use crate::item::user::{Job, Role};
use crate::outcome::Refusal;

impl State {
    /// The encoder of a copy that differs from what is proved, or from two others, signed what is not so (S37, S38, S41).
    pub(super) fn compare_copies(
        &mut self,
        amendment: &Amendment,
        staffing: &mut Staffing,
        ends: &mut [(u32, PlaceEnd)],
    ) -> Result<(), Refusal> {
        let contract = self.item::<Contract>(amendment.contract)?.clone();
        let range = |(first, last): &(u64, u64)| self.proven_bytes(contract.feed, *first, *last);
        let known: Option<Vec<u64>> = contract.ranges.iter().map(range).collect();
        let plain = known.map(|bytes| bytes.into_iter().fold(0, u64::saturating_add));
        let chunks = chunks_in(&contract.ranges);
        for _ in 0..super::PLACES {
            let mut copies: Vec<(u32, HeldCopy)> = Vec::new();
            for (place, holder) in &staffing.holders {
                let copy = self.item::<Amendment>(holder.amendment)?.copies.get(place).copied();
                copies.extend(copy.map(|copy| (*place, copy)));
            }
            copies.extend(ends.iter().filter_map(|(place, end)| match end {
                PlaceEnd::Hosted(copy) => Some((*place, *copy)),
                _ => None,
            }));
            match compare(&copies, plain, chunks) {
                Compared::Agree => break,
                Compared::Nobody => {
                    for (_, end) in ends.iter_mut().filter(|(_, end)| matches!(end, PlaceEnd::Hosted(_))) {
                        *end = PlaceEnd::EncoderDoubted;
                    }
                    break;
                }
                Compared::Differs(place) => {
                    if let Some((_, end)) = ends.iter_mut().find(|(at, _)| *at == place) {
                        *end = PlaceEnd::EncoderFailed;
                    } else if let Some(holder) = staffing.holders.remove(&place) {
                        self.discard_copy(amendment.contract, place, holder)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes of a range, where proofs alone tell them: what a publisher says of a version is nobody's fault but its own.
    pub(super) fn proven_bytes(&self, feed: Id, first: u64, last: u64) -> Option<u64> {
        let nothing = |length| (length == 0).then_some(0);
        range_bytes(|node| self.node_size(feed, node), nothing, first, last)
    }

    /// A copy that was taken before turns out to be wrong: its encoder is to blame, its hoster only loses the place.
    fn discard_copy(&mut self, contract: Id, place: u32, holder: Holder) -> Result<(), Refusal> {
        let encoder = self.item::<Amendment>(holder.amendment)?.providers.encoders.get(place as usize).copied();
        if let Some(encoder) = encoder {
            self.emit_with("encoderFailed", &[holder.amendment, encoder], "the sizes that it signed are wrong");
            self.fails(encoder, 1)?;
        }
        self.release_place(contract, holder.hoster)
    }

    /// A hoster holds a place from now on.
    pub(super) fn take_place(
        &mut self,
        contract: Id,
        amendment: Id,
        place: u32,
        hoster: Id,
        copy: HeldCopy,
    ) -> Result<(), Refusal> {
        let bound = self.copy_bound(contract)?;
        let bytes = bound.min(copy.sizes.encoded_bytes);
        // Whoever was there until now is paid for that time alone.
        self.settle(contract)?;
        self.rebook(hoster, Role::Hoster, (amendment, contract), Job::Hosting, bytes)?;
        self.rate(hoster, 1)?;
        self.hostings.put((hoster, contract), place);
        self.change::<Amendment>(amendment, |amendment| {
            amendment.copies.insert(place, copy);
        })?;
        self.change::<Contract>(contract, |contract| contract.active_hosters.push(hoster))
    }
}
