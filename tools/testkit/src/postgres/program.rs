//! Where PostgreSQL's programs are, and as whom they run.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::hand_over;

/// Debian keeps what only an administrator calls out of `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The directory of `initdb`, `postgres` and `psql`.
#[derive(Debug)]
pub(super) struct Programs {
    directory: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests have no cli that would look for programs")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut installed: Vec<PathBuf> = fs::read_dir(VERSIONS)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        // The newest, where there are several: 9.6 < 15.
        installed.sort_by_key(|directory| version_of(directory));
        let directory = std::env::split_paths(&path)
            .chain(installed.into_iter().rev())
            .find(|directory| ["initdb", "postgres", "psql"].iter().all(|name| directory.join(name).is_file()));
        let Some(directory) = directory else {
            panic!("PostgreSQL is not installed: install postgresql (apt-get install postgresql), or `make need-test`");
        };
        Self { directory }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn version_of(directory: &Path) -> Vec<u32> {
    let name = directory.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// Whom the server runs as: PostgreSQL refuses root.
#[derive(Clone, Copy, Debug)]
pub(super) enum Account {
    /// The user of the test.
    Own,
    /// Where the test runs as root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    pub(super) fn choose() -> Self {
        if !is_root() {
            return Self::Own;
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd lists the users");
        let found = ["postgres", "nobody"].iter().find_map(|name| {
            let mut fields =
                users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
            Some(Self::Other { uid: fields.nth(2)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        });
        found.expect("PostgreSQL does not run as root: a user postgres or nobody is needed")
    }

    /// A command that runs as this account and inherits none of libpq's settings.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        if let Self::Other { uid, gid } = self {
            // Setting the user as root also gives up the other groups.
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(super) fn give(self, path: &Path) {
        if let Self::Other { uid, gid } = self {
            hand_over(path, uid, gid);
        }
    }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    effective == Some("0")
}
