//! When something is active.

use crate::Height;
use crate::item::component::Timing;

/// Whether something that begins at `from` and ends before `until` is active at a height: in a window of any of its timings, or
/// always where there is none.
pub(crate) fn is_active(from: Height, until: Option<Height>, timings: &[Timing], height: Height) -> bool {
    if height < from || until.is_some_and(|until| height >= until) {
        return false;
    }
    timings.is_empty() || timings.iter().any(|timing| window(timing, height - from).0)
}

/// The first height after `height` at which [`is_active`] answers otherwise; `None` where it never does again.
pub(crate) fn next_change(from: Height, until: Option<Height>, timings: &[Timing], height: Height) -> Option<Height> {
    next_change_within(MOST_EDGES, from, until, timings, height)
}

/// As [`next_change`], after looking at so many edges at most: then the answer is the last of them, which may be no change.
pub(crate) fn next_change_within(
    edges: usize,
    from: Height,
    until: Option<Height>,
    timings: &[Timing],
    height: Height,
) -> Option<Height> {
    let now = is_active(from, until, timings, height);
    let mut at = height;
    // Each step goes to the nearest edge of any window. Windows of several timings may touch or overlap, so an edge need not be a
    // change; how many edges are looked at is bounded.
    for _ in 0..edges {
        at = next_edge(from, until, timings, at)?;
        if is_active(from, until, timings, at) != now {
            return Some(at);
        }
    }
    Some(at)
}

/// Edges that [`next_change`] looks at. Where none of them is a change it answers with the last one, and the caller asks again there.
const MOST_EDGES: usize = 64;

fn next_edge(from: Height, until: Option<Height>, timings: &[Timing], height: Height) -> Option<Height> {
    if height < from {
        return Some(from);
    }
    if until.is_some_and(|until| height >= until) {
        return None;
    }
    let inner = timings.iter().filter_map(|timing| from.checked_add(window(timing, height - from).1?)).min();
    match (inner, until) {
        (Some(inner), Some(until)) => Some(inner.min(until)),
        (inner, until) => inner.or(until),
    }
}

/// Whether a timing is active at an offset from its beginning, and its next edge after that offset.
fn window(timing: &Timing, offset: Height) -> (bool, Option<Height>) {
    let Some(after) = offset.checked_sub(timing.delay) else { return (false, Some(timing.delay)) };
    let Some(duration) = timing.duration else { return (true, None) };
    let cycle = duration.saturating_add(timing.pause).max(1);
    let last = match timing.repeat {
        Some(repeat) => u64::from(repeat),
        None if timing.pause > 0 => Height::MAX,
        None => 0,
    };
    let number = after / cycle;
    if number > last {
        return (false, None);
    }
    let start = timing.delay.saturating_add(number.saturating_mul(cycle));
    let end = start.saturating_add(duration);
    if offset < end {
        return (true, Some(end));
    }
    let next = if number < last { start.checked_add(cycle) } else { None };
    (false, next)
}

#[cfg(test)]
mod tests;
