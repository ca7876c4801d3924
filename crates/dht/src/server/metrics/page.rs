//! Prometheus text 0.0.4.
//!
//! Source: prometheus.io, "Exposition formats", text-based format.

use std::fmt::{Display, Write};

/// Media type of the page.
pub(in crate::server) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// Labels of one sample.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

impl Page {
    /// Begins a family. All of its samples follow before the next one begins.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes everything.
        let _ = writeln!(
            self.text,
            "# HELP {name} {}\n# TYPE {name} {kind}",
            help.replace('\\', r"\\").replace('\n', r"\n")
        );
    }

    /// One sample of the family.
    pub(super) fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A family with one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_escaped_and_numbers_are_plain() {
        let mut page = Page::default();
        page.family("a_total", "counter", "two\nlines \\ of help");
        page.sample("a_total", &[("x", "q\"b\\n\n"), ("y", "")], 3_u64);
        page.sample("a_total", &[], f64::NAN);
        page.sample("a_total", &[], 1e-7);
        let expected = "# HELP a_total two\\nlines \\\\ of help\n# TYPE a_total counter\n\
            a_total{x=\"q\\\"b\\\\n\\n\",y=\"\"} 3\na_total NaN\na_total 0.0000001\n";
        assert_eq!(page.into_text(), expected);
    }
}
