//! Configuration: flag, then environment `PEERMARK_SECTION_KEY`, then TOML file, then default.

use std::path::Path;

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ExpectedError;

/// File that is read when it is there and no other is named.
const DEFAULT_FILE: &str = "peermark.toml";

/// The resolved section `name`. `flags` holds what was given on the command line; what was not is left out of its serialisation.
///
/// # Errors
/// [`ExpectedError::Configuration`] with the origin of the value that cannot be used and, for an unknown key, the nearest name.
pub(crate) fn section<T>(name: &str, flags: &impl Serialize, file: Option<&Path>) -> Result<T, ExpectedError>
where
    T: DeserializeOwned + Serialize + Default,
{
    figment(name, &T::default(), flags, file)?.extract_inner(name).map_err(|error| explain(&error))
}

fn figment(
    name: &str,
    default: &impl Serialize,
    flags: &impl Serialize,
    file: Option<&Path>,
) -> Result<Figment, ExpectedError> {
    if let Some(path) = file
        && let Err(source) = std::fs::metadata(path)
    {
        return Err(ExpectedError::Read { path: path.to_owned(), source });
    }
    let default_file = Path::new(DEFAULT_FILE);
    let file = file.or_else(|| default_file.exists().then_some(default_file));
    let prefix = format!("PEERMARK_{}_", name.to_uppercase());
    let section = name.to_owned();
    let env = Env::prefixed(&prefix).map(move |key| format!("{section}.{}", key.as_str().to_lowercase()).into());
    let mut figment = Figment::from(Serialized::default(name, default));
    if let Some(path) = file {
        figment = figment.merge(Toml::file_exact(path));
    }
    Ok(figment.merge(env).merge(Serialized::default(name, flags)))
}

fn explain(error: &figment::Error) -> ExpectedError {
    let origin = error.metadata.as_ref().map(|metadata| {
        let source = metadata.source.as_ref().map_or_else(String::new, |source| format!(" {source}"));
        format!(" (from {}{source})", metadata.name)
    });
    let origin = origin.unwrap_or_default();
    let path = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path.join(".")) };
    let text = match &error.kind {
        Kind::UnknownField(field, known) => {
            let nearest = known.iter().max_by(|a, b| strsim::jaro(a, field).total_cmp(&strsim::jaro(b, field)));
            let hint = nearest.map_or_else(String::new, |name| format!(", did you mean {name:?}?"));
            format!("{path}unknown key {field:?}{hint}{origin}")
        }
        kind => format!("{path}{kind}{origin}"),
    };
    ExpectedError::Configuration(text)
}
