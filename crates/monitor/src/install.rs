//! The monitor as a service of the system: the text of a systemd unit.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What the unit says about this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitOptions {
    /// The program, absolute.
    pub program: PathBuf,
    /// Configuration file, absolute; none where the defaults do.
    pub config: Option<PathBuf>,
    /// Account that it runs as; a new one for as long as it runs without.
    pub user: Option<String>,
    /// More arguments of `monitor run`.
    pub arguments: Vec<String>,
}

/// Why there is no unit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// systemd starts programs by absolute paths.
    #[error("{path} is no absolute path")]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// The unit says it itself.
    #[error("{argument} is set by the unit: leave it out")]
    Set {
        /// The argument.
        argument: String,
    },
    /// A unit is text of lines.
    #[error("{text:?} cannot stand in a unit")]
    Text {
        /// What was given.
        text: String,
    },
}

/// Name of the directory below `/var/lib` that belongs to the service.
const STATE: &str = "peermark-monitor";

/// What the service may not do. It needs the network (tests), its own directory (history) and reading the rest of the machine (host,
/// disk): nothing else. Tasks that need more say so in their failure and name the line to add with `systemctl edit`.
const HARDENING: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
";

/// Where `ProtectHome=` hides everything.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// What the unit says itself, so that nobody can say it again.
const SET: [&str; 2] = ["--data", "--config"];

impl UnitOptions {
    /// Files that the service needs and that are in somebody's home directory.
    pub fn in_homes(&self) -> impl Iterator<Item = &Path> {
        let files = std::iter::once(self.program.as_path()).chain(self.config.as_deref());
        files.filter(|path| is_in_home(path))
    }

    /// Homes are hidden unless something that the service needs is there.
    fn protect_home(&self) -> &'static str {
        let values =
            self.arguments.iter().map(|argument| argument.split_once('=').map_or(argument.as_str(), |(_, path)| path));
        let is_needed = self.in_homes().next().is_some() || values.map(Path::new).any(is_in_home);
        if is_needed { "read-only" } else { "yes" }
    }
}

fn is_in_home(path: &Path) -> bool {
    HOMES.iter().any(|home| path.starts_with(home))
}

