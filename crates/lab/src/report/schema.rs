//! The JSON Schema of a run, from the type itself.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::result::{RunResult, SCHEMA};

pub(crate) fn run() -> Value {
    of::<RunResult>(SCHEMA)
}

/// The schema of a document that carries its name in `schema`.
pub(crate) fn of<T: JsonSchema>(name: &str) -> Value {
    // As written: every field is always there, `null` where there is no number.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".into(), json!(name));
    if let Some(field) = schema.pointer_mut("/properties/schema").and_then(Value::as_object_mut) {
        field.insert("const".into(), json!(name));
    }
    schema.to_value()
}
