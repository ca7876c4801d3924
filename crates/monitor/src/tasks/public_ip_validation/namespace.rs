//! A network namespace and an interface in it, as a thread of its own uses them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use peermark_core::Clock;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::judge::Assigned;
use crate::child::SEARCH_PATH;

/// Longest life of one `ip` command, and how often it is looked after.
const COMMAND: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(2);

/// Most of what `ip` says that is kept.
const MAX_WORDS: u64 = 1000;

/// Why an address was not tried.
#[derive(Debug, Error)]
pub(super) enum NamespaceError {
    /// There is no such namespace.
    #[error("failed to get namespace {path}: {source}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such interface.
    #[error("no such interface in the namespace: {0}")]
    NoInterface(String),
    /// The system does not let this user do it.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// `ip` is not installed.
    #[error("ip is not installed: looked for it in {SEARCH_PATH}")]
    Program,
    /// The interface cannot be used.
    #[error("{0}")]
    Setup(String),
    /// This address or gateway cannot be used.
    #[error("{0}")]
    Address(String),
    /// Something else kept this address from being tried.
    #[error("{0}")]
    Untried(String),
    /// The run was given up.
    #[error("given up before all addresses were tried")]
    Cancelled,
}

/// Moves this thread, and no other, into a network namespace for the rest of its life.
pub(super) fn enter(path: &Path) -> Result<(), NamespaceError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => NamespaceError::NotPermitted(format!("enter {}: {source}", path.display())),
        _ => NamespaceError::Missing { path: path.to_owned(), source },
    };
    let namespace = File::open(path).map_err(failed)?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|error| failed(error.into()))
}

/// The interface on which addresses are tried.
#[derive(Clone)]
pub(super) struct Interface {
    name: String,
    cancel: CancellationToken,
    pub(super) clock: Arc<dyn Clock>,
}

/// Cleans the interface when it is dropped: after the test, after a failure, and when the test panics.
struct Clean<'a>(&'a Interface);

impl Interface {
    pub(super) fn new(name: &str, cancel: CancellationToken, clock: Arc<dyn Clock>) -> Self {
        Self { name: name.to_owned(), cancel, clock }
    }

    /// Puts `assigned` on the interface, with a default route over its gateway, while `work` runs.
    pub(super) fn with_address<T>(
        &self,
        assigned: &Assigned,
        work: impl FnOnce() -> Result<T, NamespaceError>,
    ) -> Result<T, NamespaceError> {
        let family = if assigned.ip.is_ipv4() { "-4" } else { "-6" };
        let (cidr, gateway) = (format!("{}/{}", assigned.ip, assigned.prefix), assigned.gateway.to_string());
        self.ip(&["addr", "flush", "dev", &self.name])?;
        let _clean = Clean(self);
        self.ip(&["link", "set", "dev", &self.name, "up"])?;
        let mut add = vec![family, "addr", "add", &cidr, "dev", &self.name];
        if assigned.ip.is_ipv6() {
            // Nobody else has it, and the check would take a second in which it cannot be used.
            add.push("nodad");
        }
        self.ip(&add).map_err(of_address)?;
        self.ip(&[family, "route", "replace", "default", "via", &gateway, "dev", &self.name]).map_err(of_address)?;
        work()
    }

    /// Fails where the run was given up.
    pub(super) fn go_on(&self) -> Result<(), NamespaceError> {
        if self.cancel.is_cancelled() { Err(NamespaceError::Cancelled) } else { Ok(()) }
    }

    fn ip(&self, args: &[&str]) -> Result<(), NamespaceError> {
        self.go_on()?;
        self.ip_anyway(args)
    }

    fn ip_anyway(&self, args: &[&str]) -> Result<(), NamespaceError> {
        let mut command = Command::new("ip");
        command.args(args).env_clear().env("PATH", SEARCH_PATH).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NamespaceError::Program,
            io::ErrorKind::PermissionDenied => NamespaceError::NotPermitted(format!("run ip: {error}")),
            _ => NamespaceError::Setup(format!("run ip: {error}")),
        })?;
        let began_ns = self.clock.now_ns();
        let ended = loop {
            match process.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if self.clock.now_ns().saturating_sub(began_ns) > COMMAND.as_nanos() as u64 => {
                    break Err(format!("did not end within {COMMAND:?}"));
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => break Err(error.to_string()),
            }
        };
        if ended.is_err() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let mut words = String::new();
        if let Some(pipe) = process.stderr.take() {
            // It has ended and says a line at most, which the pipe holds.
            let _ = pipe.take(MAX_WORDS).read_to_string(&mut words);
        }
        let words = format!("ip {}: {}", args.join(" "), words.trim());
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(_) if words.contains("not permitted") => Err(NamespaceError::NotPermitted(words)),
            Ok(_) if words.contains("Cannot find device") || words.contains("does not exist") => {
                Err(NamespaceError::NoInterface(words))
            }
            Ok(_) => Err(NamespaceError::Setup(words)),
            Err(why) => Err(NamespaceError::Setup(format!("{words}: {why}"))),
        }
    }
}

/// What the kernel says of the value of an address or gateway is the configuration's fault. Whatever else kept it from being tried
/// (a command that hung, IPv6 switched off) says nothing of it.
fn of_address(error: NamespaceError) -> NamespaceError {
    /// The kernel's words about values, in lower case: `strerror` and the messages of its routing code, and iproute2's own.
    const OF_A_VALUE: [&str; 8] = [
        "invalid argument",
        "invalid gateway",
        "invalid prefix",
        "prefix is expected",
        "gateway can not be",
        "network is unreachable",
        "no route to host",
        "cannot assign requested address",
    ];
    match error {
        NamespaceError::Setup(words) => {
            let said = words.to_ascii_lowercase();
            if OF_A_VALUE.iter().any(|some| said.contains(some)) {
                NamespaceError::Address(words)
            } else {
                NamespaceError::Untried(words)
            }
        }
        other => other,
    }
}

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        let Interface { name, .. } = self.0;
        let routes = [["-4", "route", "flush", "dev", name], ["-6", "route", "flush", "dev", name]];
        let last: [&[&str]; 2] = [&["addr", "flush", "dev", name], &["link", "set", "dev", name, "down"]];
        for command in routes.iter().map(<[&str; 5]>::as_slice).chain(last) {
            if let Err(error) = self.0.ip_anyway(command) {
                tracing::warn!(%error, "the interface is not clean");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_about_a_value_are_held_against_it() {
        let invalid = |words: &str| {
            let words = format!("ip -4 addr add 203.0.113.10/24 dev pub: {words}");
            matches!(of_address(NamespaceError::Setup(words)), NamespaceError::Address(_))
        };
        assert!(invalid("Error: Nexthop has invalid gateway.") && invalid("RTNETLINK answers: Invalid argument"));
        assert!(invalid("RTNETLINK answers: Network is unreachable"));
        for own in [": did not end within 5s", "Error: IPv6 is disabled on this device.", "Cannot allocate memory"] {
            assert!(!invalid(own), "{own}");
        }
    }
}
