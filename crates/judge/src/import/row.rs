//! One row: one probe.

use peermark_core::EvidenceClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProbeOutcome;

/// Longest name.
const MAX_NAME: usize = 128;
/// Year 9999: what is later is a mistake of units.
const MAX_AT_MS: u64 = 253_402_300_800_000;
/// One hour.
const MAX_LATENCY_US: u64 = 3_600_000_000;
/// 10 Tbit/s.
const MAX_BPS: u64 = 10_000_000_000_000;

/// One probe of a hoster by an attester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// When it ended, Unix milliseconds.
    pub at_ms: u64,
    /// Who was measured: any name of 1 to 128 bytes.
    pub hoster: String,
    /// Who measured.
    pub attester: String,
    /// Who operates the attester. Makes attesters independent under the rule `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The attester's IP address. Makes attesters independent under the rule `ip-prefix`: another /24 or /48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The contract under which it was measured; what names none belongs to one contract `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The attester's region: a geohash or a name.
    pub region: String,
    /// The kind of evidence: `WORKING`, also where absent. The other kinds are refused: they are not mixed in one aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<EvidenceClass>,
    /// How it ended.
    #[schemars(with = "OutcomeName")]
    pub outcome: ProbeOutcome,
    /// Microseconds from the request to the first byte, of a probe that was served (`OK` or `SLOW`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// Bits per second from the first byte to the last, where enough came to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_bps: Option<u64>,
    /// Bits per second of an upload to the hoster under its contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_bps: Option<u64>,
    /// Verified bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Only for the schema: the names of outcomes.
#[derive(JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(dead_code, reason = "described, never built")]
enum OutcomeName {
    Ok,
    Slow,
    NoData,
    InvalidProof,
    ConnectTimeout,
    BlockTimeout,
    Refused,
    HosterPaused,
    AttesterFault,
    RegionPartition,
}

/// The JSON schema of a row.
pub fn row_schema() -> schemars::Schema {
    schemars::schema_for!(Row)
}

pub(super) fn from_json(text: &str) -> Result<Row, String> {
    serde_json::from_str(text).map_err(|error| {
        // The reader counts lines of its own; the row is one.
        let text = error.to_string();
        let end = text.rfind(" at line ").unwrap_or(text.len());
        format!("{} (column {})", &text[..end], error.column())
    })
}

impl Row {
    /// Refuses values that no probe has.
    pub(super) fn check(&self) -> Result<(), String> {
        let names = [
            ("hoster", Some(&self.hoster)),
            ("attester", Some(&self.attester)),
            ("operator", self.operator.as_ref()),
            ("contract", self.contract.as_ref()),
            ("region", Some(&self.region)),
        ];
        for (field, name) in names {
            let is_name =
                |name: &String| !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
            if name.is_some_and(|name| !is_name(name)) {
                return Err(format!("{field}: not a name of 1 to {MAX_NAME} bytes without control characters"));
            }
        }
        if self.hoster == self.attester {
            return Err(format!("attester: {} measures itself", self.attester));
        }
        let limits = [
            ("at_ms", Some(self.at_ms), MAX_AT_MS),
            ("latency_us", self.latency_us, MAX_LATENCY_US),
            ("throughput_bps", self.throughput_bps, MAX_BPS),
            ("ingress_bps", self.ingress_bps, MAX_BPS),
            ("bytes", self.bytes, u64::MAX >> 8),
        ];
        for (field, value, most) in limits {
            if let Some(value) = value.filter(|value| *value > most) {
                return Err(format!("{field}: {value} is more than {most}"));
            }
        }
        if self.class.is_some_and(|class| class != EvidenceClass::Working) {
            return Err("class: only WORKING is taken, kinds of evidence are not mixed".to_owned());
        }
        let of_served = [
            ("latency_us", self.latency_us),
            ("throughput_bps", self.throughput_bps),
            ("ingress_bps", self.ingress_bps),
            ("bytes", self.bytes.filter(|bytes| *bytes > 0)),
        ];
        if let Some((field, _)) = of_served.into_iter().find(|(_, value)| value.is_some() && !self.outcome.is_served())
        {
            return Err(format!("{field}: {} has none", self.outcome.as_str()));
        }
        if self.outcome.is_served() && self.latency_us.is_none() {
            return Err("latency_us: missing from a probe that was served".to_owned());
        }
        Ok(())
    }
}
