//! Runs a foreign program and kills it, with everything it started, when stdin closes: when the controller is gone.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};

/// How long the program may take to stop when asked.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs the program to its end or to the end of stdin, whichever comes first.
///
/// # Errors
/// What the system said when the program could not be started.
pub fn run(program: &str, arguments: &[String]) -> std::io::Result<ExitStatus> {
    // The program stays in the guard's process group: whoever kills the group kills both, and what the program started.
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn()?;
    let child_pid = Pid::from_raw(child.id() as i32);
    let (done, ended) = mpsc::sync_channel::<ExitStatus>(1);
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        // A program that has ended already needs no signal.
        let _ = child_pid.map(|pid| kill_process(pid, Signal::TERM));
        let stopped = ended.recv_timeout(PATIENCE).is_ok();
        if !stopped || getpgrp() == getpid() {
            // This process is among those that end here; nobody is left to be told.
            let _ = kill_process_group(getpgrp(), Signal::KILL);
        }
    });
    let status = child.wait()?;
    // The watching thread may wait for this; when it does not, nobody needs it.
    let _ = done.try_send(status);
    Ok(status)
}

/// The exit code that stands for how a guarded program ended: its own, or 128 plus the signal.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(70);
    u8::try_from(code).unwrap_or(70)
}
