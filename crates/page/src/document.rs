//! The page around a report: one file that needs nothing else, on screen (light and dark), on paper and on a phone.

use crate::markup::Markup;

/// Nothing may be loaded, whatever a later edit of a page puts into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The parts of a page that can be jumped to: anchor and title.
pub type Parts = [(&'static str, &'static str)];

/// Colours, layout and charts of every page, inside of a `style` element that [`head`] closes.
const STYLE: &str =
    concat!(include_str!("style/theme.css"), include_str!("style/layout.css"), include_str!("style/chart.css"));

/// A page: `title` for the window, `own_style` after the common style sheet, the link to `first` for those who skip the top, then what
/// `body` writes and the `script` (none where empty). The page must be whole without its script.
pub fn html(
    title: &str,
    own_style: &'static str,
    first: &'static str,
    script: &'static str,
    body: impl FnOnce(&mut Markup),
) -> String {
    let mut page = Markup::default();
    page.literal("<!DOCTYPE html>\n");
    page.nest("html", &[("lang", "en")], |page| {
        page.nest("head", &[], |page| head(page, title, own_style));
        page.nest("body", &[], |page| {
            page.element("a", &[("class", "skip"), ("href", &format!("#{first}"))], "Skip to the figures");
            page.nest("main", &[], body);
            if !script.is_empty() {
                page.literal("<script>");
                page.literal(script);
                page.literal("</script>");
            }
        });
    });
    page.literal("\n");
    page.finish()
}

fn head(page: &mut Markup, title: &str, own_style: &'static str) {
    page.empty("meta", &[("charset", "utf-8")]);
    page.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.empty("link", &[("rel", "icon"), ("href", "data:,")]);
    page.element("title", &[], title);
    page.literal("<style>");
    page.literal(STYLE);
    page.literal(own_style);
    page.literal("</style>\n");
}

/// Links to the parts.
pub fn navigation(page: &mut Markup, parts: &Parts) {
    page.nest("nav", &[("aria-label", "Parts of this page")], |page| {
        page.nest("ul", &[], |page| {
            for (anchor, title) in parts {
                page.nest("li", &[], |page| page.element("a", &[("href", &format!("#{anchor}"))], title));
            }
        });
    });
}

/// A part of the page under its title from `parts`.
pub fn part(page: &mut Markup, parts: &Parts, anchor: &'static str, inside: impl FnOnce(&mut Markup)) {
    let title = parts.iter().find(|(name, _)| *name == anchor).map_or(anchor, |(_, title)| *title);
    page.nest("section", &[("id", anchor), ("aria-labelledby", &format!("{anchor}-title"))], |page| {
        page.element("h2", &[("id", &format!("{anchor}-title"))], title);
        inside(page);
    });
}

/// What the words on the page mean.
pub fn terms(page: &mut Markup, terms: &[(&str, &str)]) {
    page.nest("dl", &[("class", "terms")], |page| {
        for (term, meaning) in terms {
            page.element("dt", &[], term);
            page.element("dd", &[], meaning);
        }
    });
}

/// One check at the top of the page: sign, name, sentence.
pub fn check(page: &mut Markup, name: &'static str, statement: &crate::wording::Statement) {
    use crate::wording::Standing;
    let (class, sign, spoken) = match statement.standing {
        Standing::Good => ("mark good", "✓", "good: "),
        Standing::Bad => ("mark bad", "✗", "not good: "),
        Standing::Unknown => ("mark unknown", "–", "cannot be told: "),
    };
    page.nest("li", &[], |page| {
        page.element("span", &[("class", class), ("aria-hidden", "true")], sign);
        page.element("b", &[], name);
        page.nest("span", &[], |page| {
            page.element("span", &[("class", "spoken")], spoken);
            page.text(&statement.text);
        });
    });
}
