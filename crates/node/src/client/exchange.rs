//! One request and its answer on one connection, which this call drives itself.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use super::pool::{Pool, Taken};
use super::{ClientError, RequestBody};

/// Largest part of an answer's body that is looked at for what the node says about a failure.
const MAX_PROBLEM_BYTES: usize = 4096;

/// Characters of it that are kept.
const MAX_PROBLEM_CHARS: usize = 300;

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// HTTP status.
    pub status: u16,
    /// Announced length of the body.
    pub content_length: Option<u64>,
    /// Announced type of the body.
    pub content_type: Option<String>,
}

/// Receives a content stream while it arrives. A closure over `&[u8]` is one.
pub trait ByteSink: Send {
    /// The head of a successful answer came: the moment for whoever measures the time to the first byte.
    fn head(&mut self, _head: &ResponseHead) {}

    /// The next bytes. `Break` ends the call with [`ClientError::Stopped`] and closes the connection.
    fn chunk(&mut self, bytes: &[u8]) -> ControlFlow<()>;
}

impl<F: FnMut(&[u8]) -> ControlFlow<()> + Send> ByteSink for F {
    fn chunk(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self(bytes)
    }
}

/// An answer whose body is still to be read.
pub(super) struct Exchange {
    pool: Arc<Pool>,
    taken: Taken,
    body: Incoming,
    head: ResponseHead,
    got: u64,
}

impl Exchange {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn begin(pool: &Arc<Pool>, mut request: Request<RequestBody>) -> Result<Self, ClientError> {
        loop {
            let mut taken = pool.take().await?;
            match send(&mut taken, request).await {
                Ok(response) => return Ok(Self::receive(Arc::clone(pool), taken, response)),
                Err((error, Some(unsent))) if taken.reused => {
                    // The node closed an idle connection before anything was written on it: not a failure of the request.
                    tracing::trace!(%error, "idle connection was closed");
                    request = unsent;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn receive(pool: Arc<Pool>, taken: Taken, response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let head = ResponseHead {
            status: parts.status.as_u16(),
            content_length: text(CONTENT_LENGTH).and_then(|value| value.parse().ok()),
            content_type: text(CONTENT_TYPE).map(str::to_owned),
        };
        Self { pool, taken, body, head, got: 0 }
    }

    pub(super) fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// Fails unless the status is a success.
    pub(super) async fn accepted(self) -> Result<Self, ClientError> {
        if (200..300).contains(&self.head.status) {
            return Ok(self);
        }
        let code = self.head.status;
        let mut said = Vec::new();
        // What the node says is a courtesy: failing to read it does not change the status.
        let _ = self.drain(|bytes| append(&mut said, bytes, MAX_PROBLEM_BYTES)).await;
        Err(ClientError::Status { code, problem: problem_text(&said) })
    }

    /// The whole body, at most `limit` bytes.
    pub(super) async fn document(self, limit: usize) -> Result<Vec<u8>, ClientError> {
        let announced = self.head.content_length.unwrap_or(0);
        if announced > limit as u64 {
            return Err(ClientError::BodyTooLarge { limit });
        }
        let mut document = Vec::with_capacity(announced as usize);
        match self.drain(|bytes| append(&mut document, bytes, limit)).await {
            Ok(_) => Ok(document),
            Err(ClientError::Stopped { .. }) => Err(ClientError::BodyTooLarge { limit }),
            Err(error) => Err(error),
        }
    }

    /// Hands on the body chunk by chunk and returns its length. The connection goes back to the pool when the body is complete.
    pub(super) async fn drain(mut self, mut each: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<u64, ClientError> {
        while let Some(chunk) = self.next().await? {
            self.got += chunk.len() as u64;
            if each(&chunk).is_break() {
                return Err(ClientError::Stopped { got: self.got });
            }
        }
        let Self { pool, taken, got, .. } = self;
        let mut taken = Some(taken);
        poll_fn(|cx| {
            if let Some(taken) = taken.take() {
                pool.give_back(taken, cx);
            }
            Poll::Ready(())
        })
        .await;
        Ok(got)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let (body, link) = (&mut self.body, &mut self.taken.link);
        let mut body = Pin::new(body);
        poll_fn(|cx| {
            loop {
                // The body first, so that the transport sees that it is wanted; then the transport, which may have brought some of it.
                let frame = match body.as_mut().poll_frame(cx) {
                    Poll::Pending => {
                        let closed = link.poll_transport(cx).is_ready();
                        match body.as_mut().poll_frame(cx) {
                            Poll::Pending if closed => return Poll::Ready(Err(ClientError::Reset { source: None })),
                            polled => std::task::ready!(polled),
                        }
                    }
                    Poll::Ready(frame) => frame,
                };
                match frame {
                    None => return Poll::Ready(Ok(None)),
                    Some(Err(error)) => {
                        return Poll::Ready(Err(ClientError::from_body(error, self.head.content_length, self.got)));
                    }
                    // Trailers carry nothing that the API defines.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Ok(Some(data)));
                        }
                    }
                }
            }
        })
        .await
    }
}

/// Sends a request on a connection. The request comes back with the error if nothing of it was written.
async fn send(
    taken: &mut Taken,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, (ClientError, Option<Request<RequestBody>>)> {
    let link = &mut taken.link;
    let mut answer = pin!(link.sender.try_send_request(request));
    poll_fn(|cx| {
        let closed = link.poll_transport(cx).is_ready();
        match answer.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(mut failed)) => {
                let unsent = failed.take_message();
                Poll::Ready(Err((ClientError::from_head(failed.into_error()), unsent)))
            }
            Poll::Pending if closed => Poll::Ready(Err((ClientError::Reset { source: None }, None))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn append(to: &mut Vec<u8>, bytes: &[u8], limit: usize) -> ControlFlow<()> {
    if to.len() + bytes.len() > limit {
        to.extend_from_slice(&bytes[..limit - to.len()]);
        return ControlFlow::Break(());
    }
    to.extend_from_slice(bytes);
    ControlFlow::Continue(())
}

/// The sentence in a failed answer: the member of a problem document that people read, else the text itself.
fn problem_text(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let document: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let sentence = document.as_ref().and_then(|document| {
        ["detail", "title", "message", "error"].iter().find_map(|member| document.get(member)?.as_str())
    });
    let sentence = sentence.unwrap_or_else(|| text.trim());
    sentence.chars().filter(|c| !c.is_control()).take(MAX_PROBLEM_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_bounded_line_whatever_the_node_says() {
        assert_eq!(problem_text(br#"{"title":"Not Found","detail":"no such dataset"}"#), "no such dataset");
        assert_eq!(problem_text(br#"{"error":"gone"}"#), "gone");
        assert_eq!(problem_text(b" Persistence is\nnot enabled "), "Persistence isnot enabled");
        assert_eq!(problem_text(&[0xff; 10_000]).chars().count(), MAX_PROBLEM_CHARS);
        assert_eq!(problem_text(b""), "");
    }
}
