//! Programs of the system that tests run, and what to install where one is missing.

use std::path::PathBuf;

/// Debian keeps what only an administrator calls out of a user's `PATH`.
const ADMINISTRATORS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Programs and the Debian packages that bring them, where the two differ.
const PACKAGES: [(&str, &str); 3] = [("ip", "iproute2"), ("ss", "iproute2"), ("redis-cli", "redis-tools")];

/// Where a program is: `program("iperf3")`.
///
/// # Panics
/// Where it is not installed. The message has the command that installs it.
pub fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{}", missing(name)))
}

fn find(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no cli that would look for programs")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(ADMINISTRATORS.map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn missing(name: &str) -> String {
    let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
    format!("{name} is not installed: install {package} (apt-get install {package}), or `make need-test`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_where_the_system_keeps_it() {
        assert!(program("sh").is_file());
        assert!(program("iperf3").is_file());
        assert_eq!(find("no-such-program"), None);
    }

    #[test]
    fn what_is_missing_is_said_with_the_command_that_installs_it() {
        assert_eq!(
            missing("ip"),
            "ip is not installed: install iproute2 (apt-get install iproute2), or `make need-test`"
        );
        assert!(missing("redis-server").contains("apt-get install redis-server"));
    }
}
