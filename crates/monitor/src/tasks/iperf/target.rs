//! Against whom throughput is measured.

use std::fmt;

/// One entry of `monitor.iperf.targets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A plain `iperf3` server, which serves whoever comes first.
    Server {
        /// Host name or address, IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// Another node's monitor: a slot is agreed first.
    Monitor {
        /// Its base URL.
        url: String,
    },
}

/// Port of `iperf3` where an entry names none.
pub(super) const DEFAULT_PORT: u16 = 5201;

impl Target {
    /// Reads an entry: `host`, `host:port`, `[ipv6]:port`, `http(s)://monitor:port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Monitor { url: text.trim_end_matches('/').to_owned() });
        }
        if text.contains("://") {
            return Err(format!("{text:?}: expected host:port of an iperf3 server or http(s):// of a monitor"));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (host, port.ok_or_else(|| format!("{text:?}: no port from 1 to 65535 after the colon"))?)
            }
            _ => (text, DEFAULT_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A name that begins with a dash would be taken for an option by the program.
        let valid =
            !host.is_empty() && !host.starts_with('-') && host.chars().all(|c| c.is_ascii_graphic() && c != '/');
        if !valid {
            return Err(format!("{text:?}: no host name or address"));
        }
        Ok(Self::Server { host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Server { host, port } => write!(f, "{host}:{port}"),
            Self::Monitor { url } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_monitors_are_read_and_nonsense_is_not() {
        let server = |host: &str, port| Ok(Target::Server { host: host.into(), port });
        assert_eq!(Target::read("speed.example:9201"), server("speed.example", 9201));
        assert_eq!(Target::read("speed.example"), server("speed.example", DEFAULT_PORT));
        assert_eq!(Target::read("[2001:db8::1]:300"), server("2001:db8::1", 300));
        assert_eq!(Target::read("2001:db8::1"), server("2001:db8::1", DEFAULT_PORT));
        assert_eq!(Target::read("https://a.example/"), Ok(Target::Monitor { url: "https://a.example".into() }));
        for text in ["", ":1", "a:0", "a:b", "a:99999", "ftp://a", "a b", "--help", "-s:1", "a:9201-9240"] {
            assert!(Target::read(text).is_err(), "{text}");
        }
    }
}
