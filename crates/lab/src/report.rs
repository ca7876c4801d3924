//! What a run looks like from outside: the contract of the document that it leaves behind ([`schema()`]).

mod schema;

/// The JSON Schema (draft 2020-12) of [`RunResult`](crate::result::RunResult) as it is written: the contract of `result.json`.
pub fn schema() -> serde_json::Value {
    schema::run()
}
