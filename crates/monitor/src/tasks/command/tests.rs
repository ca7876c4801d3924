use super::*;
use crate::tasks::testing;

fn command(script: &str, more: &str) -> Command {
    let text = format!("name = \"own\"\nrun = [\"sh\", \"-c\", '''{script}''']\ntimeout_s = 20\n{more}");
    Command::new(toml::from_str(&text).unwrap()).unwrap()
}

async fn fails(task: Command) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut context = testing::context(directory.path());
    context.deadline_ns = context.clock.now_ns() + task.about().timeout.as_nanos() as u64;
    match task.run(context).await {
        Err(Stop::Failed(finding)) => {
            assert!(task.about().failures.contains(finding.failure));
            format!("{} {}", finding.failure.code, finding.detail)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_figure_is_where_the_pointer_points() {
    let directory = tempfile::tempdir().unwrap();
    let value = async |script: &str, pointer: &str| {
        let task = command(script, &format!("value = \"{pointer}\""));
        let report = task.run(testing::context(directory.path())).await.unwrap();
        testing::check(&task, &report);
        report.value
    };
    assert_eq!(value(r#"echo '{"disks":[{"bad":-3}]}'"#, "/disks/0/bad").await, -3);
    assert_eq!(value("echo noise >&2; echo 2.5e3", "").await, 2500);
    assert_eq!(value(r#"echo '{"a/b":true}'"#, "/a~1b").await, 1);
}

#[tokio::test]
async fn whatever_the_program_does_ends_as_the_right_failure() {
    assert!(fails(command("echo not json", "")).await.starts_with("not_json"), "text");
    assert!(fails(command("true", "")).await.starts_with("not_json"), "nothing");
    assert!(fails(command("echo '1 2'", "")).await.starts_with("not_json"), "two documents");
    assert!(fails(command("head -c 100000000 /dev/zero", "")).await.starts_with("too_much_output"), "100 MB");
    assert!(
        fails(command("printf '\"'; head -c 60000 /dev/zero | tr '\\0' a; printf '\"'", ""))
            .await
            .starts_with("too_much")
    );
    assert_eq!(fails(command("echo why >&2; echo 1; exit 7", "")).await, "exit_code exit status: 7: why");
    assert!(fails(command("kill -9 $$", "")).await.starts_with("exit_code signal: 9"));
    assert!(fails(command("echo '{\"a\":\"b\"}'", "value = \"/a\"")).await.starts_with("no_value"));
    assert!(fails(command("echo '[[[[[[[[[[' ", "")).await.starts_with("not_json"));
}

#[tokio::test]
async fn a_hanging_and_a_missing_program_are_failures_too() {
    let text = "name = \"own\"\nrun = [\"sleep\", \"600\"]\ntimeout_s = 1";
    assert!(fails(Command::new(toml::from_str(text).unwrap()).unwrap()).await.starts_with("hung"));
    let text = "name = \"own\"\nrun = [\"peermark-no-such-program\"]";
    assert!(fails(Command::new(toml::from_str(text).unwrap()).unwrap()).await.starts_with("program_missing"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("name = \"own\"\nrun = [{:?}]", file.path());
    assert!(fails(Command::new(toml::from_str(&text).unwrap()).unwrap()).await.starts_with("not_permitted"));
}

#[test]
fn a_section_that_cannot_be_meant_is_refused() {
    for (text, key) in [
        ("name = \"Own Test\"\nrun = [\"x\"]", "name"),
        ("name = \"\"\nrun = [\"x\"]", "name"),
        ("name = \"own\"\nrun = []", "run"),
        ("name = \"own\"\nrun = [\"x\"]\ntimeout_s = 0", "timeout_s"),
        ("name = \"own\"\nrun = [\"x\"]\nvalue = \"degraded\"", "value"),
    ] {
        let error = Command::new(toml::from_str(text).unwrap()).unwrap_err();
        assert!(error.key.ends_with(key), "{error}");
    }
    assert!(toml::from_str::<CommandConfig>("name = \"own\"\nrun = [\"x\"]\nshell = true").is_err());
}
