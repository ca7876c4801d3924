//! What the words on the page mean.

use peermark_page::document;
use peermark_page::markup::Markup;

const TERMS: [(&str, &str); 10] = [
    (
        "Latency",
        "From the moment at which the schedule wanted the operation to start until it was complete and verified: what a user who \
         arrives on time would see. Waiting before the operation could start counts.",
    ),
    (
        "Service",
        "From the moment at which the operation really started until it ended. Latency minus service is waiting.",
    ),
    (
        "Slip",
        "From the intended to the real start: how late the load generator itself was. Where slip explains more than a fifth of a \
         percentile, the percentile is withheld.",
    ),
    (
        "[low, high]",
        "The 95 % interval of the percentile, from the samples of this run. Another run can fall outside of it, because runs differ \
         more than the operations within one.",
    ),
    ("n", "How many values stand behind a figure, failures included."),
    ("n/a", "There is no number: too few values support it, or it could not be observed. The reason stands beside it."),
    (
        "≥, censored",
        "Failed operations count as values at or above their deadline. A percentile that falls among them is at least the deadline; \
         how much more cannot be known.",
    ),
    (
        "Open and closed loop",
        "In an open loop operations arrive on a schedule, whether or not earlier ones have ended. In a closed loop the next starts \
         when one ends, so a slow network is asked less and its queueing stays hidden.",
    ),
    ("Knee", "The highest rate that the network kept up with, where the scenario searched for it."),
    (
        "VALID, SUSPECT",
        "Whether something else than the nodes decided a figure: a host over 85 % busy (CPU-bound), time taken by the hypervisor \
         (steal), throttling, slip, too few samples. It does not say whether the network is good; thresholds say that.",
    ),
];

pub(super) fn write(page: &mut Markup) {
    super::part(page, "reading", |page| {
        document::terms(page, &TERMS);
    });
}
