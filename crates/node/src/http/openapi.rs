//! The OpenAPI document, made from the handlers themselves.

use axum::Json;
use utoipa::OpenApi;

use super::{data, info, own, upload};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "peermark node",
        description = "The official Archivist and Codex routes, served under /api/archivist/v1 and /api/codex/v1 alike \
            (listed once here), and the product's own under /api/v1. Errors are application/problem+json.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        info::health,
        info::metrics,
        info::space,
        info::peer_id,
        info::spr,
        info::connect,
        info::debug_info,
        data::list,
        upload::upload,
        data::local,
        data::delete,
        data::fetch,
        data::stream,
        data::manifest,
        data::exists,
        own::node,
        own::resources,
        own::connections,
        own::exchange,
        own::exchange_events,
        own::block,
    )
)]
struct Document;

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Serves the document.
pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
