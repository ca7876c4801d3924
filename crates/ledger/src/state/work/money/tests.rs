use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;
use peermark_judge::qualification::Standing;

use super::*;
use crate::Height;
use crate::genesis::Policy;
use crate::item::User;
use crate::item::judged::JobKey;
use crate::state::accounts::Account;
use crate::state::standing::Quality;
use crate::state::work::{Holder, Staffing};
use crate::town::{Town, plan};
use crate::transaction::Transaction;

const PRICE: Amount = 120;

fn quality(tier: u8) -> Quality {
    Quality {
        standing: Standing::Qualified,
        tier,
        availability: None,
        latency: vec![],
        egress: vec![],
        ingress: vec![],
        disputed: false,
        at: 0,
    }
}

/// A contract that asks for hosting in `u33`, with two hosters, paid from block 10 on.
fn hosted() -> (State, Id, [Id; 2]) {
    let mut town = Town::new(Policy { funded_blocks: 1, ..Policy::default() });
    for who in [1, 2, 3] {
        town.register(who);
    }
    let mut draft = plan(&town, 50);
    (draft.price, draft.deposit) = (PRICE, 500_000);
    draft.components.regions = vec![crate::item::Region { geohashes: vec!["u33".parse().unwrap()] }];
    let created = town.say(1, Transaction::PublishPlan(draft)).unwrap();
    let contract = *created.iter().find(|id| town.state().is(**id, "contract")).unwrap();
    let hosters = [2, 3].map(|who| town.state().user_of(crate::town::address(who)).unwrap());
    let mut state = town.state().clone();
    state.change::<Contract>(contract, |contract| contract.active_hosters = hosters.to_vec()).unwrap();
    let holder = |hoster| Holder { hoster, amendment: contract, lost: false, asked: 0 };
    let holders: BTreeMap<u32, Holder> = (0..).zip(hosters.map(holder)).collect();
    state.staffing.put(contract, Staffing { holders, started: true, ..Staffing::default() });
    (0..).zip(hosters).for_each(|(place, hoster)| _ = state.hostings.put((hoster, contract), place));
    at(&mut state, 10);
    state.start_pay(contract).unwrap();
    (state, contract, hosters)
}

fn at(state: &mut State, height: Height) {
    state.begin(height, Bytes([1; 32]));
}

fn earned(state: &State, user: Id) -> Amount {
    let address = state.item::<User>(user).unwrap().address;
    state.balance(&Account::Money(address)) - crate::town::MONEY
}

/// R83: what is paid follows what was measured in the plan's region. A hoster that is at its best at home is paid by what it does abroad,
/// and as one that nobody measured where nobody did.
#[test]
fn r83_pay_follows_the_region_of_the_plan_and_never_home() {
    let (mut state, contract, [measured, unknown]) = hosted();
    for (user, region, tier) in [(measured, "dr5", 4), (measured, "u33d", 3), (measured, "u33", 2), (unknown, "dr5", 4)]
    {
        state.qualities.put((user, region.parse().unwrap()), quality(tier));
    }
    assert_eq!((state.tier_of(measured, contract), state.tier_of(unknown, contract)), (Ok(2), Ok(1)));
    at(&mut state, 30);
    state.settle(contract).unwrap();
    // Twenty blocks of a third of the price, by quarters.
    assert_eq!((earned(&state, measured), earned(&state, unknown)), (20 * 40 * 2 / 4, 20 * 40 / 4));
}

/// A hoster that lost its place, stayed because nobody else had the data, and proves that it has it after all is paid from then on, not
/// for the time in which it was lost.
#[test]
fn who_is_redeemed_is_paid_from_then_on() {
    let (mut state, contract, [lost, gone]) = hosted();
    at(&mut state, 20);
    state.lose_place(contract, gone).unwrap();
    state.lose_place(contract, lost).unwrap();
    let holders = &state.staffing.get(&contract).unwrap().holders;
    assert!(holders.len() == 1 && holders.values().all(|holder| holder.hoster == lost && holder.lost), "{holders:?}");
    at(&mut state, 50);
    state.redeem(contract, lost).unwrap();
    assert_eq!(earned(&state, lost), 10 * 40 / 4);
    at(&mut state, 60);
    state.redeem(contract, lost).unwrap();
    state.settle(contract).unwrap();
    assert_eq!((earned(&state, lost), earned(&state, gone)), (20 * 40 / 4, 10 * 40 / 4));
}

/// R77: another tier pays from the block on in which it was found, not for what was served before.
#[test]
fn r77_a_new_tier_pays_from_now_on() {
    let (mut state, contract, [hoster, _]) = hosted();
    let area: Geohash = "u33".parse().unwrap();
    at(&mut state, 30);
    state.job_qualities.put((hoster, area.clone(), JobKey::default()), quality(4));
    state.merge_qualities(hoster, area).unwrap();
    at(&mut state, 40);
    state.settle(contract).unwrap();
    assert_eq!(earned(&state, hoster), 20 * 40 / 4 + 10 * 40);
}
