//! What the disk says of its own health, asked with `smartctl --json` where it is installed and permitted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use peermark_core::in_words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::child::{Ended, Program};

/// Longest time that it may take; a disk in trouble may need many seconds.
const WITHIN: Duration = Duration::from_secs(30);

/// The disk's own word. Everything is `null` where it cannot be had, and `reason` says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Smart {
    /// The disk that was asked about.
    pub device: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Whether it passes its own health test.
    pub healthy: Option<bool>,
    /// Temperature, degrees Celsius.
    pub temperature_c: Option<i64>,
    /// Hours that it was on.
    pub power_on_hours: Option<u64>,
    /// Part of its life that is used up, percent; more than 100 is possible (NVMe).
    pub used_percent: Option<u64>,
    /// Sectors that it had to replace (ATA attribute 5).
    pub reallocated_sectors: Option<u64>,
    /// Sectors that it cannot read at the moment (ATA attribute 197), or errors of its media (NVMe).
    pub unreadable: Option<u64>,
    /// Why the rest is `null`.
    pub reason: Option<String>,
}

impl Smart {
    /// Nothing is known, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::default() }
    }
}

/// Asks about `device`; there is none where the directory's could not be found out.
pub(super) async fn ask(device: Option<PathBuf>) -> Smart {
    let Some(device) = device else {
        return Smart::unknown("the directory is on no disk of this machine that the kernel names");
    };
    let args = ["--json", "--health", "--info", "--attributes"].map(Into::into).into_iter();
    let ended = Program::new("smartctl").args(args.chain([device.clone().into_os_string()])).run(WITHIN).await;
    let smart = match ended {
        Ok(ended) => read(&ended),
        Err(error) => Smart::unknown(in_words(&error)),
    };
    Smart { device: Some(device.display().to_string()), ..smart }
}

fn read(ended: &Ended) -> Smart {
    // Its exit code is a set of bits that are in the document too.
    let Ok(document) = serde_json::from_slice::<Value>(&ended.stdout) else {
        return Smart::unknown(format!("smartctl wrote no JSON: {}", ended.complaint()));
    };
    parse(&document)
}

fn parse(document: &Value) -> Smart {
    let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64);
    let attribute = |id: u64| {
        let table = document.pointer("/ata_smart_attributes/table")?.as_array()?;
        table.iter().find(|row| row["id"] == id)?.pointer("/raw/value")?.as_u64()
    };
    let healthy = document.pointer("/smart_status/passed").and_then(Value::as_bool);
    let said = document.pointer("/smartctl/messages/0/string").and_then(Value::as_str);
    Smart {
        device: None,
        model: document.pointer("/model_name").and_then(Value::as_str).map(str::to_owned),
        healthy,
        temperature_c: document.pointer("/temperature/current").and_then(Value::as_i64),
        power_on_hours: number("/power_on_time/hours"),
        used_percent: number("/nvme_smart_health_information_log/percentage_used"),
        reallocated_sectors: attribute(5),
        unreadable: attribute(197).or_else(|| number("/nvme_smart_health_information_log/media_errors")),
        reason: healthy
            .is_none()
            .then(|| said.unwrap_or("the disk says nothing of its health").chars().take(300).collect()),
    }
}

/// The disk that a directory is on: `/dev/sda` for a file system on `/dev/sda2`. It blocks.
pub(super) fn device_of(directory: &Path) -> Option<PathBuf> {
    let device = rustix::fs::stat(directory).ok()?.st_dev;
    let block = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let block = std::fs::canonicalize(block).ok()?;
    let disk = if block.join("partition").exists() { block.parent()? } else { &block };
    disk.join("device").exists().then(|| Path::new("/dev").join(disk.file_name().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_nvme_and_an_ata_disk_are_read() {
        let nvme = parse(&json!({
            "model_name": "NVME 1", "smart_status": { "passed": true }, "temperature": { "current": 41 },
            "power_on_time": { "hours": 1234 },
            "nvme_smart_health_information_log": { "percentage_used": 3, "media_errors": 7 }
        }));
        assert_eq!(
            (nvme.healthy, nvme.used_percent, nvme.unreadable, nvme.reason),
            (Some(true), Some(3), Some(7), None)
        );
        let ata = parse(&json!({
            "smart_status": { "passed": false },
            "ata_smart_attributes": { "table": [
                { "id": 5, "raw": { "value": 16 } }, { "id": 197, "raw": { "value": 8 } }
            ] }
        }));
        assert_eq!((ata.healthy, ata.reallocated_sectors, ata.unreadable), (Some(false), Some(16), Some(8)));
    }

    #[test]
    fn what_the_program_complains_about_is_the_reason() {
        let refused = json!({ "smartctl": { "messages": [{ "string": "Permission denied" }] } });
        assert_eq!(parse(&refused), Smart::unknown("Permission denied"));
        assert_eq!(parse(&json!([1])), Smart::unknown("the disk says nothing of its health"));
    }

    #[tokio::test]
    async fn a_disk_that_is_none_has_a_reason_and_no_figures() {
        let smart = ask(Some("/dev/null".into())).await;
        assert_eq!((smart.healthy, smart.device.as_deref()), (None, Some("/dev/null")));
        assert!(smart.reason.is_some_and(|reason| !reason.is_empty()));
        let nowhere = ask(device_of(Path::new("/proc"))).await;
        assert!(nowhere.device.is_none() && nowhere.reason.is_some(), "{nowhere:?}");
    }
}
