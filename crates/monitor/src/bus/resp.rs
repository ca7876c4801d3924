//! The protocol of Redis (RESP2), read with bounds: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
//!
//! What lies in a queue was put there by somebody else and may be 512 MB long. A client that reads whatever length is announced
//! takes it into memory before anyone can refuse it, so this reader passes over what is too long as it comes in.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::BusError;

/// Longest line: a status, an error, a number.
const LINE_MAX: usize = 4_096;

/// Most elements of an array; `BRPOP` sends two.
const ELEMENTS_MAX: usize = 64;

/// Largest string that the protocol allows Redis to be configured for is far above; a negative or absurd length is no length.
const LENGTH_MAX: u64 = 1 << 40;

/// What Redis answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK`.
    Status(String),
    /// `-WRONGTYPE ...`.
    Error(String),
    /// `:1`.
    Number(i64),
    /// A string within the bound.
    Bytes(Vec<u8>),
    /// A string beyond it, passed over.
    TooLong,
    /// Nothing: no such key, or nothing came in time.
    Nil,
    /// Several.
    Array(Vec<Self>),
}

impl Reply {
    /// Itself, unless Redis said no.
    pub(super) fn accepted(self) -> Result<Self, BusError> {
        match self {
            Self::Error(text) => Err(BusError::Refused(text)),
            reply => Ok(reply),
        }
    }
}

/// Appends a command.
pub(super) fn command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    let mut command = redis::Cmd::new();
    for argument in arguments {
        command.arg(*argument);
    }
    command.write_packed_command(out);
}

/// Reads one reply. Strings longer than `limit` bytes are passed over.
pub(super) async fn read(reader: &mut (impl AsyncBufRead + Unpin), limit: usize) -> Result<Reply, BusError> {
    let line = line(reader).await?;
    if !line.starts_with('*') {
        return scalar(reader, &line, limit).await;
    }
    let Some(count) = length(&line)? else { return Ok(Reply::Nil) };
    let count = usize::try_from(count).ok().filter(|count| *count <= ELEMENTS_MAX);
    let count = count.ok_or(BusError::Protocol("an array with too many elements"))?;
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let line = self::line(reader).await?;
        elements.push(scalar(reader, &line, limit).await?);
    }
    Ok(Reply::Array(elements))
}

async fn scalar(reader: &mut (impl AsyncBufRead + Unpin), line: &str, limit: usize) -> Result<Reply, BusError> {
    let text = line.get(1..).unwrap_or_default();
    match line.as_bytes().first() {
        Some(b'+') => Ok(Reply::Status(text.to_owned())),
        Some(b'-') => Ok(Reply::Error(text.to_owned())),
        Some(b':') => text.parse().map(Reply::Number).map_err(|_| BusError::Protocol("a number that is none")),
        Some(b'$') => match length(line)? {
            None => Ok(Reply::Nil),
            Some(length) => string(reader, length, limit).await,
        },
        _ => Err(BusError::Protocol("an answer of an unknown kind")),
    }
}

async fn string(reader: &mut (impl AsyncBufRead + Unpin), length: u64, limit: usize) -> Result<Reply, BusError> {
    let reply = match usize::try_from(length).ok().filter(|length| *length <= limit) {
        Some(length) => {
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).await?;
            Reply::Bytes(bytes)
        }
        None => {
            pass(reader, length).await?;
            Reply::TooLong
        }
    };
    let mut end = [0; 2];
    reader.read_exact(&mut end).await?;
    if end == *b"\r\n" { Ok(reply) } else { Err(BusError::Protocol("a string that does not end")) }
}

async fn pass(reader: &mut (impl AsyncBufRead + Unpin), mut left: u64) -> Result<(), BusError> {
    while left > 0 {
        let there = reader.fill_buf().await?.len();
        if there == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let step = left.min(u64::try_from(there).unwrap_or(u64::MAX));
        reader.consume(usize::try_from(step).unwrap_or(there));
        left -= step;
    }
    Ok(())
}

/// The length after the first byte; `None` for -1.
fn length(line: &str) -> Result<Option<u64>, BusError> {
    match line.get(1..) {
        Some("-1") => Ok(None),
        Some(text) => match text.parse() {
            Ok(length) if length <= LENGTH_MAX => Ok(Some(length)),
            _ => Err(BusError::Protocol("a length that is none")),
        },
        None => Err(BusError::Protocol("a length that is none")),
    }
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<String, BusError> {
    let mut line = Vec::new();
    let bound = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
    (&mut *reader).take(bound).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    let Some(text) = line.strip_suffix(b"\r\n") else { return Err(BusError::Protocol("a line that does not end")) };
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn reply(mut bytes: &[u8]) -> Result<Reply, BusError> {
        run(read(&mut bytes, 4))
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        assert_eq!(reply(b"+OK\r\n").unwrap(), Reply::Status("OK".into()));
        assert_eq!(reply(b"-ERR no\r\n").unwrap(), Reply::Error("ERR no".into()));
        assert_eq!(reply(b":-7\r\n").unwrap(), Reply::Number(-7));
        assert_eq!(reply(b"$4\r\na\r\nb\r\n").unwrap(), Reply::Bytes(b"a\r\nb".to_vec()));
        assert_eq!(reply(b"$-1\r\n").unwrap(), Reply::Nil);
        assert_eq!(reply(b"*-1\r\n").unwrap(), Reply::Nil);
        let both = Reply::Array(vec![Reply::Bytes(b"q".to_vec()), Reply::Number(1)]);
        assert_eq!(reply(b"*2\r\n$1\r\nq\r\n:1\r\n").unwrap(), both);
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_next_reply_is_read() {
        let mut bytes: &[u8] = b"*2\r\n$1\r\nq\r\n$5\r\nabcde\r\n+OK\r\n";
        run(async {
            let first = read(&mut bytes, 4).await.unwrap();
            assert_eq!(first, Reply::Array(vec![Reply::Bytes(b"q".to_vec()), Reply::TooLong]));
            assert_eq!(read(&mut bytes, 4).await.unwrap(), Reply::Status("OK".into()));
        });
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let long = [b"+".as_slice(), &[b'a'; LINE_MAX], b"\r\n"].concat();
        let bad: [&[u8]; 9] =
            [b"", b"+OK", b"+OK\n", b"?\r\n", b"$-2\r\n", b"$9999999999999\r\n", b"*65\r\n", b"$1\r\nabc", &long];
        for bytes in bad {
            assert!(reply(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(matches!(Reply::Error("ERR".into()).accepted(), Err(BusError::Refused(_))));
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"LPUSH", b"key", b"\r\n"]);
        assert_eq!(out, b"*3\r\n$5\r\nLPUSH\r\n$3\r\nkey\r\n$2\r\n\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            _ = reply(&bytes);
        }
    }
}
