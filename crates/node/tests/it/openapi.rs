//! The OpenAPI document against the golden file, the router's source and every answer that any of these tests gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

const GOLDEN: &str = include_str!("../../openapi/node.openapi.json");

/// Methods and their documented statuses, by path.
type Paths = BTreeMap<String, BTreeMap<String, BTreeSet<u16>>>;

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    let document = serde_json::to_value(peermark_node::http::openapi_document()).unwrap();
    let object = |value: &Value| value.as_object().unwrap().clone();
    let statuses =
        |operation: &Value| object(&operation["responses"]).keys().map(|code| code.parse().unwrap()).collect();
    object(&document["paths"])
        .iter()
        .map(|(path, methods)| {
            let methods = object(methods);
            (path.clone(), methods.iter().map(|(name, operation)| (name.clone(), statuses(operation))).collect())
        })
        .collect()
});

/// What every route may answer before it is reached: no token, foreign origin, wrong method, no such route.
const BEFORE_ANY_ROUTE: [u16; 3] = [401, 403, 405];

/// Fails when a documented route answered with a status that it does not document.
#[track_caller]
pub(crate) fn assert_documented(method: &str, path: &str, status: u16) {
    let path = path.split('?').next().unwrap_or_default().replace("/api/codex/v1", "/api/archivist/v1");
    let Some(methods) = PATHS.iter().find(|(template, _)| matches(template, &path)).map(|(_, methods)| methods) else {
        return;
    };
    if let Some(documented) = methods.get(&method.to_lowercase()) {
        let known = documented.contains(&status) || BEFORE_ANY_ROUTE.contains(&status);
        assert!(known, "{method} {path} answered {status}, documented are {documented:?}");
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(found)) if part == found || (part.starts_with('{') && !found.is_empty()) => {}
            _ => return false,
        }
    }
}

#[test]
fn the_golden_file_is_the_document() {
    let mut document = serde_json::to_string_pretty(&peermark_node::http::openapi_document()).unwrap();
    document.push('\n');
    let differs = document.lines().zip(GOLDEN.lines()).position(|(now, then)| now != then);
    assert!(
        document == GOLDEN,
        "the REST API differs from crates/node/openapi/node.openapi.json from line {} on. If that is meant:\n\
         cargo run -p peermark-node --example openapi > crates/node/openapi/node.openapi.json",
        differs.map_or(GOLDEN.lines().count(), |line| line + 1)
    );
}

/// The routes in a source, with the prefix under which they lie.
fn routes(source: &str, prefix: &str, found: &mut BTreeSet<(String, &'static str)>) {
    for statement in source.split(".route(\"").skip(1) {
        let (path, rest) = statement.split_once('"').unwrap();
        let handlers = rest.split("\n").next().unwrap();
        for method in ["get", "post", "put", "delete", "patch"] {
            let called = handlers.match_indices(&format!("{method}(")).any(|(at, _)| {
                let before = handlers[..at].chars().next_back();
                before.is_none_or(|before| before == '.' || before == ' ')
            });
            if called {
                found.insert((format!("{prefix}{path}"), method));
            }
        }
    }
}

#[test]
fn the_document_lists_the_routes_of_the_router_and_no_others() {
    let (root, official) = include_str!("../../src/http.rs").split_once("fn official(").unwrap();
    let mut routed = BTreeSet::new();
    routes(root, "", &mut routed);
    routes(official, "/api/archivist/v1", &mut routed);
    routes(include_str!("../../src/http/own.rs"), "/api/v1", &mut routed);
    // The document does not describe itself.
    assert!(routed.remove(&("/openapi.json".to_owned(), "get")));

    let documented: BTreeSet<(String, &str)> =
        PATHS.iter().flat_map(|(path, methods)| methods.keys().map(|method| (path.clone(), method.as_str()))).collect();
    assert_eq!(documented, routed);
}

#[test]
fn templates_match_their_paths_alone() {
    assert!(matches("/api/v1/blocks/{cid}", "/api/v1/blocks/zDv"));
    for other in ["/api/v1/blocks", "/api/v1/blocks/", "/api/v1/blocks/zDv/x", "/api/v2/blocks/zDv"] {
        assert!(!matches("/api/v1/blocks/{cid}", other), "{other}");
    }
    let statuses: BTreeSet<u16> = PATHS.values().flat_map(|methods| methods.values().flatten().copied()).collect();
    assert!(statuses.is_superset(&BTreeSet::from([200, 204, 206, 400, 404, 416, 422, 502, 504, 507])), "{statuses:?}");
}
