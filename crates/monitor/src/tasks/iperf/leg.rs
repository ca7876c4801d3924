//! One run of `iperf3` against one server, in one direction.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::IperfConfig;
use super::failures::{
    BAD_OUTPUT, IPERF_ERROR, NO_ADDRESS, NOT_PERMITTED, PROGRAM_FAILED, PROGRAM_MISSING, SERVER_ABSENT, SERVER_BROKE,
    SERVER_BUSY, SERVER_STALLED,
};
use super::output::{Flow, Output};
use crate::child::{ChildError, Program};
use crate::task::{Failure, Finding};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg<'a> {
    pub(super) config: &'a IperfConfig,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) udp: bool,
    /// The server sends.
    pub(super) reverse: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) flow: Flow,
    pub(super) remote: Option<IpAddr>,
    pub(super) cpu: Duration,
}

/// Most of iperf3's own words that are kept.
const MAX_WORDS: usize = 300;

impl Leg<'_> {
    /// Runs it, at most `within`.
    pub(super) async fn run(self, within: Duration) -> Result<Measured, Finding> {
        let ended = self.program().run(within).await.map_err(|error| self.explain(&error))?;
        // It says why it failed in this document, whatever its exit code.
        let output = Output::read(&ended.stdout).map_err(|error| {
            let complaint = ended.complaint();
            BAD_OUTPUT.with(format!("iperf3 {}: its output is not its JSON: {error}; {complaint}", ended.status))
        })?;
        if let Some(words) = output.error() {
            let words: String = words.chars().take(MAX_WORDS).collect();
            return Err(meaning(&words).with(format!("{} {}: {words}", self.name(), self.direction())));
        }
        let requested = self.udp.then_some(self.config.udp_bits_per_second);
        let flow = output.flow(self.udp, requested).filter(|flow| flow.seconds > 0.0);
        let flow = flow.ok_or_else(|| BAD_OUTPUT.with(format!("{}: iperf3 printed no sums", self.name())))?;
        Ok(Measured { flow, remote: output.remote(), cpu: ended.cpu.unwrap_or_default() })
    }

    fn program(&self) -> Program {
        let config = self.config;
        let mut args = vec!["--json".to_owned(), "--client".into(), self.host.into()];
        args.extend(["--port".into(), self.port.to_string()]);
        args.extend(["--time".into(), config.seconds.to_string(), "--omit".into(), config.omit_seconds.to_string()]);
        args.extend(["--connect-timeout".into(), config.connect_timeout_ms.to_string()]);
        if config.streams > 1 {
            args.extend(["--parallel".into(), config.streams.to_string()]);
        }
        if self.udp {
            let each = config.udp_bits_per_second / u64::from(config.streams.max(1));
            args.extend(["--udp".into(), "--bitrate".into(), each.to_string()]);
        }
        if self.reverse {
            args.push("--reverse".into());
        }
        Program::new(&config.program).args(args)
    }

    fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn direction(&self) -> &'static str {
        match (self.udp, self.reverse) {
            (false, false) => "(TCP up)",
            (false, true) => "(TCP down)",
            (true, false) => "(UDP up)",
            (true, true) => "(UDP down)",
        }
    }

    fn explain(&self, error: &ChildError) -> Finding {
        let failure: &'static Failure = match error {
            ChildError::Missing { .. } => &PROGRAM_MISSING,
            ChildError::NotPermitted { .. } => &NOT_PERMITTED,
            ChildError::Timeout { .. } => &SERVER_STALLED,
            ChildError::TooMuchOutput { .. } => &BAD_OUTPUT,
            ChildError::Start { .. } | ChildError::Wait { .. } => &PROGRAM_FAILED,
        };
        let mut detail = format!("{} {}: {error}", self.name(), self.direction());
        if let Some(source) = std::error::Error::source(error) {
            let _ = write!(detail, ": {source}");
        }
        failure.with(detail)
    }
}

/// iperf3 has no codes for why it failed, only words (`i_errno` and `strerror` in its source).
fn meaning(words: &str) -> &'static Failure {
    let words = words.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|some| words.contains(some));
    if says(&["busy"]) {
        &SERVER_BUSY
    } else if says(&["name or service", "name resolution", "no address associated", "unknown host"]) {
        &NO_ADDRESS
    } else if says(&["unable to connect", "refused", "no route to host", "unreachable", "timed out"]) {
        &SERVER_ABSENT
    } else if says(&["reset by peer", "broken pipe", "server has terminated", "unexpectedly closed", "control socket"])
    {
        &SERVER_BROKE
    } else {
        &IPERF_ERROR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_iperf3_become_failures() {
        let code = |words| meaning(words).code;
        assert_eq!(code("error - the server is busy running a test. try again later"), "server_busy");
        assert_eq!(code("unable to connect to server: Connection refused"), "server_absent");
        assert_eq!(code("unable to connect to server: Connection timed out"), "server_absent");
        assert_eq!(code("unable to connect to server: Name or service not known"), "no_address");
        assert_eq!(code("error - control socket has closed unexpectedly"), "server_broke");
        assert_eq!(code("error - the server has terminated"), "server_broke");
        assert_eq!(code("error - unable to set TCP_NODELAY"), "iperf_error");
    }
}