/// The unit `peermark-monitor.service`.
///
/// # Errors
/// [`UnitError`] for a path that is not absolute, for texts with control characters, and for arguments that the unit has already.
pub fn systemd_unit(options: &UnitOptions) -> Result<String, UnitError> {
    let is_set = |argument: &&String| SET.iter().any(|set| argument.split('=').next() == Some(*set));
    if let Some(argument) = options.arguments.iter().find(is_set) {
        return Err(UnitError::Set { argument: argument.clone() });
    }
    let home = options.protect_home();
    let mut command = vec![path(&options.program)?];
    if let Some(config) = &options.config {
        command.extend(["--config".to_owned(), path(config)?]);
    }
    command.extend(["monitor", "run", "--data"].map(str::to_owned));
    // systemd puts in where it made the directory; `%S` is not to be escaped.
    command.push(format!("%S/{STATE}"));
    for argument in &options.arguments {
        command.push(quoted(argument)?);
    }
    let account = match &options.user {
        Some(user) => format!("User={}\n", quoted(user)?),
        None => "DynamicUser=yes\n".to_owned(),
    };
    let command = command.join(" ");
    Ok(format!(
        "[Unit]\n\
         Description=peermark monitor: scheduled self-tests of this node\n\
         Documentation=https://github.com/peermark/peermark\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         StartLimitIntervalSec=300\n\
         StartLimitBurst=10\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={command}\n\
         {account}\
         StateDirectory={STATE}\n\
         StateDirectoryMode=0700\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         TimeoutStopSec=30\n\
         KillMode=mixed\n\
         LimitNOFILE=16384\n\
         Nice=5\n\
         ProtectHome={home}\n\
         {HARDENING}\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    ))
}

fn path(path: &Path) -> Result<String, UnitError> {
    if !path.is_absolute() {
        return Err(UnitError::Relative { path: path.to_owned() });
    }
    let text = path.to_str().ok_or_else(|| UnitError::Text { text: path.display().to_string() })?;
    quoted(text)
}

/// One word of a command line, by the rules of systemd.syntax(7) and systemd.service(5): `%` begins a specifier, `$` a variable.
fn quoted(text: &str) -> Result<String, UnitError> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(UnitError::Text { text: text.to_owned() });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.:=,@+[]".contains(c);
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(if text.chars().all(plain) { escaped } else { format!("\"{escaped}\"") })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn options() -> UnitOptions {
        // A program that is there, or the check would complain of that.
        UnitOptions { program: "/bin/sh".into(), config: None, user: None, arguments: Vec::new() }
    }

    #[test]
    fn the_unit_names_program_configuration_and_account() {
        let unit = systemd_unit(&UnitOptions {
            config: Some("/etc/peer mark/100%.toml".into()),
            user: Some("peermark".into()),
            arguments: vec!["--redis".into(), "redis://127.0.0.1:6379".into()],
            ..options()
        })
        .unwrap();
        let command = "ExecStart=/bin/sh --config \"/etc/peer mark/100%%.toml\" monitor run --data %S/peermark-monitor \
                       --redis redis://127.0.0.1:6379\nUser=peermark\n";
        assert!(unit.contains(command), "{unit}");
        assert!(!unit.contains("DynamicUser"));
        for line in ["DynamicUser=yes", "ProtectSystem=strict", "StateDirectory=peermark-monitor", "Restart=on-failure"]
        {
            assert!(systemd_unit(&options()).unwrap().lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn what_the_service_needs_is_not_hidden_from_it() {
        let home = |options: UnitOptions| {
            let unit = systemd_unit(&options).unwrap();
            unit.lines().find_map(|line| line.strip_prefix("ProtectHome=")).unwrap().to_owned()
        };
        assert_eq!(home(options()), "yes");
        assert_eq!(home(UnitOptions { program: "/homes/peermark".into(), ..options() }), "yes");
        assert_eq!(home(UnitOptions { program: "/home/a/bin/peermark".into(), ..options() }), "read-only");
        assert_eq!(home(UnitOptions { config: Some("/root/peermark.toml".into()), ..options() }), "read-only");
        for argument in ["/home/a/token", "--token-file=/root/token"] {
            assert_eq!(home(UnitOptions { arguments: vec![argument.into()], ..options() }), "read-only", "{argument}");
        }
    }

    #[test]
    fn what_the_unit_says_is_not_said_twice() {
        for argument in ["--data", "--data=/var/x", "--config"] {
            let options = UnitOptions { arguments: vec![argument.into()], ..options() };
            assert!(matches!(systemd_unit(&options), Err(UnitError::Set { .. })), "{argument}");
        }
        systemd_unit(&UnitOptions { arguments: vec!["--database".into()], ..options() }).unwrap();
    }

    #[test]
    fn nothing_can_add_a_line_to_the_unit() {
        let relative = UnitOptions { program: "peermark".into(), ..options() };
        assert!(matches!(systemd_unit(&relative), Err(UnitError::Relative { .. })));
        for bad in ["a\nExecStartPre=/bin/false", "", "a\0"] {
            let arguments = UnitOptions { arguments: vec![bad.into()], ..options() };
            assert!(matches!(systemd_unit(&arguments), Err(UnitError::Text { .. })), "{bad:?}");
            let user = UnitOptions { user: Some(bad.into()), ..options() };
            assert!(matches!(systemd_unit(&user), Err(UnitError::Text { .. })), "{bad:?}");
        }
    }

    #[test]
    fn systemd_takes_the_unit_where_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        for user in [None, Some("daemon".to_owned())] {
            let file = directory.path().join("peermark-monitor.service");
            std::fs::write(&file, systemd_unit(&UnitOptions { user, ..options() }).unwrap()).unwrap();
            let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else { return };
            let said = String::from_utf8_lossy(&checked.stderr);
            // Other units of the machine are looked at too; only what is said about ours counts.
            assert!(!said.lines().any(|line| line.contains("peermark-monitor")), "{said}");
        }
    }
}
