//! Frames on a stream: an unsigned varint length, then a message of that many bytes.

use std::io;

use bytes::{BufMut, BytesMut};
use futures::{AsyncRead, AsyncReadExt};
use prost::Message;

/// Bytes that a frame grows by while it arrives: a peer that announces 4 MiB and sends nothing does not get 4 MiB of memory.
const STEP: usize = 512 << 10;

/// Appends a message with its length to a buffer.
pub(crate) fn encode(message: &impl Message, buffer: &mut BytesMut) {
    let length = message.encoded_len();
    buffer.reserve(length + 5);
    let mut varint = unsigned_varint::encode::usize_buffer();
    buffer.put_slice(unsigned_varint::encode::usize(length, &mut varint));
    message.encode(buffer).expect("the buffer grows as needed");
}

/// Reads the next message of at most `max_bytes`; `None` at the end of the stream between two messages.
pub(crate) async fn read<M: Message + Default>(
    stream: &mut (impl AsyncRead + Unpin),
    max_bytes: usize,
) -> io::Result<Option<M>> {
    let Some(length) = read_length(stream).await? else { return Ok(None) };
    if length > max_bytes {
        return Err(invalid(format!("message of {length} bytes, at most {max_bytes}")));
    }
    let mut buffer = BytesMut::new();
    while buffer.len() < length {
        let filled = buffer.len();
        let end = length.min(filled + STEP);
        buffer.resize(end, 0);
        stream.read_exact(&mut buffer[filled..]).await?;
    }
    M::decode(buffer.freeze()).map(Some).map_err(|error| invalid(format!("malformed message: {error}")))
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<usize>> {
    let mut length = 0usize;
    for index in 0..4 {
        let mut byte = [0u8];
        if stream.read(&mut byte).await? == 0 {
            return if index == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        length |= usize::from(byte[0] & 0x7f) << (7 * index);
        if byte[0] & 0x80 == 0 {
            return Ok(Some(length));
        }
    }
    Err(invalid("message length of more than 4 bytes".into()))
}

pub(crate) fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    #[derive(Clone, PartialEq, Message)]
    struct Note {
        #[prost(bytes = "vec", tag = "1")]
        text: Vec<u8>,
    }

    fn note(size: usize) -> Note {
        Note { text: vec![7; size] }
    }

    fn next(stream: &mut &[u8]) -> io::Result<Option<Note>> {
        block_on(read(stream, MAX))
    }

    proptest! {
        #[test]
        fn frames_read_back(sizes in prop::collection::vec(0usize..200_000, 1..5)) {
            let mut buffer = BytesMut::new();
            sizes.iter().for_each(|size| encode(&note(*size), &mut buffer));
            let mut stream = buffer.as_ref();
            for size in &sizes {
                prop_assert_eq!(next(&mut stream).unwrap(), Some(note(*size)));
            }
            prop_assert_eq!(next(&mut stream).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut stream = bytes.as_slice();
            while let Ok(Some(_)) = next(&mut stream) {}
        }
    }

    #[test]
    fn oversized_and_truncated_frames_are_errors() {
        let mut oversized: &[u8] = &[0xff, 0xff, 0xff, 0x7f, 1, 2, 3];
        assert_eq!(next(&mut oversized).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut endless: &[u8] = &[0xff; 16];
        assert_eq!(next(&mut endless).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut buffer = BytesMut::new();
        encode(&note(1000), &mut buffer);
        let mut torn = &buffer[..buffer.len() - 1];
        assert_eq!(next(&mut torn).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
