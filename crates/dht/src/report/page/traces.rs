//! What the traces say: where answers came from, where the time went, when a provide was done.

use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;
use peermark_page::table::{Column, number, table, words as cell};
use peermark_page::wording;

use crate::report::document::{Anatomy, DhtReport, Moments};

use super::tables::figure;
use super::words;

const HITS: [Column; 7] = [
    ("Fleet", false),
    ("Operation", false),
    ("Answer", false),
    ("n", true),
    ("Share", true),
    ("p50 until known", true),
    ("p90", true),
];

const ANATOMY: [Column; 9] = [
    ("Fleet", false),
    ("Operation", false),
    ("RPCs each", true),
    ("Wasted", true),
    ("Dial", true),
    ("Handshake", true),
    ("Question", true),
    ("Rest", true),
    ("Multiple of the floor", true),
];

const MOMENTS: [Column; 7] = [
    ("Fleet", false),
    ("Returned p50", true),
    ("p90", true),
    ("Last confirmed p50", true),
    ("p90", true),
    ("Visible everywhere p50", true),
    ("p90", true),
];

pub(super) fn hits(page: &mut Markup, report: &DhtReport) {
    if report.hits.is_empty() {
        return page.element("p", &[], "There are no traces of the period.");
    }
    table(page, "answers", "Local hits, remote hits, misses and failures", &HITS, |page| {
        page.nest("tbody", &[], |page| {
            for hit in &report.hits {
                page.nest("tr", &[], |page| {
                    page.element("th", &[("scope", "row")], &hit.fleet);
                    cell(page, words::operations(&hit.operation), &[]);
                    cell(page, meaning(&hit.operation, &hit.hit), &[]);
                    number(page, &format::count(hit.n), &[]);
                    number(page, &format::percent(hit.share), &[]);
                    figure(page, hit.p50);
                    figure(page, hit.p90);
                });
            }
        });
    });
}

fn meaning(operation: &str, hit: &str) -> &'static str {
    match (operation, hit) {
        (_, "local") => "local hit: the node had it itself",
        ("provide", "remote") => "stored at peers",
        (_, "remote") => "remote hit",
        (_, "miss") => "miss: nobody who mattered knew",
        _ => "failed before that could be said",
    }
}

pub(super) fn anatomy(page: &mut Markup, report: &DhtReport) {
    if report.anatomy.is_empty() {
        return page.element("p", &[], "There are no traces of the period.");
    }
    page.element(
        "p",
        &[("class", "lead")],
        "Of operations that asked the network. Shares are of their time, along the RPCs that the end had to wait for; the rest is queues, \
         scheduling and decoding. Wasted: the result would have been the same without the RPC.",
    );
    table(page, "parts", "RPCs and time of operations", &ANATOMY, |page| {
        page.nest("tbody", &[], |page| {
            report.anatomy.iter().for_each(|row| page.nest("tr", &[], |page| parts(page, row)));
        });
    });
    if !report.moments.is_empty() {
        table(page, "moments", "Three moments of a provide", &MOMENTS, |page| {
            page.nest("tbody", &[], |page| {
                report.moments.iter().for_each(|row| page.nest("tr", &[], |page| moments(page, row)));
            });
        });
        page.element(
            "p",
            &[("class", "lead")],
            "Returned: the call ended. Last confirmed: the last record that was confirmed was seen at its peer. Visible everywhere: a \
             lookup of the record succeeded from every other region that looks for records; an upper bound, since lookups begin after the \
             provide, and by the wall clocks of the hosts.",
        );
    }
}

fn parts(page: &mut Markup, row: &Anatomy) {
    page.element("th", &[("scope", "row")], &row.fleet);
    let n = format!("n {}", format::count(row.n));
    cell(page, words::operations(&row.operation), &[&n]);
    let count = |value: Option<u64>| value.map_or_else(|| ABSENT.to_owned(), format::count);
    let tail = format!("p90 {}", count(row.rpcs_p90));
    let failed = wording::tally(&row.failed_rpcs);
    let failed = if failed.is_empty() { failed } else { format!("failed: {failed}") };
    number(page, &count(row.rpcs_p50), &[&tail, &failed]);
    for share in [row.wasted_share, row.dial_share, row.handshake_share, row.question_share, row.rest_share] {
        number(page, &words::share(share), &[]);
    }
    let times = |value: Option<f64>| {
        value.map_or_else(|| ABSENT.to_owned(), |value| format!("{} ×", format::significant(value)))
    };
    let tail = format!("p90 {}", times(row.floor_p90));
    let n = format!("n {}", format::count(row.floor_n));
    number(page, &times(row.floor_p50), &[&tail, &n]);
}

fn moments(page: &mut Markup, row: &Moments) {
    page.nest("th", &[("scope", "row")], |page| {
        page.text(&row.fleet);
        page.element("small", &[], &format!("n {}", format::count(row.n)));
    });
    figure(page, row.returned_p50);
    figure(page, row.returned_p90);
    let peers = row.stored_peers_p50.map_or_else(String::new, |peers| format!("at {}", format::counted(peers, "peer")));
    observed(page, row.stored_p50, row.stored_n, &peers);
    figure(page, row.stored_p90);
    observed(page, row.visible_p50, row.visible_n, "");
    figure(page, row.visible_p90);
}

fn observed(page: &mut Markup, percentile: Option<crate::report::document::Percentile>, n: u64, more: &str) {
    let figure = words::percentile(percentile);
    let n = format!("n {}", format::count(n));
    number(page, &figure.value, &[&figure.interval.unwrap_or_default(), &n, more]);
}
