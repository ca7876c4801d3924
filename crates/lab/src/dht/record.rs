//! What a run leaves behind: its directory, and its entry in the history of all runs.

use std::io;
use std::path::{Path, PathBuf};

use peermark_dht::report::{self, ReportOptions, Span};
use peermark_probe::environment::environment;
use peermark_store::dht::DhtStore;
use peermark_store::{Ending, RunEnd, RunRecord, Store};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::plan::{ALPHA, DhtPlan, K};
use super::result::DhtResult;
use super::{DhtError, DhtOptions};
use crate::result::Verdict;
use crate::run::RecordError;

/// Kind of a run of the lab that measures a DHT, in the history.
pub const RUN_KIND: &str = "dht";

/// Its name there; runs of single servers have the names of their fleets.
pub const RUN_NAME: &str = "dht";

/// Where a finished run's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtFiles {
    /// `result.json`.
    pub result: PathBuf,
    /// `report.html`; `None` where the store did not give what it is made of.
    pub report: Option<PathBuf>,
}

/// The plan as a document: what a run starts, and what equal fingerprints have in common.
pub fn plan_document(plan: &DhtPlan) -> serde_json::Value {
    let names = |fleets: &[peermark_dht::operation::Variant]| fleets.iter().map(|f| f.as_str()).collect::<Vec<_>>();
    let schedules = plan.schedules().into_iter().map(|schedule| {
        json!({
            "name": schedule.name,
            "publish": names(&schedule.publish),
            "lookup": names(&schedule.lookup),
            "interval_ms": schedule.every.as_millis() as u64,
        })
    });
    json!({
        "workload": RUN_NAME,
        "k": K,
        "alpha": ALPHA,
        "servers": plan.servers,
        "measurers": plan.measurers,
        "schedules": schedules.collect::<Vec<_>>(),
    })
}

/// Makes the run's directory with the plan. Returns its absolute path: nodes run in directories of their own.
pub(super) fn create_run_directory(options: &DhtOptions) -> Result<PathBuf, RecordError> {
    let directory = options.out.join(&options.run_id);
    if directory.exists() {
        return Err(RecordError::Exists { path: directory });
    }
    std::fs::create_dir_all(directory.join("nodes")).map_err(RecordError::writing(&directory))?;
    let mut plan = plan_document(&options.plan);
    plan["schema"] = "peermark.plan/1".into();
    plan["seed"] = json!(options.seed);
    plan["lasting_ms"] = json!(options.lasting.as_millis() as u64);
    write(&directory.join("plan.json"), &format!("{plan:#}\n"))?;
    directory.canonicalize().map_err(RecordError::writing(&directory))
}

/// The run's entry in the history.
pub(super) struct History {
    store: Store,
    tables: DhtStore,
    path: PathBuf,
    run_id: String,
    environment: String,
}

impl History {
    pub(super) async fn begin(options: &DhtOptions, started_wall_ms: u64) -> Result<Self, RecordError> {
        let store = Store::open(&options.store).await?;
        let path = options.store.canonicalize().map_err(RecordError::writing(&options.store))?;
        let fingerprint = store.put_environment(&environment(&options.version, &options.commit)).await?;
        let asked = format!("{}x{}", options.plan.servers.len(), options.plan.fleet_names().join(","));
        let hash = Sha256::digest(format!("peermark/dht-lab/1/{asked}/k{K}/alpha{ALPHA}"));
        let record = RunRecord {
            id: options.run_id.clone(),
            kind: RUN_KIND.into(),
            name: RUN_NAME.into(),
            scenario_fingerprint: hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            seed: options.seed,
            version: options.version.clone(),
            commit: options.commit.clone(),
            environment: fingerprint.clone(),
            started_wall_ms,
        };
        store.begin_run(&record).await?;
        let tables = DhtStore::of(&store);
        Ok(Self { store, tables, path, run_id: options.run_id.clone(), environment: fingerprint })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn tables(&self) -> &DhtStore {
        &self.tables
    }

    /// Absolute path of the store.
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(super) fn environment(&self) -> &str {
        &self.environment
    }

    /// Whether the schedulers of this run would find nobody but its own nodes under the names of its fleets. Nodes of a run that was
    /// killed are marked offline; those that answer belong to somebody else.
    pub(super) async fn is_free_for(&self, plan: &DhtPlan, now_ms: u64) -> Result<(), DhtError> {
        let mut answering = Vec::new();
        for node in self.tables.live_nodes(&plan.fleet_names(), now_ms).await? {
            let address = std::net::SocketAddr::from((node.ip_address, node.server_port));
            let dial = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(std::time::Duration::from_secs(1), dial).await {
                Ok(Ok(_)) => answering.push(address),
                _ => self.tables.mark_offline(node.id, now_ms).await?,
            }
        }
        match answering.first() {
            None => Ok(()),
            Some(address) => Err(DhtError::Busy { count: answering.len(), address: address.to_string() }),
        }
    }

    /// Writes the page of `peermark dht report` about the time of the run. What it cannot read costs the page, not the run.
    pub(super) async fn report(&self, plan: &DhtPlan, span: Option<Span>, directory: &Path) -> Option<PathBuf> {
        let options = ReportOptions {
            place: self.path.display().to_string(),
            fleets: plan.fleet_names(),
            deadline_ns: super::figures::DEADLINE_NS,
            ..ReportOptions::new(span?)
        };
        let path = directory.join("report.html");
        match report::read(&self.tables, &options).await {
            Ok(read) => match std::fs::write(&path, report::html(&read)) {
                Ok(()) => return Some(path),
                Err(error) => tracing::warn!(%error, path = %path.display(), "no report"),
            },
            Err(error) => tracing::warn!(%error, "no report"),
        }
        None
    }

    /// Writes the result and closes the entry.
    pub(super) async fn finish(
        &self,
        result: &DhtResult,
        directory: &Path,
        report: Option<PathBuf>,
    ) -> Result<DhtFiles, RecordError> {
        let files = DhtFiles { result: directory.join("result.json"), report };
        let json = serde_json::to_string_pretty(result)
            .map_err(|error| RecordError::writing(&files.result)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        write(&files.result, &format!("{json}\n"))?;
        let failed = result.thresholds.iter().any(|threshold| !threshold.ok);
        let ending = match (result.stopped, failed) {
            (true, _) => Ending::Aborted,
            (false, true) => Ending::Failed,
            (false, false) => Ending::Succeeded,
        };
        let validity = match result.validity.verdict {
            Verdict::Valid => peermark_store::Validity::Valid,
            Verdict::Suspect => peermark_store::Validity::Suspect,
        };
        let duration_ns = result.duration_ns;
        let end = RunEnd { ending, validity: Some(validity), duration_ns, result_json: Some(json) };
        self.store.finish_run(&self.run_id, &end).await?;
        self.store.close().await;
        Ok(files)
    }

    /// Closes the entry of a run without result.
    pub(super) async fn abort(&self, duration_ns: u64) {
        let end = RunEnd { ending: Ending::Aborted, validity: None, duration_ns, result_json: None };
        if let Err(error) = self.store.finish_run(&self.run_id, &end).await {
            tracing::warn!(%error, "the history does not know that the run was aborted");
        }
        self.store.close().await;
    }
}

fn write(path: &Path, text: &str) -> Result<(), RecordError> {
    std::fs::write(path, text).map_err(RecordError::writing(path))
}
