//! What the tasks of this module do without being told to.

use peermark_monitor::config::MonitorConfig;
use peermark_monitor::tasks::all;

#[test]
fn nothing_off_this_machine_is_a_default_target() {
    let tasks = all(&MonitorConfig::default()).unwrap();
    for name in ["iperf", "public-ip-validation", "reachability", "latency"] {
        let task = tasks.iter().find(|task| task.about().name == name).unwrap();
        let why = task.configured().unwrap_err();
        assert!(why.contains(&format!("set monitor.{}.", name.replace('-', "_"))), "{why}");
    }
}
