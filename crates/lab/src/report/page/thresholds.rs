//! The limits that the run had to keep, each with its value and how far it was away.

use crate::report::wording;
use crate::result::RunResult;
use peermark_page::markup::Markup;

use peermark_page::table::{Column, number, table, words};

const COLUMNS: [Column; 5] =
    [("Threshold", false), ("Kept", false), ("Limit", true), ("Measured", true), ("Distance", false)];

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    super::part(page, "thresholds", |page| {
        if run.thresholds.is_empty() {
            page.element("p", &[], "The scenario sets no thresholds.");
            return;
        }
        table(page, "limits", "Limits that the run had to keep", &COLUMNS, |page| {
            page.nest("tbody", &[], |page| {
                for threshold in &run.thresholds {
                    page.nest("tr", &[], |page| {
                        page.nest("th", &[("scope", "row")], |page| page.element("code", &[], &threshold.name));
                        let (class, text) =
                            if threshold.ok { ("mark good", "✓ kept") } else { ("mark bad", "✗ missed") };
                        page.nest("td", &[], |page| page.element("span", &[("class", class)], text));
                        number(page, &wording::threshold_number(&threshold.name, Some(threshold.limit)), &[]);
                        number(page, &wording::threshold_number(&threshold.name, threshold.value), &[]);
                        words(page, &wording::threshold_distance(threshold), &[]);
                    });
                }
            });
        });
    });
}
