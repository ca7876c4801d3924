//! Where a PostgreSQL server is and how it is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::open::OpenError;

/// How long a call waits for a connection, and how long the server works on one statement.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The values of [`PostgresOptions::ssl_mode`].
pub const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What the server answers where its rules want a connection with TLS, or without: `invalid_authorization_specification`.
const REFUSED_BY_RULE: &str = "28000";

/// Where a PostgreSQL server is, in parsec's terms.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Host name or address; a path begins with `/` and names the directory of a socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub name: String,
    /// Role.
    pub user: String,
    /// Password, where the server wants one. There is no default.
    pub password: Option<String>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`, with libpq's meanings: `require` checks the server's
    /// certificate as `verify-ca` does when there is a `ssl_root_cert`.
    pub ssl_mode: String,
    /// File of certificates (PEM) that are trusted besides those of the system.
    pub ssl_root_cert: Option<PathBuf>,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("name", &self.name)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(secret)"))
            .field("ssl_mode", &self.ssl_mode)
            .field("ssl_root_cert", &self.ssl_root_cert)
            .finish()
    }
}

impl PostgresOptions {
    /// The server and the database for messages: everything but the password.
    pub(super) fn address(&self) -> String {
        let Self { host, port, name, user, .. } = self;
        format!("{user}@{host}:{port}/{name}")
    }

    /// Connects once, so that what is wrong is said at once, and returns the options with which that went well.
    pub(super) async fn connect(&self) -> Result<(PgConnectOptions, PgConnection), OpenError> {
        let mode = self.mode()?;
        let options = self.for_mode(mode);
        match self.attempt(&options).await {
            // The driver takes "allow" for "disable"; the second half of its meaning is ours.
            Err(OpenError::Connect { source, .. }) if matches!(mode, PgSslMode::Allow) && wants_tls(&source) => {
                let options = self.for_mode(PgSslMode::Require);
                let connection = self.attempt(&options).await?;
                Ok((options, connection))
            }
            other => Ok((options, other?)),
        }
    }

    fn mode(&self) -> Result<PgSslMode, OpenError> {
        Ok(match (self.ssl_mode.as_str(), &self.ssl_root_cert) {
            ("disable", _) => PgSslMode::Disable,
            ("allow", _) => PgSslMode::Allow,
            ("prefer", _) => PgSslMode::Prefer,
            ("require", None) => PgSslMode::Require,
            ("require", Some(_)) | ("verify-ca", _) => PgSslMode::VerifyCa,
            ("verify-full", _) => PgSslMode::VerifyFull,
            (found, _) => return Err(OpenError::SslMode { found: found.to_owned() }),
        })
    }

    /// The driver begins with what libpq's variables (`PGPASSWORD`, ...) say: everything that is ours to say is set here, also where
    /// it is nothing.
    fn for_mode(&self, mode: PgSslMode) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.name)
            .username(&self.user)
            .password(self.password.as_deref().unwrap_or_default())
            .ssl_mode(mode)
            .application_name("peermark")
            .options([("statement_timeout", TIMEOUT.as_millis())])
            .disable_statement_logging();
        match &self.ssl_root_cert {
            Some(path) => options.ssl_root_cert(path),
            None => options.ssl_root_cert_from_pem(Vec::new()),
        }
    }

    async fn attempt(&self, options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
        let connecting = tokio::time::timeout(TIMEOUT, PgConnection::connect_with(options));
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let connected = connecting.await.map_err(late).flatten();
        connected.map_err(|source| OpenError::Connect { server: self.address(), source })
    }
}

fn wants_tls(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(REFUSED_BY_RULE)
}
