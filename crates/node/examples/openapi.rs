//! Prints the OpenAPI document of the node's REST API, as it is kept in `openapi/node.openapi.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut document = serde_json::to_vec_pretty(&peermark_node::http::openapi_document())?;
    document.push(b'\n');
    std::io::stdout().write_all(&document)
}
