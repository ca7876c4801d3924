//! Measurements from elsewhere: rows of NDJSON or CSV become the reports that the judge takes, without any ledger.
//!
//! A row is one probe; `docs/formats/reports.md` describes it. Rows are given line by line, so that a file of any size is read in
//! memory that only its measurements need. A malformed row is refused with its line number, and the rest is still read. Nothing that was
//! imported is signed: whoever prints a verdict over it must say so.

mod csv;
mod row;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use row::{Row, row_schema};

use crate::case::{Evidence, MAX_MEASUREMENTS, Measurement, Values};
use crate::outcome::{OutcomeCounts, ProbeOutcome};

/// Longest line.
pub const MAX_LINE: usize = 16 * 1024;
/// Most rows.
pub const MAX_ROWS: u64 = 10_000_000;
/// Refused rows that are kept with their reasons; more are counted.
pub const MAX_REFUSED: usize = 100;
/// Rows of one attester about one hoster within so many seconds become one measurement.
pub const REPORT_S: u64 = 300;
/// The contract of rows that name none.
pub const NO_CONTRACT: &str = "-";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object on every line.
    Ndjson,
    /// Comma-separated values (RFC 4180, no line breaks within fields), the first line names the columns.
    Csv,
}

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("line {line}: {reason}")]
pub struct RowError {
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong, with the field's name where one is wrong.
    pub reason: String,
}

/// Reads rows.
#[derive(Debug)]
pub struct Importer {
    format: Format,
    columns: Option<csv::Columns>,
    line: u64,
    rows: u64,
    refused: Vec<RowError>,
    refused_count: u64,
    sums: BTreeMap<Key, Sum>,
    /// Most measurements that rows may become.
    most: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    slot: u64,
    contract: String,
    hoster: String,
    region: String,
    attester: String,
    operator: Option<String>,
    address: Option<IpAddr>,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    outcomes: OutcomeCounts,
    latency_us: Vec<u64>,
    egress_bps: Vec<u64>,
    ingress_bps: Vec<u64>,
    bytes: u64,
    /// Digests of its rows: what is there twice is one probe. They never leave this process.
    rows: BTreeSet<u64>,
}

/// Everything that was read. Whatever order the rows came in, it is the same but for the order of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What was measured, by time, contract, hoster, region and attester. Times are Unix seconds.
    pub evidence: Evidence,
    /// Rows that were taken.
    pub rows: u64,
    /// Rows that were refused, the first ones with their reasons.
    pub refused: Vec<RowError>,
    /// All rows that were refused.
    pub refused_count: u64,
}

impl Importer {
    /// Begins to read.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            columns: None,
            line: 0,
            rows: 0,
            refused: Vec::new(),
            refused_count: 0,
            sums: BTreeMap::new(),
            most: MAX_MEASUREMENTS,
        }
    }

    /// Takes the next line, without its line break. Empty lines count as lines and as nothing else.
    pub fn line(&mut self, line: &[u8]) {
        self.line = self.line.saturating_add(1);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        if let Err(reason) = self.take(line) {
            self.refused_count = self.refused_count.saturating_add(1);
            if self.refused.len() < MAX_REFUSED {
                self.refused.push(RowError { line: self.line, reason });
            }
        }
    }

    /// All that was read.
    pub fn finish(self) -> Imported {
        let measurements = self.sums.into_iter().map(|(key, sum)| Measurement {
            at_s: key.slot * REPORT_S,
            round: key.slot,
            contract: key.contract,
            hoster: key.hoster,
            attester: key.attester,
            address: key.address,
            operator: key.operator,
            region: key.region,
            outcomes: sum.outcomes,
            latency_us: Values::Exact(sum.latency_us),
            egress_bps: Values::Exact(sum.egress_bps),
            ingress_bps: Values::Exact(sum.ingress_bps),
            bytes: sum.bytes,
            proofs: 0,
            proofs_valid: 0,
        });
        Imported {
            evidence: Evidence { measurements: measurements.collect(), ..Evidence::default() },
            rows: self.rows,
            refused: self.refused,
            refused_count: self.refused_count,
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() > MAX_LINE {
            return Err(format!("longer than {MAX_LINE} bytes"));
        }
        if self.rows >= MAX_ROWS {
            return Err(format!("more than {MAX_ROWS} rows"));
        }
        let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        let row = match (self.format, &self.columns) {
            (Format::Ndjson, _) => row::from_json(text)?,
            (Format::Csv, Some(columns)) => columns.row(text)?,
            (Format::Csv, None) => {
                // A byte order mark is how some programs begin a CSV file.
                self.columns = Some(csv::Columns::of_header(text.trim_start_matches('\u{feff}'))?);
                return Ok(());
            }
        };
        row.check()?;
        self.add(row)
    }

    fn add(&mut self, row: Row) -> Result<(), String> {
        let digest = digest(&row);
        let address =
            row.address.map(|text| text.parse().map_err(|_| format!("address: {text:?} is not an IP address")));
        let key = Key {
            slot: row.at_ms / (REPORT_S * 1_000),
            contract: row.contract.unwrap_or_else(|| NO_CONTRACT.to_owned()),
            hoster: row.hoster,
            region: row.region,
            attester: row.attester,
            operator: row.operator,
            address: address.transpose()?,
        };
        if self.sums.len() >= self.most && !self.sums.contains_key(&key) {
            return Err(format!("more than {} measurements", self.most));
        }
        let sum = self.sums.entry(key).or_default();
        if !sum.rows.insert(digest) {
            return Err("the same as an earlier row: one probe counts once".to_owned());
        }
        self.rows += 1;
        sum.outcomes.add(row.outcome, 1);
        if row.outcome.is_served() {
            sum.latency_us.extend(row.latency_us);
            sum.egress_bps.extend(row.throughput_bps);
            sum.ingress_bps.extend(row.ingress_bps);
            sum.bytes = sum.bytes.saturating_add(row.bytes.unwrap_or(0));
        }
        Ok(())
    }
}

/// What tells the rows of one measurement apart: everything that is not in its key.
fn digest(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row.at_ms, row.outcome.as_str(), row.latency_us, row.throughput_bps, row.ingress_bps, row.bytes).hash(&mut hasher);
    hasher.finish()
}

/// Reads a whole text.
pub fn read(text: &[u8], format: Format) -> Imported {
    let mut importer = Importer::new(format);
    text.split(|byte| *byte == b'\n').for_each(|line| importer.line(line));
    importer.finish()
}
