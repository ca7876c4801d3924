//! A PostgreSQL of the system's packages for one test program: its own data, its own port on loopback, never root.
//!
//! A server that a test left running would outlive it, since it is made to. So a shell stands between the two: it starts the server,
//! reads from a pipe that only the test holds, and stops the server as soon as the pipe ends, whatever ended the test.

mod certificate;
mod program;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use program::{Account, Programs};
use tempfile::TempDir;

/// The role that owns everything and needs no password.
const OWNER: &str = "peermark";

/// The role that may connect over TLS only, where the server has it.
pub const TLS_ROLE: &str = "encrypted";

/// Recovery after a hard stop on a slow disk takes the longest.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Attempts to find a port that nobody takes before the server does.
const PORTS: usize = 5;

/// Starts the server that its arguments describe, and stops it when standard input ends. After the word `keep` the data stays.
const KEEPER: &str = r#"
data=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
read -r word <&3
kill -QUIT $server 2>/dev/null
wait $server
[ "$word" = keep ] || rm -rf "$data"
"#;

/// What a server is to have besides the role `peermark`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A role with its password, which is asked for (SCRAM-SHA-256).
    pub role: Option<(String, String)>,
    /// Whether it speaks TLS, with a certificate for `localhost` but not for `127.0.0.1`; [`TLS_ROLE`] is there then.
    pub tls: bool,
}

/// A running PostgreSQL server. It ends, and its data goes, with this value or with the process.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    account: Account,
    directory: TempDir,
    port: u16,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    shell: Child,
    pipe: ChildStdin,
}

impl Postgres {
    /// A server with the role and the database `peermark`, without TLS.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed, or does not start.
    pub fn start() -> Self {
        Self::start_with(&Settings::default())
    }

    /// A server that is set up as described.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed, or does not start.
    pub fn start_with(settings: &Settings) -> Self {
        let programs = Programs::find();
        let account = Account::choose();
        let directory = tempfile::Builder::new().prefix("peermark-postgres-").tempdir().expect("a temporary directory");
        account.give(directory.path());
        let mut postgres = Self { programs, account, directory, port: 0, server: None };
        postgres.initialise(settings);
        let started = (0..PORTS).any(|_| {
            postgres.port = free_port();
            postgres.launch()
        });
        assert!(started, "PostgreSQL does not start:\n{}", postgres.log());
        postgres.create(settings);
        postgres
    }

    /// The port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role that owns everything and needs no password.
    pub fn user(&self) -> &'static str {
        OWNER
    }

    /// The directory of its Unix socket, in the form of a host name.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// The certificate (PEM) that signed the server's, where it speaks TLS.
    pub fn root_certificate(&self) -> PathBuf {
        self.directory.path().join(certificate::ROOT)
    }

    /// A certificate (PEM) of an authority that signed nothing.
    pub fn foreign_certificate(&self) -> PathBuf {
        self.directory.path().join(certificate::FOREIGN)
    }

    /// Creates an empty database of the role [`Postgres::user`].
    ///
    /// # Panics
    /// Where there is one of this name.
    pub fn create_database(&self, name: &str) {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""));
    }

    /// What the program `psql` prints for some SQL: a line per row, `|` between columns. Every statement is committed alone.
    ///
    /// # Panics
    /// Where a statement fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        // Without libpq's own settings.
        let output = Command::new(self.programs.path("psql"))
            .env_clear()
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", OWNER])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("psql prints UTF-8").trim_end().to_owned()
    }

    /// Stops the server at once, as a crash would: connections break, committed data stays.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // A shell that has already ended has stopped the server.
        _ = server.pipe.write_all(b"keep\n");
        drop(server.pipe);
        server.shell.wait().expect("the shell between us ends");
    }

    /// Starts the server again on the same port with the same data.
    ///
    /// # Panics
    /// Where somebody else took the port meanwhile.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "PostgreSQL is running");
        assert!(self.launch(), "PostgreSQL does not start again:\n{}", self.log());
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn initialise(&self, settings: &Settings) {
        let mut command = self.account.command(&self.programs.path("initdb"));
        command.args(["-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(self.data());
        let output = command.current_dir(self.directory.path()).output().expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        if settings.tls {
            certificate::write(self.directory.path());
            for name in certificate::FILES {
                self.account.give(&self.directory.path().join(name));
            }
        }
        // The first line that fits decides.
        let mut rules = String::from("local all all trust\n");
        if let Some((role, _)) = &settings.role {
            rules += &format!("host all {role} 127.0.0.1/32 scram-sha-256\n");
        }
        if settings.tls {
            rules += &format!("hostssl all {TLS_ROLE} 127.0.0.1/32 trust\nhost all {TLS_ROLE} 127.0.0.1/32 reject\n");
        }
        rules += "host all all 127.0.0.1/32 trust\n";
        fs::write(self.data().join("pg_hba.conf"), rules).expect("pg_hba.conf can be written");
        let directory = self.directory.path().display();
        // Tests are about processes that end, not about machines that lose power.
        let mut lines = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{directory}'\nfsync = off\nmax_connections = 60\n"
        );
        if settings.tls {
            let (certificate, key) = (certificate::SERVER, certificate::KEY);
            lines +=
                &format!("ssl = on\nssl_cert_file = '{directory}/{certificate}'\nssl_key_file = '{directory}/{key}'\n");
        }
        let path = self.data().join("postgresql.conf");
        let defaults = fs::read_to_string(&path).expect("initdb wrote postgresql.conf");
        fs::write(path, defaults + &lines).expect("postgresql.conf can be written");
    }

    fn create(&self, settings: &Settings) {
        if let Some((role, password)) = &settings.role {
            self.psql("postgres", &format!("CREATE ROLE \"{role}\" LOGIN SUPERUSER PASSWORD '{password}'"));
        }
        if settings.tls {
            self.psql("postgres", &format!("CREATE ROLE {TLS_ROLE} LOGIN SUPERUSER"));
        }
        self.create_database(OWNER);
    }

    /// Starts the server and waits until it answers; `false` where it ended instead.
    fn launch(&mut self) -> bool {
        let log = self.directory.path().join("log");
        // A new one each time: its last line is looked at.
        let log = fs::File::create(log).expect("the log can be written");
        let errors = log.try_clone().expect("a second handle on the log");
        let mut shell = self
            .account
            .command(Path::new("/bin/sh"))
            .args(["-c", KEEPER, "keeper"])
            .arg(self.directory.path())
            .arg(self.programs.path("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .current_dir(self.directory.path())
            // What a terminal sends to the test is the test's alone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("a shell starts");
        let pipe = shell.stdin.take().expect("the shell has a pipe");
        self.server = Some(Server { shell, pipe });
        if self.answers() {
            return true;
        }
        self.stop();
        false
    }

    /// The last line of `postmaster.pid` says when connections are taken; the file goes with the server.
    fn answers(&self) -> bool {
        let path = self.data().join("postmaster.pid");
        let polls = START_TIMEOUT.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            let status = fs::read_to_string(&path).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return true;
            }
            if self.log().lines().last().is_some_and(|line| line.contains("database system is shut down")) {
                return false;
            }
            std::thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Makes a file or directory the account's alone.
fn hand_over(path: &Path, uid: u32, gid: u32) {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode can be set");
    chown(path, Some(uid), Some(gid)).expect("it can be handed over");
}
