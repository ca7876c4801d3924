//! Request bodies: nothing, bytes at hand, or chunks that are made while they are sent.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

/// The body of a request.
pub struct RequestBody {
    kind: Kind,
}

enum Kind {
    Empty,
    Full(Bytes),
    Chunks { left: u64, chunks: Box<dyn Iterator<Item = Bytes> + Send> },
    Stream(UnsyncBoxBody<Bytes, Infallible>),
}

impl RequestBody {
    /// No body.
    pub fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// Bytes that are at hand.
    pub fn bytes(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) } }
    }

    /// Chunks that are made while they are sent, `length` bytes in all. The length is announced; chunks that add up to less break
    /// the request, bytes beyond it are not sent.
    pub fn chunks(length: u64, chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self { kind: Kind::Chunks { left: length, chunks: Box::new(chunks) } }
    }

    /// Any body, such as an asynchronous stream.
    pub fn stream(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Self {
        Self { kind: Kind::Stream(UnsyncBoxBody::new(body)) }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("size", &self.size_hint()).finish()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match &mut this.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Chunks { left: 0, .. } => Poll::Ready(None),
            Kind::Chunks { left, chunks } => Poll::Ready(chunks.next().map(|mut chunk| {
                chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= chunk.len() as u64;
                Ok(Frame::data(chunk))
            })),
            Kind::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Chunks { left, .. } => *left == 0,
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Chunks { left, .. } => SizeHint::with_exact(*left),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}
