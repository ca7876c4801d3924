//! A command line that may be shown: it goes into a table that every scheduler and dashboard reads.

/// What takes the place of a secret.
const HIDDEN: &str = "***";

/// Parts of a flag's or variable's name whose value is a secret.
const SECRET_NAMES: [&str; 10] =
    ["password", "passwd", "passphrase", "pwd", "token", "secret", "credential", "apikey", "api-key", "private-key"];

/// Beginnings of values that are secrets whatever the flag is called: JSON web tokens, keys of AWS, GitHub and GitLab, headers.
const SECRET_VALUES: [&str; 8] = ["eyJ", "AKIA", "ASIA", "ghp_", "github_pat_", "glpat-", "Bearer ", "Basic "];

/// The arguments joined by spaces, with `***` for everything that is or may be a secret. Names of files that hold one are kept.
pub fn without_secrets(arguments: &[String]) -> String {
    let mut shown = Vec::with_capacity(arguments.len());
    let mut hide_next = false;
    for argument in arguments {
        if std::mem::take(&mut hide_next) && !argument.starts_with("--") {
            shown.push(HIDDEN.to_owned());
            continue;
        }
        match argument.split_once('=') {
            Some((name, _)) if is_secret_name(name) => shown.push(format!("{name}={HIDDEN}")),
            Some((name, value)) if name.starts_with('-') => shown.push(format!("{name}={}", value_shown(value))),
            _ => {
                hide_next = argument.starts_with('-') && is_secret_name(argument);
                shown.push(value_shown(argument));
            }
        }
    }
    shown.join(" ")
}

fn is_secret_name(name: &str) -> bool {
    let name = name.trim_start_matches('-').to_ascii_lowercase().replace('_', "-");
    let names_a_file = name.ends_with("-file") || name.ends_with("-path");
    !names_a_file && SECRET_NAMES.iter().any(|part| name.contains(part))
}

fn value_shown(value: &str) -> String {
    if SECRET_VALUES.iter().any(|beginning| value.starts_with(beginning)) {
        return HIDDEN.to_owned();
    }
    // scheme://user:password@host
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{}", &rest[end..]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        without_secrets(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn no_secret_is_shown() {
        for line in [
            "peermark dht server --db-password hunter2 --fleet a",
            "peermark dht server --db-password=hunter2",
            "peermark --API_TOKEN hunter2",
            "env PARSEC_DATABASE_PASSWORD=hunter2 peermark",
            "peermark --db postgres://parsec:hunter2@db:5432/x?y=z",
            "peermark --db=postgres://parsec:hunter2@db",
            "peermark --header eyJhunter2",
        ] {
            let shown = shown(line);
            assert!(!shown.contains("hunter2") && shown.contains(HIDDEN), "{shown}");
        }
        assert_eq!(shown("p --db-password x --fleet a"), "p --db-password *** --fleet a");
        assert_eq!(shown("p --u postgres://a:b@db/x?y=@z"), "p --u postgres://***@db/x?y=@z");
    }

    #[test]
    fn everything_else_is() {
        for line in [
            "peermark dht server --fleet default --db-password-file /run/secrets/db --token-file t --alpha=10",
            "peermark --bootstrap /ip4/127.0.0.1/tcp/1/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5",
            "peermark --db-password --fleet a",
            "peermark --ecs-metadata-uri-v4 http://169.254.170.2/v4/x",
        ] {
            assert_eq!(shown(line), line);
        }
    }
}
