use std::path::Path;

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    Program::new("sh").args(["-c", script])
}

/// Waits until the process is gone or a zombie that nobody of ours made.
async fn gone(pid: u32) -> bool {
    for _ in 0..500 {
        let alive = Process::new(pid as i32).and_then(|process| process.stat()).is_ok_and(|stat| stat.state != 'Z');
        if !alive {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn it_returns_what_was_written_and_how_it_ended() {
    let ended = shell("echo out; echo first >&2; echo second >&2; exit 3").run(LONG).await.unwrap();
    assert_eq!((ended.stdout.as_slice(), ended.status.code()), (&b"out\n"[..], Some(3)));
    assert_eq!(ended.complaint(), "first");
}

#[tokio::test]
async fn it_has_no_input_and_no_environment_but_the_search_path() {
    let ended = shell("cat; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=").run(LONG).await.unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), format!("PATH={SEARCH_PATH}\n"));
}

#[tokio::test]
async fn a_missing_and_a_forbidden_program_are_told_apart() {
    let missing = Program::new("peermark-no-such-program").run(LONG).await;
    assert!(matches!(missing, Err(ChildError::Missing { .. })), "{missing:?}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    let forbidden = Program::new(&file).run(LONG).await;
    assert!(matches!(forbidden, Err(ChildError::NotPermitted { .. })), "{forbidden:?}");
}

#[tokio::test]
async fn output_without_end_is_refused_at_the_limit() {
    let flood = shell("exec yes").max_output(100_000).run(LONG).await;
    assert!(matches!(flood, Err(ChildError::TooMuchOutput { limit: 100_000, .. })), "{flood:?}");
    // What a program complains is not what it answers: it is cut, and the program lives on.
    let noisy = shell("head -c 10000000 /dev/zero >&2; echo done").run(LONG).await.unwrap();
    assert_eq!((noisy.stdout.as_slice(), noisy.stderr.len()), (&b"done\n"[..], MAX_STDERR_BYTES));
}

#[tokio::test]
async fn the_whole_group_dies_at_the_deadline_and_when_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let run = shell(&script).run(Duration::from_millis(1500)).await;
    assert!(matches!(run, Err(ChildError::Timeout { .. })), "{run:?}");
    assert!(gone(pid_in(&file).await).await);

    std::fs::remove_file(&file).unwrap();
    let child = shell(&script).start().unwrap();
    let grandchild = pid_in(&file).await;
    drop(child);
    assert!(gone(grandchild).await);
}

async fn pid_in(file: &Path) -> u32 {
    for _ in 0..1000 {
        if let Ok(text) = std::fs::read_to_string(file) {
            return text.trim().parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no process id in {}", file.display());
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_open_holds_up_nobody() {
    let ended = shell("sleep 600 & echo parent").run(LONG).await.unwrap();
    assert_eq!(ended.stdout, b"parent\n");
}

#[tokio::test]
async fn a_grandchild_that_complains_for_ever_holds_up_nobody() {
    let ended = shell("yes >&2 & echo parent").run(LONG).await.unwrap();
    assert_eq!(ended.stdout, b"parent\n");
}

#[tokio::test]
async fn a_server_is_waited_for_by_what_it_says() {
    let mut child = shell("echo getting up; echo listening on 7; sleep 600").start().unwrap();
    child.says("listening on", LONG).await.unwrap();
    assert!(child.id().is_some());
    let mute = child.says("never", Duration::from_millis(50)).await;
    assert!(matches!(mute, Err(ChildError::Timeout { .. })), "{mute:?}");
}

#[tokio::test]
async fn cpu_time_of_a_busy_child_is_known() {
    let ended = shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").run(LONG).await.unwrap();
    assert!(ended.cpu.is_some_and(|cpu| cpu >= Duration::from_millis(20)), "{ended:?}");
}
