//! Where idle users are, so that a search looks at those alone that may match.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use peermark_core::region::Geohash;
use serde::{Deserialize, Serialize};

use super::{CLASSES, Match, Wanted, region_match};
use crate::Id;
use crate::item::User;
use crate::item::user::Role;
use crate::state::State;

/// A cell that an idle user answers to. Rows of one role, kind and precision lie in the order of the cells, so all that are within
/// a cell are one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CellKey {
    /// As what.
    pub(crate) role: Role,
    /// Why it answers.
    pub(crate) kind: CellKind,
    /// Digits of the cell.
    pub(crate) precision: u8,
    /// The digits as a number, five bits each.
    pub(crate) cell: u32,
    /// The user.
    pub(crate) user: Id,
}

/// Why a user answers to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum CellKind {
    /// It is there.
    Own,
    /// Its radius reaches there.
    Area,
    /// It takes work from there. Precision 0: from everywhere.
    Foreign,
}

impl State {
    /// Idle users of a role in classes, the best first; nobody is in two.
    pub(super) fn candidates(&self, role: Role, areas: &[Geohash]) -> Vec<Vec<Id>> {
        if areas.is_empty() || role == Role::Encoder {
            return vec![self.idle_users(role)];
        }
        let mut classes = self.classes(role, areas);
        match role {
            Role::Hoster => classes.push(self.abroad(areas)),
            // Who measures should be there; how near does not matter, and others may help out.
            Role::Attester | Role::Encoder => {
                let there: BTreeSet<Id> = classes.drain(..).flatten().collect();
                let others = self.idle_users(role).into_iter().filter(|id| !there.contains(id)).collect();
                classes = vec![there.iter().copied().collect(), others];
            }
        }
        classes
    }

    fn idle_users(&self, role: Role) -> Vec<Id> {
        self.idle.range((role, 0)..=(role, Id::MAX)).map(|((_, id), ())| *id).collect()
    }

    fn classes(&self, role: Role, areas: &[Geohash]) -> Vec<Vec<Id>> {
        let wanted = Wanted::new(areas);
        let mut classes: Vec<Vec<Id>> = CLASSES
            .into_iter()
            .map(|class| {
                let cells = wanted.of(class).iter();
                cells.flat_map(|cells| self.rows(role, CellKind::Own, cells.precision, cells.numbers.clone())).collect()
            })
            .collect();
        let mut reached: Vec<Id> = areas
            .iter()
            .flat_map(|area| self.rows(role, CellKind::Area, area.precision(), area.number()..=area.number()))
            .filter(|id| self.own_match(*id, areas).is_none())
            .collect();
        reached.sort_unstable();
        reached.dedup();
        if let Some(near) = classes.last_mut() {
            near.extend(reached);
        }
        classes
    }

    /// Hosters that are elsewhere and take work from there (R84).
    fn abroad(&self, areas: &[Geohash]) -> Vec<Id> {
        let around = areas.iter().flat_map(|area| (1..=area.precision()).filter_map(|precision| area.cut(precision)));
        let mut cells: Vec<(u8, u32)> = around.map(|cell| (cell.precision(), cell.number())).collect();
        cells.push((0, 0));
        cells.sort_unstable();
        cells.dedup();
        let mut found: Vec<Id> = cells
            .into_iter()
            .flat_map(|(precision, cell)| self.rows(Role::Hoster, CellKind::Foreign, precision, cell..=cell))
            .filter(|id| {
                let form = self.item::<User>(*id).ok().and_then(|user| user.form.as_ref());
                form.is_some_and(|form| matches!(self.match_of(form, areas), Ok(None)))
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How the cell of a user matches, without its radius.
    fn own_match(&self, id: Id, areas: &[Geohash]) -> Option<Match> {
        let form = self.item::<User>(id).ok()?.form.as_ref()?;
        region_match(self.place_of(form).ok()??, 0, areas)
    }

    fn rows(
        &self,
        role: Role,
        kind: CellKind,
        precision: u8,
        cells: RangeInclusive<u32>,
    ) -> impl Iterator<Item = Id> + '_ {
        let key = |cell, user| CellKey { role, kind, precision, cell, user };
        self.cells.range(key(*cells.start(), 0)..=key(*cells.end(), Id::MAX)).map(|(key, ())| key.user)
    }
}
