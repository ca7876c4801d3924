//! What a report says, against the rows that it was made of.

#[path = "report/fixture.rs"]
mod fixture;
#[path = "report/page.rs"]
mod page;
#[path = "report/rows.rs"]
mod rows;
#[path = "report/traces.rs"]
mod traces;
