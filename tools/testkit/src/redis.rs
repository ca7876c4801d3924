//! A Redis of the system's packages for one test program: its own port on loopback and its own socket, nothing on disk.
//!
//! As with PostgreSQL, a shell stands between the test and the server and stops the server as soon as the pipe from the test ends,
//! whatever ended the test.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::program::program;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Attempts to find a port that nobody takes before the server does.
const PORTS: usize = 5;

/// Starts the server that its arguments describe, and kills it when standard input ends. After the word `keep` the directory stays.
const KEEPER: &str = r#"
directory=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
read -r word <&3
kill -KILL $server 2>/dev/null
wait $server
[ "$word" = keep ] || rm -rf "$directory"
"#;

/// A running Redis server. It ends with this value or with the process.
#[derive(Debug)]
pub struct Redis {
    directory: TempDir,
    port: u16,
    password: Option<String>,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    shell: Child,
    pipe: ChildStdin,
}

impl Redis {
    /// A server that needs no password.
    ///
    /// # Panics
    /// Where Redis is not installed, or does not start.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A server that asks for a password, where there is one.
    ///
    /// # Panics
    /// Where Redis is not installed, or does not start.
    pub fn start_with(password: Option<&str>) -> Self {
        let directory = tempfile::Builder::new().prefix("peermark-redis-").tempdir().expect("a temporary directory");
        let mut redis = Self { directory, port: 0, password: password.map(str::to_owned), server: None };
        let started = (0..PORTS).any(|_| {
            redis.port = free_port();
            redis.launch()
        });
        assert!(started, "Redis does not start:\n{}", redis.log());
        redis
    }

    /// The port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`, with the password where it has one.
    pub fn url(&self) -> String {
        let password = self.password.as_ref().map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis://{password}127.0.0.1:{}", self.port)
    }

    /// `redis+unix:///PATH` of its Unix socket, with the password where it has one.
    pub fn unix_url(&self) -> String {
        let password = self.password.as_ref().map_or_else(String::new, |password| format!("?pass={password}"));
        format!("redis+unix://{}{password}", self.socket().display())
    }

    /// Kills the server: connections break and, since nothing is on disk, every key is gone.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // A shell that has already ended has stopped the server.
        _ = server.pipe.write_all(b"keep\n");
        drop(server.pipe);
        server.shell.wait().expect("the shell between us ends");
    }

    /// Starts the server again on the same port, empty.
    ///
    /// # Panics
    /// Where somebody else took the port meanwhile.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "Redis is running");
        assert!(self.launch(), "Redis does not start again:\n{}", self.log());
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Starts the server and waits until it answers; `false` where it ended instead.
    fn launch(&mut self) -> bool {
        // A killed server leaves its socket behind.
        _ = fs::remove_file(self.socket());
        let log = fs::File::create(self.directory.path().join("log")).expect("the log can be written");
        let errors = log.try_clone().expect("a second handle on the log");
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .args(["-c", KEEPER, "keeper"])
            .arg(self.directory.path())
            .arg(program("redis-server"))
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--daemonize", "no"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path())
            .arg("--unixsocket")
            .arg(self.socket());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        let mut shell = command
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

    fn answers(&self) -> bool {
        let polls = START_TIMEOUT.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            // Its own word: a stranger on the port would answer too.
            if self.log().contains("Ready to accept connections") && self.pongs() {
                return true;
            }
            if self.log().contains("Failed listening on port") {
                return false;
            }
            std::thread::sleep(POLL);
        }
        false
    }

    fn pongs(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let Ok(mut stream) = TcpStream::connect_timeout(&address, START_TIMEOUT) else { return false };
        let mut answer = [0; 5];
        let asked = stream.set_read_timeout(Some(START_TIMEOUT)).and_then(|()| stream.write_all(b"PING\r\n"));
        let told = asked.and_then(|()| stream.read_exact(&mut answer));
        // A server with a password answers that one is needed.
        told.is_ok() && (answer == *b"+PONG" || answer == *b"-NOAU")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}
