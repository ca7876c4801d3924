//! Pools, queues and what is under way.

use serde_json::{Map, Value, json};

use super::MOST_ROWS;
use crate::Id;
use crate::item::user::Role;
use crate::item::{Contract, Record, User};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::agenda::Task;
use crate::state::table::Table;

impl State {
    /// `DB.status.*`.
    pub(super) fn status(&self, list: &str) -> Option<Value> {
        let pool = |role| {
            let users = self.idle.range((role, 0)..=(role, Id::MAX)).take(MOST_ROWS);
            json!(users.map(|((_, user), ())| *user).collect::<Vec<_>>())
        };
        match list {
            "idleHosters" => Some(pool(Role::Hoster)),
            "idleEncoders" => Some(pool(Role::Encoder)),
            "idleAttesters" => Some(pool(Role::Attester)),
            "pendingAmendments" => {
                let waiting = self
                    .queue
                    .iter()
                    .filter_map(|(_, task)| Some(json!({ "fnName": fn_name(task), "opts": contract_of(task)? })));
                Some(waiting.take(MOST_ROWS).collect())
            }
            "attestersJobQueue" => Some(self.queue.iter().take(MOST_ROWS).map(|(_, task)| self.job(task)).collect()),
            _ => None,
        }
    }

    /// What there is of each role and what is wanted, in each cell and everywhere.
    pub(super) fn markets_document(&self) -> Value {
        let mut roles: Map<String, Value> = Map::new();
        for ((role, cell), market) in self.markets() {
            let Value::String(role) = json!(role) else { continue };
            let place = cell.as_ref().map_or("everywhere", |cell| cell.as_str()).to_owned();
            if let Value::Object(cells) = roles.entry(role).or_insert_with(|| json!({})) {
                cells.insert(place, json!(market));
            }
        }
        Value::Object(roles)
    }

    /// Where a user lies in the space of delays, as it says and as it was measured, and its lags to others.
    pub(super) fn map_document(&self, user: Id) -> Result<Value, Refusal> {
        self.item::<User>(user)?;
        let said = self.coordinates.get(&user).and_then(|record| self.item::<Record>(*record).ok());
        let lags: Map<String, Value> =
            self.lags_from(user).take(MOST_ROWS).map(|(to, lag)| (to.to_string(), json!(lag))).collect();
        Ok(json!({ "coordinate": self.coordinate_of(user), "said": said.map(|record| &record.body), "lags": lags }))
    }

    /// Lags between two users in microseconds, in both directions and the lesser of them, and what their coordinates predict.
    pub(super) fn pair_document(&self, one: Id, other: Id) -> Value {
        let predicted = self.coordinate_of(one).zip(self.coordinate_of(other)).map(|(a, b)| a.distance_us(b));
        json!({
            "there_us": self.lag(one, other),
            "back_us": self.lag(other, one),
            "symmetric_us": self.symmetric_lag(one, other),
            "predicted_us": predicted,
        })
    }

    /// A task that waits for an attester; all of them do.
    fn job(&self, task: &Task) -> Value {
        let mut job = json!(task);
        let contract = contract_of(task).and_then(|id| self.item::<Contract>(id).ok());
        if let (Value::Object(job), Some(contract)) = (&mut job, contract) {
            job.insert("planID".into(), json!(contract.plan));
            job.insert("feedID".into(), json!(contract.feed));
            job.insert("set".into(), json!(contract.ranges));
        }
        if let (Value::Object(job), Task::PerformanceChallenge { feed }) = (&mut job, task) {
            job.insert("feedID".into(), json!(feed));
        }
        job
    }

    /// `queues.tasks`, the next one first.
    pub(super) fn tasks(&self) -> Value {
        let id = |task: &Task| match task {
            Task::HostingSetup { contract }
            | Task::RetryHostingSetup { contract }
            | Task::HosterReplacement { contract } => *contract,
            Task::StorageChallenge { hoster } => *hoster,
            Task::PerformanceChallenge { feed } => *feed,
            Task::RawBenchmark { user, .. } => *user,
        };
        let tasks = self.queue.iter().take(MOST_ROWS);
        tasks.map(|(_, task)| json!({ "fnName": fn_name(task), "id": id(task) })).collect()
    }

    /// `active.*`: id to true.
    pub(super) fn active(&self, list: &str) -> Option<Value> {
        let ids = |table: &Table<Id, ()>| {
            let rows = table.iter().take(MOST_ROWS);
            Value::Object(rows.map(|(id, ())| (id.to_string(), json!(true))).collect())
        };
        match list {
            "storageChallenges" | "activeStorageChallenges" => Some(ids(&self.active_storage)),
            "performanceChallenges" | "activePerformanceChallenges" => Some(ids(&self.active_performance)),
            "activeAmendments" => {
                let open = self.staffing.iter().filter_map(|(_, staffing)| staffing.open).take(MOST_ROWS);
                Some(Value::Object(open.map(|id| (id.to_string(), json!(true))).collect::<Map<_, _>>()))
            }
            _ => None,
        }
    }
}

/// The name of the database for a task.
fn fn_name(task: &Task) -> &'static str {
    match task {
        Task::HostingSetup { .. } => "hostingSetup",
        Task::RetryHostingSetup { .. } => "retry_hostingSetup",
        Task::HosterReplacement { .. } => "hosterReplacement",
        Task::StorageChallenge { .. } => "makeStorageChallenge",
        Task::PerformanceChallenge { .. } => "makePerformanceChallenge",
        Task::RawBenchmark { .. } => "rawBenchmark",
    }
}

fn contract_of(task: &Task) -> Option<Id> {
    match task {
        Task::HostingSetup { contract }
        | Task::RetryHostingSetup { contract }
        | Task::HosterReplacement { contract } => Some(*contract),
        Task::StorageChallenge { .. } | Task::PerformanceChallenge { .. } | Task::RawBenchmark { .. } => None,
    }
}
