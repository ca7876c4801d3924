//! What a run leaves behind: its directory, and its entry in the history of all runs.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peermark_core::{EvidenceClass, Histogram, Series, Unit};
use peermark_probe::environment::environment;
use peermark_probe::load::{LoadOutcome, OperationOutcome};
use peermark_probe::recorder::{SampleBatch, SampleSink, SinkError};
use peermark_store::observations::{FILE_NAME, Labels, Observation, ObservationWriter, WriteError, WriterOptions};
use peermark_store::{Ending, OpenError, RunEnd, RunRecord, Store, StoreError};
use thiserror::Error;

use super::RunOptions;
use super::self_tests::{self, Attempts};
use crate::report;
use crate::result::{RunResult, Verdict};
use crate::scenario::Scenario;

/// Kind of a lab run in the history.
pub(super) const RUN_KIND: &str = "lab";

/// Why a run could not be written down.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A file of the run.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A run of this name is there already.
    #[error("{path} is there already; choose another run id")]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The history cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The history cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Raw samples cannot be written.
    #[error(transparent)]
    Samples(#[from] WriteError),
}

/// Where a finished run's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `result.json`.
    pub result: PathBuf,
    /// `report.html`.
    pub report: PathBuf,
    /// `observations.ndjson.zst`.
    pub observations: PathBuf,
}

