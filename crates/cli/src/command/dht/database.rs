//! Where DHT servers and schedulers store: PostgreSQL with parsec's flags, or SQLite.

use std::path::{Path, PathBuf};

use clap::Args;
use peermark_store::dht::{DhtStore, PostgresOptions};
use peermark_store::{OpenError, Store};

use crate::error::ExpectedError;

/// Database of SQLite where none is named.
const DEFAULT_STORE: &str = "peermark.db";

/// Without `--db-host` everything goes into the SQLite file of `--store`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseArgs {
    /// SQLite file, when there is no --db-host; `peermark.db` unless named. With --db-host: where single observations go besides
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// PostgreSQL server with parsec's tables: name, address, or the directory of its socket
    #[arg(long, value_name = "HOST", env = "PARSEC_DATABASE_HOST")]
    db_host: Option<String>,
    /// Port of PostgreSQL
    #[arg(long, value_name = "PORT", env = "PARSEC_DATABASE_PORT", default_value_t = 5432)]
    db_port: u16,
    /// Database
    #[arg(long, value_name = "NAME", env = "PARSEC_DATABASE_NAME", default_value = "parsec")]
    db_name: String,
    /// Role
    #[arg(long, value_name = "USER", env = "PARSEC_DATABASE_USER", default_value = "parsec")]
    db_user: String,
    /// Password; better in the environment or in a file, where other users do not see it
    #[arg(long, value_name = "PASSWORD", env = "PARSEC_DATABASE_PASSWORD", hide_env_values = true)]
    db_password: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE", conflicts_with = "db_password")]
    db_password_file: Option<PathBuf>,
    /// TLS: disable, allow, prefer, require, verify-ca or verify-full
    #[arg(long, value_name = "MODE", env = "PARSEC_DATABASE_SSL_MODE", default_value = "prefer")]
    db_sslmode: String,
    /// File of certificates (PEM) that are trusted besides those of the system
    #[arg(long, value_name = "FILE")]
    db_sslrootcert: Option<PathBuf>,
}

/// The open databases.
#[derive(Debug)]
pub(crate) struct Databases {
    /// Tables of servers and schedulers, and traces.
    pub(crate) dht: DhtStore,
    /// Runs and observations; none beside PostgreSQL unless one was named.
    pub(crate) observations: Option<Store>,
    /// Whether both are the same file.
    pub(crate) linked: bool,
    /// Where the tables are, for people.
    pub(crate) place: String,
}

impl DatabaseArgs {
    /// Opens what the arguments name; a file that is missing is created.
    ///
    /// # Errors
    /// [`ExpectedError::Store`], or that the file with the password cannot be read.
    pub(crate) async fn open(&self) -> Result<Databases, ExpectedError> {
        self.open_by(async |path| Store::open(path).await).await
    }

    /// The same for readers: a file that is missing is an error.
    ///
    /// # Errors
    /// As [`DatabaseArgs::open`].
    pub(crate) async fn open_existing(&self) -> Result<Databases, ExpectedError> {
        self.open_by(async |path| Store::open_existing(path).await).await
    }

    async fn open_by(&self, open: impl AsyncFn(&Path) -> Result<Store, OpenError>) -> Result<Databases, ExpectedError> {
        let Some(host) = self.db_host.clone().filter(|host| !host.is_empty()) else {
            let path = self.store.clone().unwrap_or_else(|| DEFAULT_STORE.into());
            let store = open(&path).await?;
            let dht = DhtStore::of(&store);
            return Ok(Databases { dht, observations: Some(store), linked: true, place: path.display().to_string() });
        };
        let place = format!("PostgreSQL {}@{host}:{}/{}", self.db_user, self.db_port, self.db_name);
        let options = PostgresOptions {
            host,
            port: self.db_port,
            name: self.db_name.clone(),
            user: self.db_user.clone(),
            password: self.password()?,
            ssl_mode: self.db_sslmode.clone(),
            ssl_root_cert: self.db_sslrootcert.clone(),
        };
        let dht = DhtStore::connect_postgres(&options).await?;
        let observations = match &self.store {
            Some(path) => Some(open(path).await?),
            None => None,
        };
        Ok(Databases { dht, observations, linked: false, place })
    }

    fn password(&self) -> Result<Option<String>, ExpectedError> {
        let Some(path) = &self.db_password_file else { return Ok(self.db_password.clone()) };
        let text =
            std::fs::read_to_string(path).map_err(|source| ExpectedError::Read { path: path.clone(), source })?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
