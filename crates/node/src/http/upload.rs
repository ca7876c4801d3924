//! Uploading datasets.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use peermark_http::Problem;

use super::store_problem;
use crate::content::{Digest, cid_text};
use crate::dataset::{UploadError, UploadOptions, upload as store_dataset};
use crate::state::NodeState;

/// Longest file name or media type that is taken into a manifest.
const MAX_LABEL_BYTES: usize = 255;

/// Stores the body as a dataset and returns its CID as text. The dataset is on disk when the answer comes.
#[utoipa::path(post, path = "/api/archivist/v1/data", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, content_type = "text/plain", body = String), (status = 400), (status = 422), (status = 500), (status = 507)))]
pub(super) async fn upload(State(state): State<NodeState>, headers: HeaderMap, body: Body) -> Result<String, Problem> {
    let mimetype = media_type(&headers)?;
    let filename = file_name(&headers)?;
    let block_size = state.config.block_size.0 as u32;
    let options = UploadOptions { block_size, filename, mimetype };
    let stored = store_dataset(state.exchange.blocks(), body.into_data_stream(), options).await;
    let (cid, manifest) = stored.map_err(|error| upload_problem(&error))?;
    if let Ok(digest) = Digest::of_cid(&cid) {
        state.network.announce(digest).await;
    }
    state.network.announce(manifest.tree).await;
    Ok(cid_text(&cid))
}

fn upload_problem(error: &UploadError) -> Problem {
    match error {
        UploadError::Empty => unprocessable(error.to_string()),
        UploadError::Body { .. } => Problem::bad_request(error.to_string()),
        UploadError::Store(store) => store_problem(store),
    }
}

fn unprocessable(detail: impl Into<String>) -> Problem {
    Problem::request(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
}

fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| unprocessable("content-type is not ASCII"))?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) && text.len() <= MAX_LABEL_BYTES => {
            Ok(Some(essence.to_owned()))
        }
        _ => Err(unprocessable(format!("content-type {essence:?} is no media type"))),
    }
}

fn file_name(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::CONTENT_DISPOSITION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| unprocessable("content-disposition is not ASCII"))?;
    let Some((_, rest)) = text.split_once("filename=\"") else {
        return Err(unprocessable("content-disposition names no file: attachment; filename=\"NAME\""));
    };
    let name = rest.split('"').next().unwrap_or_default();
    let bad = name.is_empty()
        || name.len() > MAX_LABEL_BYTES
        || name.contains(['/', '\\', '\0'])
        || name.chars().any(char::is_control);
    if bad || name == "." || name == ".." {
        return Err(unprocessable(format!("{name:?} is no file name")));
    }
    Ok(Some(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn names_and_types_are_read_or_refused() {
        let name = |value| file_name(&headers(header::CONTENT_DISPOSITION, value));
        assert_eq!(name("attachment; filename=\"a b.txt\""), Ok(Some("a b.txt".into())));
        for bad in
            ["attachment", "attachment; filename=\"\"", "attachment; filename=\"../x\"", "attachment; filename=\"..\""]
        {
            assert_eq!(name(bad).unwrap_err().status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
        }
        let kind = |value| media_type(&headers(header::CONTENT_TYPE, value));
        assert_eq!(kind("text/plain; charset=utf-8"), Ok(Some("text/plain".into())));
        assert_eq!(kind("nonsense").unwrap_err().status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}
