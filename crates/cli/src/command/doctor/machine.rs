//! `peermark doctor` without more: this machine and, where one is named, the node on it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use peermark_node::client::{ClientError, Endpoint};
use peermark_probe::doctor::machine::{Check, CheckStanding, ask_node, collect, fixes, judge};
use serde_json::json;

use crate::command::service::read_token;
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

/// Longest time for everything together.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct MachineArgs {
    /// Also look at the storage node whose API is here
    #[arg(long, value_name = "URL")]
    node_api: Option<String>,
    /// File with the token that the node wants
    #[arg(long, value_name = "FILE", requires = "node_api")]
    token_file: Option<PathBuf>,
    /// Directory on the disk that is looked at: the node's data
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
}

/// Looks, prints, and says whether nothing has to be mended.
///
/// # Errors
/// [`ExpectedError`] where the directory is not there or nothing can be printed.
pub(super) fn run(args: &MachineArgs, format: Format) -> Result<bool, ExpectedError> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    if let (Some(url), Some(_)) = (&args.node_api, &token) {
        keeps_secrets(url)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExpectedError::System)?;
    let looked = runtime.block_on(async {
        tokio::time::timeout(LONGEST, async {
            let data = args.data.clone();
            // A file system that hangs holds up a thread of its own, not the time that there is for everything.
            let directory = tokio::task::spawn_blocking(move || data.canonicalize());
            let directory = directory.await.map_err(std::io::Error::other).flatten()?;
            let node = async {
                match &args.node_api {
                    Some(url) => Some(ask_node(url, token.as_deref()).await),
                    None => None,
                }
            };
            let (mut facts, node) = tokio::join!(collect(&directory), node);
            facts.node = node;
            Ok(facts)
        })
        .await
    });
    runtime.shutdown_background();
    let facts = looked.map_err(|_elapsed| ExpectedError::Unavailable("the checks did not end within 30 s".into()))?;
    let facts = facts.map_err(|source: std::io::Error| ExpectedError::Read { path: args.data.clone(), source })?;
    let checks = judge(&facts);
    let text = match format {
        Format::Json => document(&checks),
        Format::Text => lines(&checks),
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(fixes(&checks).is_empty())
}

/// A token is for nobody on the way.
fn keeps_secrets(url: &str) -> Result<(), ExpectedError> {
    let endpoint: Endpoint =
        url.parse().map_err(|error: ClientError| ExpectedError::Configuration(error.to_string()))?;
    if endpoint.is_encrypted() || endpoint.is_loopback() {
        return Ok(());
    }
    let host = endpoint.host();
    Err(ExpectedError::Configuration(format!("the token for {host} would travel unencrypted: use https://")))
}

fn document(checks: &[Check]) -> String {
    let listed: Vec<_> = checks
        .iter()
        .map(|check| json!({ "name": check.name, "found": check.found, "standing": word(&check.standing) }))
        .collect();
    let fixes: Vec<_> = fixes(checks)
        .iter()
        .map(|(check, fix)| json!({ "check": check.name, "why": fix.why, "command": fix.command, "severity": fix.severity }))
        .collect();
    let ok = fixes.is_empty();
    json!({ "schema": "peermark.doctor/1", "check": "machine", "checks": listed, "fixes": fixes, "ok": ok }).to_string()
}

fn lines(checks: &[Check]) -> String {
    let mut lines: Vec<String> =
        checks.iter().map(|check| format!("{:<8} {:<20} {}", word(&check.standing), check.name, check.found)).collect();
    let fixes = fixes(checks);
    if fixes.is_empty() {
        lines.push("\nnothing to mend".to_owned());
    }
    for (number, (check, fix)) in fixes.iter().enumerate() {
        lines.push(format!("\n{}. {}: {}\n   {}", number + 1, check.name, fix.why, fix.command));
    }
    printable_lines(&lines)
}

/// A node's words may hold anything; each line stays one.
fn printable_lines(lines: &[String]) -> String {
    let whole = lines.join("\n");
    whole.split('\n').map(peermark_page::wording::printable).collect::<Vec<_>>().join("\n")
}

fn word(standing: &CheckStanding) -> &'static str {
    match standing {
        CheckStanding::Good => "good",
        CheckStanding::Unknown => "unknown",
        CheckStanding::Bad(_) => "bad",
    }
}
