//! Reports as a sparse matrix that can be walked by hoster and by group.

use std::ops::Range;

use crate::fixed::Fixed;

use super::select::low_median;
use super::{Epoch, RobustError};

/// Most groups and most hosters, so that arrays over them stay within memory whatever the evidence says.
const LIMIT: u32 = 1 << 24;

/// One voice about one hoster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) hoster: u32,
    pub(super) group: u32,
    pub(super) value: Fixed,
}

/// Voices ordered by hoster, then by group, and an index that orders them by group, then by hoster.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) cells: Vec<Cell>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    by_group: Vec<u32>,
}

impl Table {
    /// A table of cells that are ordered by hoster and group already.
    pub(super) fn new(cells: Vec<Cell>, hosters: usize, groups: usize) -> Self {
        let rows = starts(cells.iter().map(|cell| cell.hoster as usize), hosters);
        let columns = starts(cells.iter().map(|cell| cell.group as usize), groups);
        let mut next = columns.clone();
        let mut by_group = vec![0; cells.len()];
        for (index, cell) in cells.iter().enumerate() {
            let place = &mut next[cell.group as usize];
            by_group[*place] = index as u32;
            *place += 1;
        }
        Self { cells, rows, columns, by_group }
    }

    pub(super) fn hosters(&self) -> usize {
        self.rows.len() - 1
    }

    pub(super) fn groups(&self) -> usize {
        self.columns.len() - 1
    }

    /// Voices about one hoster, ascending by group.
    pub(super) fn row(&self, hoster: usize) -> &[Cell] {
        &self.cells[self.row_range(hoster)]
    }

    /// Indices of the voices about one hoster.
    pub(super) fn row_range(&self, hoster: usize) -> Range<usize> {
        self.rows[hoster]..self.rows[hoster + 1]
    }

    /// Indices of the voices of one group, ascending by hoster.
    pub(super) fn column(&self, group: usize) -> &[u32] {
        &self.by_group[self.columns[group]..self.columns[group + 1]]
    }
}

/// Whether each cell says exactly what another group says about the same hoster, where rounding does not explain it.
///
/// Rounded values lie at least a step apart, and the smallest distance within a row bounds the step. Of `n` values that are spread over
/// twice their quartiles' distance, one coincides with another by chance in about `n` steps out of that: where that is a quarter or
/// more, the row is coarse. Exact values of few groups look so by chance too (of seven in four rows of ten, of fifteen in one of twelve):
/// only where most rows are coarse, values were rounded, and equal ones in a coarse row say nothing.
pub(super) fn copies(table: &Table) -> Vec<bool> {
    let mut copies = vec![false; table.cells.len()];
    let mut order = Vec::new();
    let (mut coarse, mut fine) = (Vec::new(), 0_usize);
    for hoster in 0..table.hosters() {
        order.clear();
        order.extend(table.row_range(hoster).map(|index| (table.cells[index].value, index)));
        if order.len() < 2 {
            continue;
        }
        order.sort_unstable();
        let is_coarse = is_coarse(&order);
        fine += usize::from(!is_coarse);
        if is_coarse {
            coarse.push(hoster);
        }
        for pair in order.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            (copies[pair[0].1], copies[pair[1].1]) = (true, true);
        }
    }
    if coarse.len() > fine {
        coarse.into_iter().for_each(|hoster| copies[table.row_range(hoster)].fill(false));
    }
    copies
}

/// Whether equal values in a sorted row are likely by rounding alone.
fn is_coarse(sorted: &[(Fixed, usize)]) -> bool {
    let n = sorted.len();
    let steps = sorted.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > Fixed::ZERO);
    let Some(step) = steps.min() else { return true };
    let quartiles = sorted[3 * n / 4].0 - sorted[n / 4].0;
    step.times(i64::try_from(2 * n).unwrap_or(i64::MAX)) >= quartiles
}

/// Where each number starts in an ordering of `numbers`, and where the last one ends.
fn starts(numbers: impl Iterator<Item = usize>, count: usize) -> Vec<usize> {
    let mut starts = vec![0; count + 1];
    for number in numbers {
        starts[number + 1] += 1;
    }
    for index in 0..count {
        starts[index + 1] += starts[index];
    }
    starts
}

/// Number of groups that an epoch names.
pub(super) fn group_count(epoch: &Epoch<'_>) -> Result<usize, RobustError> {
    let highest = epoch.groups.iter().chain(epoch.barred).copied().max();
    match highest {
        Some(group) if group >= LIMIT => Err(RobustError::GroupOutOfRange { group, limit: LIMIT }),
        Some(group) => Ok(group as usize + 1),
        None => Ok(0),
    }
}

/// One cell per hoster and group: several reports of an attester become their median, several attesters of a group become theirs.
pub(super) fn collapse(epoch: &Epoch<'_>) -> Result<Vec<Cell>, RobustError> {
    if epoch.hosters > LIMIT {
        return Err(RobustError::TooManyHosters { hosters: epoch.hosters, limit: LIMIT });
    }
    let mut reports = Vec::with_capacity(epoch.observations.len());
    for observation in epoch.observations {
        let attester = observation.attester;
        let Some(group) = epoch.groups.get(attester as usize) else {
            return Err(RobustError::UnknownAttester { attester, attesters: epoch.groups.len() });
        };
        if observation.hoster >= epoch.hosters {
            return Err(RobustError::UnknownHoster { hoster: observation.hoster, hosters: epoch.hosters });
        }
        let voice = u64::from(observation.hoster) << 32 | u64::from(*group);
        reports.push((voice, attester, observation.value));
    }
    reports.sort_unstable();
    let mut medians = Vec::new();
    let mut values = Vec::new();
    let cells = reports.chunk_by(|one, other| one.0 == other.0).map(|voice| {
        medians.clear();
        for of_attester in voice.chunk_by(|one, other| one.1 == other.1) {
            values.clear();
            values.extend(of_attester.iter().map(|report| report.2));
            medians.extend(low_median(&mut values));
        }
        let value = low_median(&mut medians).unwrap_or_default();
        Cell { hoster: (voice[0].0 >> 32) as u32, group: voice[0].0 as u32, value }
    });
    Ok(cells.collect())
}
