//! Small pictures in text: a line of values, an age.

/// Eight heights.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as one character each, the smallest lowest and the largest highest; equal values are a flat line in the middle.
pub fn line(values: &[i64]) -> String {
    let (Some(least), Some(most)) = (values.iter().min(), values.iter().max()) else { return String::new() };
    let range = i128::from(*most) - i128::from(*least);
    let bar = |value: &i64| {
        let height = match range {
            0 => 3,
            range => (i128::from(*value) - i128::from(*least)) * 7 / range,
        };
        BARS[usize::try_from(height).unwrap_or(0).min(7)]
    };
    values.iter().map(bar).collect()
}

/// Seconds as people say them, in one unit or two: `40 s`, `12 min`, `3 h 20 min`, `5 d 2 h`.
pub fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_is_lowest_and_the_largest_highest() {
        assert_eq!(line(&[0, 7, 3]), "▁█▄");
        assert_eq!(line(&[5, 5, 5]), "▄▄▄");
        assert_eq!(line(&[]), "");
        assert_eq!(line(&[i64::MIN, 0, i64::MAX]), "▁▄█");
        assert_eq!(line(&[-3]), "▄");
    }

    #[test]
    fn ages_have_at_most_two_units() {
        let cases = [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_261, "2 h 1 min"), (200_000, "2 d 7 h")];
        for (seconds, words) in cases {
            assert_eq!(age(seconds), words);
        }
    }
}
