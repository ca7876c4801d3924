//! A drawing on the page.

use crate::markup::Markup;

use super::Shapes;

/// Writes an `svg` element that says in words what it shows, or that it could not be drawn.
pub fn figure<E: std::fmt::Display>(
    page: &mut Markup,
    id: &str,
    class: &str,
    title: &str,
    description: &str,
    drawing: Result<Shapes, E>,
) {
    let shapes = match drawing {
        Ok(shapes) => shapes,
        Err(error) => {
            return page.element("p", &[("class", "absent")], &format!("This chart could not be drawn: {error}"));
        }
    };
    let (title_id, description_id) = (format!("{id}-t"), format!("{id}-d"));
    let attributes = [
        ("role", "img"),
        ("class", class),
        ("viewBox", &format!("0 0 {} {}", shapes.size.0, shapes.size.1)),
        ("aria-labelledby", &format!("{title_id} {description_id}")),
    ];
    page.nest("svg", &attributes, |page| {
        page.element("title", &[("id", &title_id)], title);
        page.element("desc", &[("id", &description_id)], description);
        page.shapes(&shapes);
    });
}
