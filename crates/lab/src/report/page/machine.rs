//! The machine: what it could do before and after, how busy it was, what it is, and how to run the same thing again.

use crate::report::wording;
use crate::result::RunResult;
use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;

use peermark_page::table::{Column, facts, number, table};

const CALIBRATION: [Column; 4] = [("Calibration", false), ("Before", true), ("After", true), ("Change", true)];

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    super::part(page, "machine", |page| {
        facts(page, &host(run));
        calibration(page, run);
        facts(page, &environment(run));
    });
    super::part(page, "reproduce", |page| {
        page.nest("pre", &[], |page| page.element("code", &[], &wording::reproduce(run)));
        page.element(
            "p",
            &[],
            "The seed decides topology, schedule and payloads; what the machine does with them it does not decide. Figures of two \
             runs compare only where the fingerprints of scenario and environment are equal.",
        );
        facts(
            page,
            &[
                ("Seed", run.seed.to_string()),
                ("Scenario", run.scenario.clone()),
                ("Scenario fingerprint", run.scenario_fingerprint.clone()),
                ("Environment fingerprint", run.environment.fingerprint()),
                ("Run", run.run_id.clone()),
                ("Schema", run.schema.clone()),
            ],
        );
    });
}

fn host(run: &RunResult) -> Vec<(&'static str, String)> {
    let host = &run.host;
    vec![
        ("Host busy", wording::during_load(run, format::percent(host.busy))),
        ("Steal", wording::during_load(run, format::percent(host.steal))),
        (
            "CPU of the generator",
            wording::during_load(run, format!("{} s", format::significant(host.generator_cpu_seconds))),
        ),
        ("Throttled", host.throttled.map_or_else(|| ABSENT.to_owned(), |n| format::counted(n, "time"))),
        ("Calibration drift", format::percent(run.calibration.drift(&run.calibration_after))),
    ]
}

fn calibration(page: &mut Markup, run: &RunResult) {
    let (before, after) = (&run.calibration, &run.calibration_after);
    let time = |ns: u64| format::duration(ns).to_string();
    let speed = |rate: u64| format::bytes_per_second(rate as f64);
    type Show<'a> = &'a dyn Fn(u64) -> String;
    let rows: [(&str, u64, u64, Show<'_>); 3] = [
        ("Append of 4 KiB with fdatasync, median", before.fdatasync.p50_ns, after.fdatasync.p50_ns, &time),
        ("SHA-256 on one thread", before.hash.bytes_per_second, after.hash.bytes_per_second, &speed),
        (
            "One plain TCP stream over loopback",
            before.plain_tcp.bytes_per_second,
            after.plain_tcp.bytes_per_second,
            &speed,
        ),
    ];
    table(page, "calibration", "What the machine could do before and after the run", &CALIBRATION, |page| {
        page.nest("tbody", &[], |page| {
            for (name, before, after, show) in rows {
                page.nest("tr", &[], |page| {
                    page.element("th", &[("scope", "row")], name);
                    number(page, &show(before), &[]);
                    number(page, &show(after), &[]);
                    number(page, &change(before, after), &[]);
                });
            }
        });
    });
}

/// Change with its sign, relative to the larger of both: the same measure as the drift.
fn change(before: u64, after: u64) -> String {
    if before.max(after) == 0 {
        return ABSENT.to_owned();
    }
    let relative = (after as f64 - before as f64) / before.max(after) as f64;
    let sign = if relative > 0.0 { "+" } else { "" };
    format!("{sign}{}", format::percent(relative))
}

fn environment(run: &RunResult) -> Vec<(&'static str, String)> {
    let environment = &run.environment;
    vec![
        ("CPU", environment.cpu.clone()),
        ("Cores", format::count(environment.cores.into())),
        ("Memory", format::bytes(environment.memory_bytes).to_string()),
        ("Kernel", environment.kernel.clone()),
        ("Governor", environment.governor.clone().unwrap_or_else(|| ABSENT.to_owned())),
        ("peermark", environment.version.clone()),
        ("Commit", environment.commit.clone()),
        ("Build", environment.build.clone()),
    ]
}
