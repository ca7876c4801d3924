//! Labels from what strangers send: few values, short, and one for the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;

/// Schedulers that have a label of their own.
const MAX_SCHEDULERS: usize = 16;

/// Longest name of a scheduler, in bytes.
const MAX_SCHEDULER_BYTES: usize = 128;

/// What everything else is called.
const OTHER: &str = "other";

/// First segments of paths that the server has.
const PATHS: [&str; 4] = ["provide", "retrieve", "readiness", "server.yaml"];

/// Schedulers that have called, first come first.
#[derive(Debug, Default)]
pub(super) struct Schedulers {
    known: BTreeSet<Arc<str>>,
}

impl Schedulers {
    /// The label for a header's value: itself while there is room, empty where the header is absent, as parsec does.
    pub(super) fn label(&mut self, header: Option<&[u8]>) -> Arc<str> {
        let Some(name) = header.map_or(Some(""), |bytes| std::str::from_utf8(bytes).ok()) else { return OTHER.into() };
        if name.len() > MAX_SCHEDULER_BYTES {
            return OTHER.into();
        }
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if name.is_empty() || self.known.len() >= MAX_SCHEDULERS {
            return if name.is_empty() { "".into() } else { OTHER.into() };
        }
        let label: Arc<str> = name.into();
        self.known.insert(label.clone());
        label
    }
}

/// The first segment of a path without its slash, which is what parsec's dashboards select by.
pub(super) fn path(path: &str) -> &'static str {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    PATHS.into_iter().find(|known| *known == first).unwrap_or(if first.is_empty() { "" } else { OTHER })
}

/// The method's name.
pub(super) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_make_series_without_end() {
        let mut schedulers = Schedulers::default();
        assert_eq!(&*schedulers.label(None), "");
        assert_eq!(&*schedulers.label(Some(b"default,fullrt")), "default,fullrt");
        assert_eq!(&*schedulers.label(Some(&[b'x'; 129])), OTHER);
        assert_eq!(&*schedulers.label(Some(&[0xff])), OTHER);
        let labels: BTreeSet<Arc<str>> =
            (0..1000).map(|n| schedulers.label(Some(format!("s{n}").as_bytes()))).collect();
        assert_eq!(labels.len(), MAX_SCHEDULERS, "15 more of their own, and the rest");
        assert_eq!(&*schedulers.label(Some(b"default,fullrt")), "default,fullrt", "who was first stays");
        assert_eq!(&*schedulers.label(None), "");
    }

    #[test]
    fn paths_are_bare_first_segments() {
        for (given, label) in [
            ("/provide", "provide"),
            ("/retrieve/Qm/x", "retrieve"),
            ("/retrieve", "retrieve"),
            ("/readiness/", "readiness"),
            ("/", ""),
            ("/wp-admin", OTHER),
        ] {
            assert_eq!(path(given), label);
        }
        assert_eq!(method(&Method::from_bytes(b"BREW").unwrap()), OTHER);
    }
}
