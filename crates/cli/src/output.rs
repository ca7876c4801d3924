//! Data on stdout, talk on stderr. The only place that writes to either.

use std::io::{self, IsTerminal, Read, Write};

use tracing_subscriber::EnvFilter;

/// Writes a line for people.
pub(crate) fn talk(line: &str) {
    // Nobody can be told that stderr is gone.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Writes a line of data.
///
/// # Errors
/// When stdout is closed or full.
pub(crate) fn data(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Columns of stdout, and whether it takes colours.
pub(crate) fn stdout_shape() -> (usize, bool) {
    let terminal = console::Term::stdout();
    let width = terminal.size_checked().map_or(100, |(_, columns)| usize::from(columns));
    (width, terminal.features().colors_supported() && io::stdout().is_terminal())
}

/// Ends when stdin is closed. A thread of its own waits: the read cannot be taken back, and ends with the process.
pub(crate) async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel::<()>();
    let reader = std::thread::Builder::new().name("stdin".into()).stack_size(64 << 10).spawn(move || {
        let mut ignored = [0; 64];
        while io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        drop(closed);
    });
    match reader {
        Ok(_) => drop(wait.await),
        Err(error) => tracing::error!(%error, "cannot watch stdin; stopping"),
    }
}

/// Starts the log on stderr: warnings by default, more with `-v`; `PEERMARK_LOG` takes a filter.
pub(crate) fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info,libp2p=warn,hickory_net=warn",
        2 => "debug",
        _ => "trace",
    };
    let filter =
        EnvFilter::builder().with_env_var("PEERMARK_LOG").try_from_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(io::stderr).init();
}
