//! Alert rules for those who have a Prometheus, about what every monitor exports.

/// The rules as a Prometheus rule file. Metrics: `peermark_monitor_task_success{task}`, `peermark_monitor_task_stale`,
/// `peermark_monitor_task_duration_seconds`, `peermark_monitor_task_value`, `peermark_monitor_task_findings`. Each rule waits for as
/// long as its `for` says before it fires, which is what keeps a single bad run from waking anybody.
pub fn prometheus_rules() -> String {
    RULES.to_owned()
}

/// `absent` is no rule here: it needs the name of a target, which the operator's scrape configuration knows. `up == 0` is the rule
/// for silence.
const RULES: &str = r#"groups:
  - name: peermark-monitor
    rules:
      - alert: PeermarkTaskFailed
        expr: peermark_monitor_task_success == 0
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.task }} fails on {{ $labels.instance }}"
          description: "Ask why and what to do: peermark monitor tasks --api {{ $labels.instance }}"
      - alert: PeermarkTaskFindings
        expr: peermark_monitor_task_findings > 0
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.task }} found {{ $value }} faults on {{ $labels.instance }}"
          description: "Ask what to do: peermark monitor tasks --api {{ $labels.instance }}"
      - alert: PeermarkTaskStale
        # The monitor knows each task's schedule, and so how old a success may be.
        expr: peermark_monitor_task_stale == 1
        for: 30m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.task }} on {{ $labels.instance }} should have had a newer success by now"
          description: "Ask why: peermark monitor history {{ $labels.task }} --since 1d --api {{ $labels.instance }}"
      - alert: PeermarkTaskSlow
        expr: peermark_monitor_task_duration_seconds > 3 * avg_over_time(peermark_monitor_task_duration_seconds[7d]) and peermark_monitor_task_duration_seconds > 10
        for: 1h
        labels:
          severity: info
        annotations:
          summary: "{{ $labels.task }} takes three times as long as usual on {{ $labels.instance }}"
          description: "See whether the machine is overloaded: peermark doctor"
      - alert: PeermarkClockOff
        expr: abs(peermark_monitor_task_value{task="clock"}) > 500e6
        for: 30m
        labels:
          severity: warning
        annotations:
          summary: "the clock of {{ $labels.instance }} is off by {{ $value }} ns"
          description: "Let a time service set it: timedatectl set-ntp true"
      - alert: PeermarkMonitorSilent
        expr: up{job=~"peermark.*"} == 0
        for: 5m
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.instance }} has not answered for five minutes"
          description: "See whether it runs: systemctl status peermark-monitor"
"#;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn staleness_is_what_the_monitor_says() {
        // No age is right for every task: a task of one's own may run once a month.
        assert!(prometheus_rules().contains("expr: peermark_monitor_task_stale == 1\n"));
        assert!(!prometheus_rules().contains("age_seconds"));
    }

    #[test]
    fn prometheus_takes_the_rules() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.yml");
        std::fs::write(&file, prometheus_rules()).unwrap();
        let checked = Command::new("promtool")
            .args(["check", "rules"])
            .arg(&file)
            .output()
            .expect("promtool runs: apt-get install --yes --no-install-recommends prometheus");
        let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.contains("6 rules found"), "{said}");
    }
}
