//! Writes a page that is well formed by construction: tags close in the order in which they opened, names of tags and attributes
//! are literals, and every text and attribute value is escaped. Nothing that a run says can become markup.

use crate::wording::printable;

/// Attributes of one tag. Names are literals; values are escaped when they are written.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

/// A page or part of one, being written.
#[derive(Debug, Default)]
pub struct Markup {
    out: String,
}

impl Markup {
    /// Writes an element whose content `inside` writes.
    pub fn nest(&mut self, tag: &'static str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.open(tag, attributes, ">");
        inside(self);
        self.out += "</";
        self.out += tag;
        self.out += ">";
        if matches!(tag, "section" | "figure" | "table" | "tr" | "p" | "li" | "div" | "header" | "svg") {
            self.out += "\n";
        }
    }

    /// Writes an element that contains only text.
    pub fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.nest(tag, attributes, |inner| inner.text(text));
    }

    /// Writes an element without content, such as `meta`.
    pub fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.open(tag, attributes, "/>");
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) {
        escape_into(&mut self.out, text);
    }

    /// Writes markup that is part of the product itself.
    pub fn literal(&mut self, markup: &'static str) {
        self.out += markup;
    }

    /// Writes shapes whose texts were escaped when they were drawn.
    pub fn shapes(&mut self, shapes: &crate::chart::Shapes) {
        self.out += shapes.as_str();
    }

    /// The finished text.
    pub fn finish(self) -> String {
        self.out
    }

    fn open(&mut self, tag: &'static str, attributes: Attributes<'_>, end: &'static str) {
        self.out += "<";
        self.out += tag;
        for (name, value) in attributes {
            self.out += " ";
            self.out += name;
            self.out += "=\"";
            escape_into(&mut self.out, value);
            self.out += "\"";
        }
        self.out += end;
    }
}

fn escape_into(out: &mut String, text: &str) {
    for c in printable(text).chars() {
        match c {
            '&' => *out += "&amp;",
            '<' => *out += "&lt;",
            '>' => *out += "&gt;",
            '"' => *out += "&quot;",
            '\'' => *out += "&#39;",
            other => out.push(other),
        }
    }
}
