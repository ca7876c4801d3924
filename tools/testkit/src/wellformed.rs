//! Whether a page is well formed. A small checker: tags close in order, attributes are quoted and unique, entities are known,
//! references lead somewhere.

use std::collections::HashSet;

/// Every start tag with its attributes, in the order of the page.
///
/// # Panics
/// Where the page is not well formed, with the place.
pub fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let closed = tag.strip_suffix('/');
        let (name, attributes) = split(closed.unwrap_or(tag));
        if closed.is_none() {
            open.push(name.clone());
        }
        // Style and script are not parsed as markup.
        if name == "style" || name == "script" {
            rest = &rest[rest.find(&format!("</{name}>")).expect("ends")..];
        }
        found.push((name, attributes));
    }
    assert!(open.is_empty(), "still open: {open:?}");
    found
}

/// Ids are unique, and what refers to one finds it.
///
/// # Panics
/// Where they are not.
pub fn check_references(tags: &[(String, Vec<(String, String)>)]) {
    let attributes = || tags.iter().flat_map(|(_, attributes)| attributes);
    let ids: Vec<&str> = attributes().filter(|(name, _)| name == "id").map(|(_, value)| value.as_str()).collect();
    let unique: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id is used twice");
    for (name, value) in attributes() {
        let targets: Vec<&str> = match name.as_str() {
            "aria-labelledby" => value.split(' ').collect(),
            "href" => value.strip_prefix('#').into_iter().collect(),
            _ => Vec::new(),
        };
        targets.iter().for_each(|target| assert!(unique.contains(target), "{name} leads nowhere: {target}"));
    }
}

fn split(tag: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "tag {name:?}");
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim().is_empty() {
        let (key, after) = rest.trim_start().split_once("=\"").expect("a quoted value");
        let (value, after) = after.split_once('"').expect("the quote ends");
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "attribute {key:?} of {name}");
        assert!(attributes.iter().all(|(known, _)| known != key), "{key} twice in {name}");
        check_text(value);
        attributes.push((key.to_owned(), value.to_owned()));
        rest = after;
    }
    (name.to_owned(), attributes)
}

fn check_text(text: &str) {
    for part in text.split('&').skip(1) {
        let entity = part.split(';').next().unwrap_or_default();
        assert!(["amp", "lt", "gt", "quot", "apos", "#39"].contains(&entity), "unknown entity in {text:?}");
    }
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "control character in {text:?}");
}
