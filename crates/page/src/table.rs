//! Tables that scroll by themselves on a narrow page and say what they are.

use crate::format::ABSENT;
use crate::markup::Markup;

/// A column: its title and whether it holds numbers.
pub type Column = (&'static str, bool);

/// Writes a table with a caption and a row of column titles.
pub fn table(page: &mut Markup, id: &str, caption: &str, columns: &[Column], rows: impl FnOnce(&mut Markup)) {
    // A region that scrolls must be reachable by keyboard.
    let region = [("class", "scroll"), ("role", "region"), ("aria-label", caption), ("tabindex", "0")];
    page.nest("div", &region, |page| {
        page.nest("table", &[("id", id)], |page| {
            page.element("caption", &[], caption);
            page.nest("thead", &[], |page| {
                page.nest("tr", &[], |page| {
                    for (title, numeric) in columns {
                        let class = if *numeric { "num" } else { "" };
                        page.element("th", &[("scope", "col"), ("class", class)], title);
                    }
                });
            });
            rows(page);
        });
    });
}

/// A cell of a number with smaller lines below it.
pub fn number(page: &mut Markup, value: &str, details: &[&str]) {
    let class = if value == ABSENT { "num absent" } else { "num" };
    page.nest("td", &[("class", class)], |page| {
        page.element("span", &[("class", "value")], value);
        small(page, details);
    });
}

/// A cell of text with smaller lines below it.
pub fn words(page: &mut Markup, text: &str, details: &[&str]) {
    page.nest("td", &[], |page| {
        page.text(text);
        small(page, details);
    });
}

/// A list of terms and their values.
pub fn facts(page: &mut Markup, facts: &[(&str, String)]) {
    page.nest("dl", &[("class", "facts")], |page| {
        for (term, value) in facts {
            page.nest("div", &[], |page| {
                page.element("dt", &[], term);
                page.element("dd", &[], value);
            });
        }
    });
}

fn small(page: &mut Markup, details: &[&str]) {
    for detail in details.iter().filter(|detail| !detail.is_empty()) {
        page.element("small", &[], detail);
    }
}
