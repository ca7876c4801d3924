//! Lines of text with tones, cut to the width of the terminal. Widths are counted in characters; what is written here has one column each.

use crate::report::wording::printable;

/// What stays on one line with the number before it.
const UNITS: [&str; 12] = ["ns", "µs", "ms", "s", "min", "h", "B", "KiB", "MiB", "GiB", "TiB", "%"];

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
}

impl Tone {
    /// The parameter of the escape sequence that switches the tone on.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    parts: Vec<(Tone, String)>,
}

impl Line {
    /// A line of pieces. What would move the cursor or reorder text is taken out.
    pub(super) fn new(parts: Vec<(Tone, String)>) -> Self {
        Self { parts: parts.into_iter().map(|(tone, text)| (tone, printable(&text))).collect() }
    }

    /// The line with its line break, at most `most` columns wide.
    pub(super) fn render(&self, most: usize, colour: bool) -> String {
        let shown = self.parts.iter().rposition(|(_, text)| !text.trim_end().is_empty()).map_or(0, |last| last + 1);
        let parts = &self.parts[..shown];
        let mut room = most;
        let mut out = String::new();
        for (index, (tone, text)) in parts.iter().enumerate() {
            // Spaces that fill a column are not worth an ellipsis at the end of the line.
            let text = if index + 1 == parts.len() { text.trim_end() } else { text };
            let piece = cut(text, room);
            room -= width(&piece);
            match tone.code().filter(|_| colour && !piece.trim().is_empty()) {
                Some(code) => out += &format!("\u{1b}[{code}m{piece}\u{1b}[0m"),
                None => out += &piece,
            }
        }
        out.push('\n');
        out
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text, with spaces up to `columns` or cut to them with at least one space at its end.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let shown = if width(text) < columns { text.to_owned() } else { cut(text, columns.saturating_sub(1)) };
    let missing = columns.saturating_sub(width(&shown));
    shown + &" ".repeat(missing)
}

/// The text in lines of at most `columns`, broken at spaces but not between a number and its unit; what does not fit into
/// `most_lines` is cut.
pub(super) fn wrap(text: &str, columns: usize, most_lines: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in printable(text).split(' ') {
        match words.last_mut().filter(|number| number.ends_with(|c: char| c.is_ascii_digit())) {
            Some(number) if UNITS.contains(&word.trim_end_matches([',', ';', ':'])) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines: Vec<String> = vec![String::new()];
    for word in words {
        let full = lines.len() == most_lines;
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            *line = word;
        } else if full || width(line) + 1 + width(&word) <= columns {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines.iter().map(|line| cut(line, columns)).collect()
}

/// At most `columns` of a text; what was cut shows as an ellipsis.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut out: String = text.chars().take(columns - 1).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_with_an_ellipsis_and_carry_no_trailing_space() {
        let line = Line::new(vec![(Tone::Dim, "label  ".into()), (Tone::Plain, "a long text here   ".into())]);
        assert_eq!(line.render(80, false), "label  a long text here\n");
        assert_eq!(line.render(12, false), "label  a lo…\n");
        assert_eq!(line.render(80, true), "\u{1b}[2mlabel  \u{1b}[0ma long text here\n");
        assert_eq!(Line::default().render(10, true), "\n");
    }

    #[test]
    fn escape_sequences_in_names_do_not_reach_the_terminal() {
        let line = Line::new(vec![(Tone::Plain, "\u{1b}[2Jname\r\n".into())]);
        assert_eq!(line.render(80, false), "\u{fffd}[2Jname\n");
    }

    #[test]
    fn texts_wrap_at_spaces() {
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three fo…"]);
        assert_eq!(wrap("it took 12.3 ms, then", 13, 2), ["it took", "12.3 ms, then"]);
        assert_eq!(wrap("one", 9, 2), ["one"]);
        assert_eq!(wrap("", 9, 2), [""]);
        assert_eq!((pad("abc", 5), pad("abcdef", 5)), ("abc  ".to_owned(), "abc… ".to_owned()));
    }
}
