//! The price that draws resources in or lets them go.

use serde::{Deserialize, Serialize};

use crate::policy::{CapacityPolicy, PPM};

/// What the pool's utilisation says to those who might join or leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pressure {
    /// More resources are wanted: the price rises.
    Join,
    /// There are more than enough: the price falls.
    Leave,
    /// As many as wanted.
    Stay,
}

/// The price of the next epoch: moved towards the policy's utilisation, in proportion to how far off it is, by at most the policy's largest step
/// at 0 or at 100 % (the shape of EIP-1559). It moves by at least one unit where it moves, and never below one.
pub fn next_price(price: u64, utilisation_ppm: u32, policy: &CapacityPolicy) -> (u64, Pressure) {
    let (used, target) = (u128::from(utilisation_ppm.min(PPM)), u128::from(policy.target_ppm.min(PPM)));
    let step = |off: u128, range: u128| {
        let step = u128::from(price) * u128::from(policy.max_step_ppm) * off / (u128::from(PPM) * range.max(1));
        u64::try_from(step).unwrap_or(u64::MAX).max(1)
    };
    if used > target {
        (price.saturating_add(step(used - target, u128::from(PPM) - target)), Pressure::Join)
    } else if used < target {
        (price.saturating_sub(step(target - used, target)).max(1), Pressure::Leave)
    } else {
        (price.max(1), Pressure::Stay)
    }
}