impl RecordError {
    pub(crate) fn writing(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

/// Makes the run's directory with the scenario as it will be run. Returns its absolute path: nodes run in directories of their own.
pub(super) fn create_run_directory(directory: &Path, options: &RunOptions) -> Result<PathBuf, RecordError> {
    if directory.exists() {
        return Err(RecordError::Exists { path: directory.to_owned() });
    }
    std::fs::create_dir_all(directory.join("nodes")).map_err(RecordError::writing(directory))?;
    let resolved = Scenario { seed: Some(options.seed), ..options.scenario.clone() };
    let path = directory.join("scenario.toml");
    let text = toml::to_string_pretty(&resolved).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    std::fs::write(&path, text.map_err(RecordError::writing(&path))?).map_err(RecordError::writing(&path))?;
    directory.canonicalize().map_err(RecordError::writing(directory))
}

/// The run's entry in the history.
pub(super) struct History {
    store: Store,
    run_id: String,
    environment: String,
}

impl History {
    pub(super) async fn begin(options: &RunOptions, started_wall_ms: u64) -> Result<Self, RecordError> {
        let store = Store::open(&options.store).await?;
        let fingerprint = store.put_environment(&environment(&options.version, &options.commit)).await?;
        let record = RunRecord {
            id: options.run_id.clone(),
            kind: RUN_KIND.into(),
            name: options.scenario.name.clone(),
            scenario_fingerprint: options.scenario.fingerprint(),
            seed: options.seed,
            version: options.version.clone(),
            commit: options.commit.clone(),
            environment: fingerprint.clone(),
            started_wall_ms,
        };
        store.begin_run(&record).await?;
        Ok(Self { store, run_id: options.run_id.clone(), environment: fingerprint })
    }

    /// Where the raw samples go.
    pub(super) fn sink(&self, directory: &Path, cap_bytes: u64) -> Result<ObservationSink, RecordError> {
        let options = WriterOptions { cap_bytes, ..WriterOptions::default() };
        let writer = ObservationWriter::create(&directory.join(FILE_NAME), &self.run_id, options)?;
        Ok(ObservationSink {
            writer,
            run_id: self.run_id.clone(),
            environment: self.environment.clone(),
            labels: HashMap::new(),
        })
    }

    /// Keeps the histograms of all operations, in slices of time.
    pub(super) async fn keep_operations(&self, outcome: &LoadOutcome) -> Result<(), RecordError> {
        for operation in &outcome.operations {
            let series = series(&self.run_id, operation.op.as_str(), &self.environment);
            let id = self.store.add_series_in_phase(&series, &operation.phase).await?;
            for slice in operation.record.slices.iter().filter(|slice| !slice.histogram.is_empty()) {
                self.store.put_hist(id, slice.start_ns, slice.end_ns, None, &slice.histogram).await?;
            }
            self.keep_failures(id, operation).await?;
        }
        Ok(())
    }

    /// Keeps what the nodes' own tests said: one series per node and test. The run's epoch is at `epoch_ms` of the wall clock.
    pub(super) async fn keep_self_tests(&self, all: &[Attempts], epoch_ms: u64) -> Result<(), RecordError> {
        for one in all {
            let series = Series {
                kind: format!("monitor.{}", one.task),
                class: EvidenceClass::SelfReport,
                observer: one.peer.clone(),
                subject: one.peer.clone(),
                unit: one.unit,
                ..series(&self.run_id, "", &self.environment)
            };
            let id = self.store.add_series(&series).await?;
            self.store.put_observations(id, &self_tests::samples(one, epoch_ms)).await?;
        }
        Ok(())
    }

    async fn keep_failures(
        &self,
        id: peermark_store::SeriesId,
        operation: &OperationOutcome,
    ) -> Result<(), RecordError> {
        let window = operation.execution.window;
        for (class, count) in operation.record.failed_by_class() {
            let mut at_deadline = Histogram::new();
            at_deadline.record_n(operation.record.timeout_ns, count);
            self.store.put_hist(id, window.start_ns, window.end_ns, Some(class), &at_deadline).await?;
        }
        Ok(())
    }

    /// Writes result and report, and closes the entry.
    pub(super) async fn finish(&self, result: &RunResult, directory: &Path) -> Result<Files, RecordError> {
        let files = Files {
            result: directory.join("result.json"),
            report: directory.join("report.html"),
            observations: directory.join(FILE_NAME),
        };
        let mut json = serde_json::to_string_pretty(result)
            .map_err(|error| RecordError::writing(&files.result)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        json.push('\n');
        std::fs::write(&files.result, &json).map_err(RecordError::writing(&files.result))?;
        std::fs::write(&files.report, report::html(result)).map_err(RecordError::writing(&files.report))?;
        let failed = result.thresholds.iter().any(|threshold| !threshold.ok);
        let validity = match result.validity.verdict {
            Verdict::Valid => peermark_store::Validity::Valid,
            Verdict::Suspect => peermark_store::Validity::Suspect,
        };
        let end = RunEnd {
            ending: if failed { Ending::Failed } else { Ending::Succeeded },
            validity: Some(validity),
            duration_ns: result.duration_ns,
            result_json: Some(json),
        };
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

fn series(run: &str, op: &str, environment: &str) -> Series {
    let kind = match op {
        "upload" => "data.put",
        "read_cold" | "read_warm" => "data.get",
        _ => "data.fetch",
    };
    Series {
        schema: Series::SCHEMA,
        run: run.into(),
        kind: kind.into(),
        class: EvidenceClass::Raw,
        observer: "lab".into(),
        subject: "network".into(),
        observer_region: String::new(),
        subject_region: String::new(),
        unit: Unit::Nanoseconds,
        environment: environment.into(),
    }
}

/// Hands samples from the engine to the file of raw samples.
pub(super) struct ObservationSink {
    writer: ObservationWriter,
    run_id: String,
    environment: String,
    labels: HashMap<(Arc<str>, Arc<str>), Arc<Labels>>,
}

impl ObservationSink {
    /// Completes the file.
    pub(super) async fn finish(self) -> Result<(), RecordError> {
        self.writer.finish().await?;
        Ok(())
    }
}

impl SampleSink for ObservationSink {
    fn write(&mut self, batch: SampleBatch) -> Result<(), SinkError> {
        let key = (batch.phase.clone(), batch.op.clone());
        let (run_id, environment) = (&self.run_id, &self.environment);
        let labels = self.labels.entry(key).or_insert_with(|| {
            let series = series(run_id, &batch.op, environment);
            Arc::new(Labels { series, op: batch.op.to_string(), phase: batch.phase.to_string() })
        });
        let observation = |sample| Observation { labels: labels.clone(), sample, node: None };
        let observations = batch.samples.into_iter().map(observation).collect();
        Ok(self.writer.blocking_send(observations)?)
    }
}
