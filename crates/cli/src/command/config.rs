//! `peermark config print`.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peermark_dht::server::ServerConfig;
use peermark_ledger::config::LedgerConfig;
use peermark_monitor::MonitorConfig;
use peermark_node::NodeConfig;
use serde_json::{Value, json};

use crate::command::up::Format;
use crate::config::{Resolved, resolved, toml_name};
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    command: ConfigSubcommand,
}

#[derive(Debug, Subcommand)]
enum ConfigSubcommand {
    /// Every value that a command would use without flags, and where it comes from
    Print {
        /// TOML with the origins as comments, or one JSON document
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
}

/// Runs `peermark config ...`.
///
/// # Errors
/// [`ExpectedError::Configuration`] for a value that cannot be used, as the command that it is for would.
pub(crate) fn run(command: &ConfigCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let ConfigSubcommand::Print { format } = command.command;
    let sections = [
        ("node", resolved::<NodeConfig>("node", file)?),
        ("monitor", resolved::<MonitorConfig>("monitor", file)?),
        ("dht_server", resolved::<ServerConfig>("dht_server", file)?),
        ("ledger", resolved::<LedgerConfig>("ledger", file)?),
    ];
    let text = match format {
        Format::Json => {
            let values: Vec<_> = sections
                .iter()
                .flat_map(|(section, values)| values.iter().map(move |value| (section, value)))
                .map(|(section, Resolved { key, value, origin, .. })| {
                    json!({ "section": section, "key": key, "value": value, "origin": origin })
                })
                .collect();
            json!({ "schema": "peermark.config/1", "values": values }).to_string()
        }
        Format::Text => sections.iter().map(|(name, values)| in_toml(name, values)).collect::<Vec<_>>().join("\n\n"),
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn in_toml(name: &str, values: &[Resolved]) -> String {
    let lines: Vec<(String, &str)> = values.iter().map(|value| (line(value), value.origin.as_str())).collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
    let lines = lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}"));
    std::iter::once(format!("[{name}]")).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What is not set has no line of TOML but a comment.
fn line(Resolved { toml_key, value, .. }: &Resolved) -> String {
    if value.is_null() { format!("# {toml_key} is not set") } else { format!("{toml_key} = {}", toml_value(value)) }
}

/// A value on one line. Strings of JSON are strings of TOML, except for one character.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let set = members.iter().filter(|(_, value)| !value.is_null());
            let set: Vec<_> = set.map(|(name, value)| format!("{} = {}", toml_name(name), toml_value(value))).collect();
            if set.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", set.join(", ")) }
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        value => value.to_string().replace('\u{7f}', "\\u007f"),
    }
}
