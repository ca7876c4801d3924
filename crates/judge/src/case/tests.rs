mod claims;
mod disputes;
mod evidence;
mod size;
mod standing;
mod verdicts;
mod world;

use super::{HosterStatement, Statement, Term, judge};
use crate::verdict::Verdict;

fn hoster<'a>(statement: &'a Statement, name: &str) -> &'a HosterStatement {
    statement.hosters.iter().find(|hoster| hoster.hoster == name).unwrap()
}

fn verdict(statement: &Statement, name: &str, term: Term) -> Verdict {
    let terms = &hoster(statement, name).placements[0].terms;
    terms.iter().find(|finding| finding.term == term).unwrap().finding.verdict
}
