//! What the words on the page mean.

use peermark_page::document;
use peermark_page::markup::Markup;

const TERMS: [(&str, &str); 9] = [
    (
        "Publish, lookup",
        "Publish: until the call that publishes a provider record returned (what that waits for depends on the fleet's variant). Lookup: \
         until the first provider record arrived. No content is fetched.",
    ),
    ("n", "Rows behind a figure, failures included."),
    (
        "≥, failed",
        "A failed row counts as a value at or above the deadline and is never dropped. A percentile that falls among failures is at \
         least the deadline; how much more cannot be known.",
    ),
    (
        "[low, high]",
        "The 95 % interval. Those of percentiles and of the share of failures (Wilson) are widened as far as slices of time \
         move together; where there are too few slices, the share's takes rows as independent and says so.",
    ),
    ("n/a", "There is no number: too few rows support it. The reason stands beside it."),
    (
        "Composite",
        "All regions together, weighted by their rows. It describes the set of measuring nodes; nobody is a user of all regions at \
         once, so it is no percentile of any user.",
    ),
    (
        "Against before",
        "The ratio of the percentile to that of the period of equal length before, with its 95 % interval (MOVER, from the \
         intervals of both). Better or worse is said only for a change of at least 5 % whose interval excludes no change at an error \
         of one in twenty over all changes of this page together.",
    ),
    (
        "Multiple of the floor",
        "An operation's time divided by the sum of the round-trip times to the peers that its end had to wait for: 1 would be a lookup \
         that loses no time but that of the wire.",
    ),
    (
        "Box",
        "The quartiles, with the median as a line; whiskers reach from the 5th to the 95th percentile. A cross stands where a whisker \
         ends among failures.",
    ),
];

pub(super) fn write(page: &mut Markup) {
    document::terms(page, &TERMS);
}
