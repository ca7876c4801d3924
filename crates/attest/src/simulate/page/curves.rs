//! One small chart per attack: what a growing share of liars gains for friends, with the robust estimate and with the median.

use peermark_page::chart;
use peermark_page::markup::Markup;

use crate::simulate::document::{AdversaryReport, Estimator, Part, RowLine, World};
use crate::simulate::words;

use super::chart::{Line, lines};

/// Estimators that are drawn; the place is the number of the colour.
const DRAWN: [Estimator; 2] = [Estimator::Robust, Estimator::Median];
/// Deviation that the gates allow, either way.
const ALLOWED: f64 = 0.03;

pub(super) fn write(page: &mut Markup, report: &AdversaryReport) {
    let rows: Vec<&RowLine> =
        report.rows.iter().filter(|row| row.part == Part::Shares && row.world == World::W1).collect();
    let mut attacks: Vec<&str> = rows.iter().map(|row| row.attack.as_str()).collect();
    attacks.dedup();
    if attacks.is_empty() {
        return page.element("p", &[], "Shares of liars were not asked for.");
    }
    page.element(
        "p",
        &[("class", "lead")],
        "Deviation of the estimate of those whom the liars are about, friends or, where there are none, victims, in W1. The dashed \
         lines are what the gates allow.",
    );
    page.nest("ul", &[("class", "key")], |page| {
        for (slot, estimator) in DRAWN.into_iter().enumerate() {
            page.element("li", &[("class", &format!("s{slot}"))], words::estimator(estimator));
        }
    });
    page.nest("div", &[("class", "many")], |page| {
        for (index, attack) in attacks.into_iter().enumerate() {
            let drawn: Vec<Line> =
                DRAWN.into_iter().enumerate().map(|(slot, e)| line(&rows, attack, e, slot)).collect();
            page.nest("figure", &[], |page| {
                page.element("figcaption", &[], attack);
                let title = format!("{attack}: deviation by share of liars");
                chart::figure(page, &format!("share{index}"), "", &title, &spoken(&drawn), lines(&drawn, ALLOWED));
            });
        }
    });
}

fn line(rows: &[&RowLine], attack: &str, estimator: Estimator, slot: usize) -> Line {
    let of_attack = rows.iter().filter(|row| row.attack == attack && row.estimator == estimator);
    let target = |row: &RowLine| row.figures.friend_bias.or(row.figures.victim_bias);
    let points = of_attack.filter_map(|row| Some((row.liar_share, target(row)?))).collect();
    Line { name: words::estimator(estimator), points, slot }
}

fn spoken(drawn: &[Line]) -> String {
    let sentence = |line: &Line| {
        let ends = [line.points.iter().rfind(|point| point.0 <= 0.34), line.points.last()];
        let ends = ends
            .into_iter()
            .flatten()
            .map(|(share, bias)| format!("{} at {} of liars", words::signed(Some(*bias)), words::share(Some(*share))));
        format!("{}: {}.", line.name, ends.collect::<Vec<_>>().join(", "))
    };
    drawn.iter().map(sentence).collect::<Vec<_>>().join(" ")
}
