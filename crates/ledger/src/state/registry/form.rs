//! What a user offers.

use std::collections::BTreeSet;

use super::components::{Resolved, check_timings};
use crate::item::user::{Foreign, Form, Role};
use crate::item::{Performance, Region, Resources, Timing};
use crate::outcome::Refusal;
use crate::select::MAX_RADIUS;
use crate::state::State;
use crate::transaction::Reference;

/// Most tasks at a time that an offer may name for a role.
const MAX_SLOTS: u32 = 100_000;
/// Longest name of an operator, bytes.
const MAX_OPERATOR_BYTES: usize = 64;

impl State {
    /// The offer with every reference as an id of the right type.
    pub(super) fn resolve_form(&self, form: &Form<Reference>, new: &Resolved) -> Result<Form, Refusal> {
        check_timings(&form.timings)?;
        let foreign = match &form.foreign {
            Foreign::None => Foreign::None,
            Foreign::Any { min_price } => Foreign::Any { min_price: *min_price },
            Foreign::Regions { region, min_price } => {
                Foreign::Regions { region: self.resolve::<Region>(new, *region)?, min_price: *min_price }
            }
        };
        Ok(Form {
            from: form.from,
            until: form.until,
            timings: self.resolve_all::<Timing>(new, &form.timings)?,
            region: self.resolve::<Region>(new, form.region)?,
            radius: form.radius,
            performance: form.performance.map(|at| self.resolve::<Performance>(new, at)).transpose()?,
            resources: self.resolve::<Resources>(new, form.resources)?,
            foreign,
            min_price: form.min_price,
            capacity: form.capacity.clone(),
            operator: form.operator.clone(),
            prefix: form.prefix.clone(),
            measuring_share: form.measuring_share,
        })
    }

    /// The resources of an offer.
    pub(super) fn resources_of(&self, form: &Form) -> Result<&Resources, Refusal> {
        self.item::<Resources>(form.resources)
    }
}

/// Checks an offer whose references are resolved.
pub(super) fn check(state: &State, form: &Form, roles: &BTreeSet<Role>) -> Result<(), Refusal> {
    if roles.is_empty() {
        return Err(Refusal::invalid("roles", "none"));
    }
    if form.until.is_some_and(|until| until <= form.from || until <= state.height()) {
        return Err(Refusal::invalid("until", "not after the beginning and this block"));
    }
    let areas = state.item::<Region>(form.region)?.geohashes.len();
    if areas != 1 {
        return Err(Refusal::invalid("region", format!("{areas} areas, a user is in one")));
    }
    if form.radius > MAX_RADIUS {
        return Err(Refusal::invalid("radius", format!("more than {MAX_RADIUS} cells")));
    }
    for role in roles {
        let slots = form.capacity.get(role).copied().unwrap_or(0);
        if !(1..=MAX_SLOTS).contains(&slots) {
            return Err(Refusal::invalid("capacity", format!("{slots} tasks as {role:?}").to_lowercase()));
        }
    }
    if form.capacity.keys().any(|role| !roles.contains(role)) {
        return Err(Refusal::invalid("capacity", "of a role that is not offered"));
    }
    if !(1..=MAX_OPERATOR_BYTES).contains(&form.operator.len()) {
        return Err(Refusal::invalid("operator", format!("not 1 to {MAX_OPERATOR_BYTES} bytes")));
    }
    if ![0, 3, 6].contains(&form.prefix.len()) {
        return Err(Refusal::invalid("prefix", "neither 24 bits of IPv4 nor 48 of IPv6"));
    }
    if form.measuring_share > 1_000_000 {
        return Err(Refusal::invalid("measuring_share", "more than all"));
    }
    Ok(())
}
