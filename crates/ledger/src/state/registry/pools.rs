//! Pools of idle users, and the cells under which a search finds them.

use peermark_core::region::Geohash;

use crate::Id;
use crate::item::user::{Foreign, Form, Role};
use crate::item::{Region, User};
use crate::outcome::Refusal;
use crate::select::{CellKey, CellKind, reach};
use crate::state::State;
use crate::state::accounts::Account;

const ROLES: [Role; 3] = [Role::Encoder, Role::Hoster, Role::Attester];

impl State {
    /// Puts a user in the pools of the roles for which it can take a task, and out of the others: it offers the role, is not paused or
    /// suspended, and has a slot left. To be called after every change of one of these.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `user` is none.
    pub(crate) fn refresh_idle(&mut self, user: Id) -> Result<(), Refusal> {
        for role in ROLES {
            let can = self.can_take(user, role)?;
            if can == self.idle.contains(&(role, user)) {
                continue;
            }
            let cells = self.cells_of(user, role)?;
            if can {
                self.idle.put((role, user), ());
                cells.into_iter().for_each(|cell| _ = self.cells.put(cell, ()));
            } else {
                self.idle.take(&(role, user));
                cells.iter().for_each(|cell| _ = self.cells.take(cell));
            }
        }
        Ok(())
    }

    /// Takes a user out of all pools: before its form changes, and when it goes.
    pub(super) fn leave_pools(&mut self, user: Id) -> Result<(), Refusal> {
        for role in ROLES {
            if self.idle.take(&(role, user)).is_some() {
                self.cells_of(user, role)?.iter().for_each(|cell| _ = self.cells.take(cell));
            }
        }
        Ok(())
    }

    fn can_take(&self, id: Id, role: Role) -> Result<bool, Refusal> {
        let user = self.item::<User>(id)?;
        let suspended = self.chains.get(&user.address).is_some_and(|end| end.suspended.is_some());
        let free = self.balance(&Account::FreeSlots(id, role)) > 0;
        Ok(user.roles.contains(&role) && user.form.is_some() && user.paused.is_none() && !suspended && free)
    }

    /// The rows under which a user with this role is found.
    fn cells_of(&self, id: Id, role: Role) -> Result<Vec<CellKey>, Refusal> {
        let Some(form) = &self.item::<User>(id)?.form else { return Ok(vec![]) };
        let row =
            |kind, cell: &Geohash| CellKey { role, kind, precision: cell.precision(), cell: cell.number(), user: id };
        let mut rows = Vec::new();
        let Some(own) = self.place_of(form)? else { return Ok(rows) };
        rows.push(row(CellKind::Own, own));
        if role == Role::Hoster {
            rows.extend(reach(own, form.radius).iter().map(|cell| row(CellKind::Area, cell)));
            match &form.foreign {
                Foreign::None => {}
                Foreign::Any { .. } => {
                    rows.push(CellKey { role, kind: CellKind::Foreign, precision: 0, cell: 0, user: id });
                }
                Foreign::Regions { region, .. } => {
                    let abroad = &self.item::<Region>(*region)?.geohashes;
                    rows.extend(abroad.iter().map(|cell| row(CellKind::Foreign, cell)));
                }
            }
        }
        Ok(rows)
    }

    /// Where a user says it is.
    pub(crate) fn place_of(&self, form: &Form) -> Result<Option<&Geohash>, Refusal> {
        Ok(self.item::<Region>(form.region)?.geohashes.first())
    }
}
