//! A connection to Redis, over TCP or a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::BusError;
use super::resp::{self, Reply};

/// For everything that Redis answers at once.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What one read takes at most.
const BUFFER: usize = 16 << 10;

/// Longest string of an answer that is no element of a queue.
const SHORT: usize = 4 << 10;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where Redis is, and as whom.
pub(super) struct Address {
    place: Place,
    user: Option<String>,
    password: Option<String>,
    database: i64,
}

#[derive(Debug, PartialEq)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// An open connection.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, BusError> {
        let info: ConnectionInfo = url.into_connection_info().map_err(|error| BusError::Url(error.to_string()))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => return Err(BusError::Url("neither TCP nor a Unix socket".into())),
        };
        let settings = info.redis_settings();
        let (user, password) = (settings.username().map(str::to_owned), settings.password().map(str::to_owned));
        Ok(Self { place, user, password, database: settings.db() })
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, BusError> {
        Ok(match &self.place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(host, port) if host.contains(':') => write!(f, "redis://[{host}]:{port}/{}", self.database),
            Place::Tcp(host, port) => write!(f, "redis://{host}:{port}/{}", self.database),
            Place::Unix(path) => write!(f, "redis+unix://{}?db={}", path.display(), self.database),
        }
    }
}

impl Connection {
    /// Opens it, says who we are and sees that Redis is ready.
    pub(super) async fn open(address: &Address) -> Result<Self, BusError> {
        let greeted = async {
            let mut connection = Self { stream: BufReader::with_capacity(BUFFER, address.dial().await?) };
            let mut out = Vec::new();
            let mut commands = 1;
            if let Some(password) = &address.password {
                let user = address.user.as_deref().map(str::as_bytes);
                let words: Vec<&[u8]> =
                    [Some(b"AUTH".as_slice()), user, Some(password.as_bytes())].into_iter().flatten().collect();
                resp::command(&mut out, &words);
                commands += 1;
            }
            if address.database != 0 {
                resp::command(&mut out, &[b"SELECT", address.database.to_string().as_bytes()]);
                commands += 1;
            }
            resp::command(&mut out, &[b"PING"]);
            connection.send(&out).await?;
            for _ in 0..commands {
                connection.read().await?.accepted()?;
            }
            Ok(connection)
        };
        timeout(ANSWER_TIMEOUT, greeted).await.unwrap_or(Err(BusError::Timeout(ANSWER_TIMEOUT)))
    }

    /// Writes commands.
    pub(super) async fn send(&mut self, commands: &[u8]) -> Result<(), BusError> {
        let written = timeout(ANSWER_TIMEOUT, self.stream.write_all(commands)).await;
        Ok(written.map_err(|_| BusError::Timeout(ANSWER_TIMEOUT))??)
    }

    /// The next answer, which is due now.
    pub(super) async fn read(&mut self) -> Result<Reply, BusError> {
        self.read_within(ANSWER_TIMEOUT, SHORT).await
    }

    /// The next answer, with strings of at most `limit` bytes. The connection cannot be used after this was dropped half-way.
    pub(super) async fn read_within(&mut self, wait: Duration, limit: usize) -> Result<Reply, BusError> {
        timeout(wait, resp::read(&mut self.stream, limit)).await.unwrap_or(Err(BusError::Timeout(wait)))
    }

    /// One command and its answer.
    pub(super) async fn ask(&mut self, arguments: &[&[u8]]) -> Result<Reply, BusError> {
        let mut out = Vec::new();
        resp::command(&mut out, arguments);
        self.send(&out).await?;
        self.read().await
    }

    /// Ends when the connection does. Nothing is due meanwhile; may be dropped at any time.
    pub(super) async fn broken(&mut self) -> BusError {
        match self.stream.fill_buf().await {
            Ok([]) => std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into(),
            Ok(_) => BusError::Protocol("an answer that nobody asked for"),
            Err(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_place_an_account_and_a_database() {
        let address = Address::parse("redis://me:p%40ss@10.0.0.7:7000/3").unwrap();
        assert_eq!(address.place, Place::Tcp("10.0.0.7".into(), 7000));
        assert_eq!(
            (address.user.as_deref(), address.password.as_deref(), address.database),
            (Some("me"), Some("p@ss"), 3)
        );
        assert_eq!(address.to_string(), "redis://10.0.0.7:7000/3");
        let address = Address::parse("redis://[::1]").unwrap();
        assert_eq!(
            (address.place.eq(&Place::Tcp("::1".into(), 6379)), address.to_string()),
            (true, "redis://[::1]:6379/0".into())
        );
        let address = Address::parse("redis+unix:///run/redis.sock?db=2&pass=x").unwrap();
        assert_eq!(address.place, Place::Unix("/run/redis.sock".into()));
        assert_eq!(address.to_string(), "redis+unix:///run/redis.sock?db=2");
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for url in ["", "127.0.0.1:6379", "http://:secret@host", "rediss://:secret@host", "redis://:secret@host/x"] {
            let error = Address::parse(url).err().unwrap().to_string();
            assert!(error.starts_with("the Redis URL cannot be used: ") && !error.contains("secret"), "{error}");
        }
    }
}
