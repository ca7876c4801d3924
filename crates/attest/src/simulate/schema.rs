//! The JSON Schema of the document, from the type itself.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::document::{AdversaryReport, SCHEMA};

pub(super) fn report() -> Value {
    // As written: every field is always there, `null` where there is no number.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<AdversaryReport>();
    schema.insert("title".into(), json!(SCHEMA));
    if let Some(field) = schema.pointer_mut("/properties/schema").and_then(Value::as_object_mut) {
        field.insert("const".into(), json!(SCHEMA));
    }
    schema.to_value()
}
