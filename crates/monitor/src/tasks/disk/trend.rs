//! When the disk will be full, by the free space of earlier results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Fewer points are no trend.
const MIN_POINTS: usize = 8;

/// Points over less time are no trend either, ms.
const MIN_SPAN_MS: u64 = 3 * DAY_MS;

const DAY_MS: u64 = 86_400_000;

/// Days until no space is left if it goes on as before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaysToFull {
    /// The days; `null` where nothing can be said, or nothing fills up.
    pub days: Option<f64>,
    /// Why it is `null`.
    pub reason: Option<String>,
    /// Bytes by which free space changes per day; negative while the disk fills. `null` without a trend.
    pub free_bytes_per_day: Option<i64>,
    /// Results that it rests on, this one among them.
    pub points: u32,
}

/// By earlier results (Unix ms and result, oldest first) and the free space now. The slope is the median of the slopes between all
/// pairs of points (Theil and Sen), which a single clean-up or download does not tip over.
pub(super) fn days_to_full(past: &[(u64, Value)], now_ms: u64, free_bytes: u64) -> DaysToFull {
    let earlier = past.iter().filter_map(|(at_ms, result)| Some((*at_ms, result.get("free_bytes")?.as_u64()?)));
    // A clock that was set back leaves results from the future.
    let mut points: Vec<(u64, u64)> = earlier.filter(|(at_ms, _)| *at_ms < now_ms).collect();
    points.push((now_ms, free_bytes));
    let count = u32::try_from(points.len()).unwrap_or(u32::MAX);
    let unknown =
        |reason: &str| DaysToFull { days: None, reason: Some(reason.into()), free_bytes_per_day: None, points: count };
    let oldest_ms = points.iter().map(|(at_ms, _)| *at_ms).min().unwrap_or(now_ms);
    if points.len() < MIN_POINTS || now_ms - oldest_ms < MIN_SPAN_MS {
        return unknown("fewer than 8 results over 3 days");
    }
    let Some(per_day) = median_slope(&points) else { return unknown("all results are of one moment") };
    let days = (per_day < -1.0).then(|| free_bytes as f64 / -per_day);
    DaysToFull {
        days: days.map(|days| (days * 10.0).round() / 10.0),
        reason: days.is_none().then(|| "free space does not shrink".into()),
        free_bytes_per_day: Some(per_day.round() as i64),
        points: count,
    }
}

/// Bytes per day.
fn median_slope(points: &[(u64, u64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (index, (later_ms, later)) in points.iter().enumerate() {
        for (earlier_ms, earlier) in &points[..index] {
            if later_ms != earlier_ms {
                let days = (*later_ms as f64 - *earlier_ms as f64) / DAY_MS as f64;
                slopes.push((*later as f64 - *earlier as f64) / days);
            }
        }
    }
    slopes.sort_unstable_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn past(free: impl IntoIterator<Item = u64>) -> Vec<(u64, Value)> {
        free.into_iter().enumerate().map(|(day, free)| (day as u64 * DAY_MS, json!({ "free_bytes": free }))).collect()
    }

    #[test]
    fn a_disk_that_fills_evenly_is_full_when_it_must_be() {
        let steady = days_to_full(&past((0..10).map(|day| 1000 - day * 10)), 10 * DAY_MS, 900);
        assert_eq!((steady.days, steady.free_bytes_per_day, steady.points), (Some(90.0), Some(-10), 11));
        let once = past((0..10).map(|day| if day == 4 { 5 } else { 1000 - day * 10 }));
        assert_eq!(days_to_full(&once, 10 * DAY_MS, 900).days, Some(90.0), "one odd day changes nothing");
    }

    #[test]
    fn too_little_is_known_too_early() {
        assert_eq!(days_to_full(&past(0..6), 10 * DAY_MS, 5).days, None, "seven points");
        let close: Vec<_> = (0..20).map(|hour| (hour * 3_600_000, json!({ "free_bytes": 100 - hour }))).collect();
        assert_eq!(days_to_full(&close, 2 * DAY_MS, 5).free_bytes_per_day, None, "two days");
        let growing = days_to_full(&past((0..10).map(|day| 100 + day)), 10 * DAY_MS, 200);
        assert_eq!((growing.days, growing.reason.as_deref()), (None, Some("free space does not shrink")));
    }

    proptest! {
        #[test]
        fn any_past_gives_days_that_are_numbers(free in prop::collection::vec(any::<u64>(), 0..30), now in any::<u64>(), left in any::<u64>()) {
            let told = days_to_full(&past(free), now, left);
            prop_assert!(told.days.is_none_or(|days| days.is_finite() && days >= 0.0));
            prop_assert_eq!(told.days.is_none(), told.reason.is_some());
        }
    }
}
