//! Configuration: flag, then environment `PEERMARK_SECTION_KEY`, then TOML file, then default.

use std::path::Path;

use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Source};
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

/// A value and where it comes from.
pub(crate) struct Resolved {
    /// Path below the section, dotted.
    pub(crate) key: String,
    /// The same as a key of TOML: names that need it are quoted.
    pub(crate) toml_key: String,
    /// The value; null where it is not set.
    pub(crate) value: serde_json::Value,
    /// `default`, `environment` or `file PATH`.
    pub(crate) origin: String,
}

/// Every value of the section `name` as a command without flags would use it, by key.
///
/// # Errors
/// As [`section`].
pub(crate) fn resolved<T>(name: &str, file: Option<&Path>) -> Result<Vec<Resolved>, ExpectedError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let figment = figment(name, &T::default(), &Dict::new(), file)?;
    figment.extract_inner::<T>(name).map_err(|error| explain(&error))?;
    let found = figment.find_value(name).map_err(|error| explain(&error))?;
    let mut values = Vec::new();
    leaves(&figment, &mut Vec::new(), &found, &mut values);
    Ok(values)
}

fn leaves<'a>(figment: &Figment, names: &mut Vec<&'a str>, value: &'a Value, into: &mut Vec<Resolved>) {
    match value {
        Value::Dict(_, inside) if !inside.is_empty() => {
            for (name, value) in inside {
                names.push(name);
                leaves(figment, names, value, into);
                names.pop();
            }
        }
        value => {
            let metadata = figment.get_metadata(value.tag());
            let origin = match metadata.and_then(|metadata| metadata.source.as_ref()) {
                Some(Source::File(path)) => format!("file {}", path.display()),
                _ if metadata.is_some_and(|metadata| metadata.name.contains("environment")) => "environment".to_owned(),
                _ => "default".to_owned(),
            };
            let toml_key = names.iter().map(|name| toml_name(name)).collect::<Vec<_>>().join(".");
            let mut value = serde_json::to_value(value).unwrap_or_default();
            mask(&mut value);
            into.push(Resolved { key: names.join("."), toml_key, value, origin });
        }
    }
}

/// A name as a key of TOML: bare where it may be.
pub(crate) fn toml_name(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_bare { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

/// Passwords of URLs, wherever they are, are not for whoever looks over a shoulder.
fn mask(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            if let Some(masked) = masked(text) {
                *text = masked;
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(mask),
        serde_json::Value::Object(values) => values.values_mut().for_each(mask),
        _ => {}
    }
}

fn masked(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // What was meant as a password may hold any of these; the last `@` decides.
    let at = authority.rfind('@').or_else(|| rest.rfind('@'))?;
    let user = rest[..at].split(':').next().unwrap_or_default();
    rest[..at].contains(':').then(|| format!("{scheme}://{user}:***{}", &rest[at..]))
}

/// The file that is read where no other is named.
pub(crate) fn default_file() -> Option<&'static Path> {
    Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists())
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
    let file = file.or(default_file());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_masked() {
        for (url, shown) in [
            ("redis://:secret@127.0.0.1:6379/0", Some("redis://:***@127.0.0.1:6379/0")),
            ("rediss://user:s@ecret@a:1?x=y", Some("rediss://user:***@a:1?x=y")),
            ("redis://:sec/ret@a", Some("redis://:***@a")),
            ("redis://127.0.0.1:6379", None),
            ("https://user@a/b", None),
            ("127.0.0.1:6379", None),
        ] {
            assert_eq!(masked(url).as_deref(), shown, "{url}");
        }
    }
}
