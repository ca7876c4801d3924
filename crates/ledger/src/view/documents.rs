//! Entries under the names of the database.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::MOST_ROWS;
use crate::feed_tree;
use crate::item::component::Speed;
use crate::item::user::{Job, Role};
use crate::item::{Amendment, Contract, Feed, Performance, PerformanceChallenge, Plan, StorageChallenge, User};
use crate::state::State;
use crate::state::accounts::Account;
use crate::state::agenda::Action;
use crate::state::work::{Cycle, Subject};
use crate::{Id, Ppm};

const ROLES: [(Role, &str); 3] = [(Role::Hoster, "hoster"), (Role::Attester, "attester"), (Role::Encoder, "encoder")];

/// The names of the database beside all of ours.
fn with(ours: Value, seeds: Value) -> Value {
    match (ours, seeds) {
        (Value::Object(mut ours), Value::Object(seeds)) => {
            ours.extend(seeds);
            Value::Object(ours)
        }
        (_, seeds) => seeds,
    }
}

impl State {
    pub(super) fn user_document(&self, id: Id, user: &User) -> Value {
        let slots = |role| self.balance(&Account::FreeSlots(id, role));
        let capacities: Map<String, Value> =
            ROLES.iter().map(|(role, name)| ((*name).to_owned(), json!(slots(*role)))).collect();
        let jobs: Map<String, Value> = ROLES
            .iter()
            .map(|(role, name)| {
                let jobs = self.jobs_of(id).filter(|(held, _, _)| held == role);
                ((*name).to_owned(), json!(jobs.map(|(_, task, job)| (task, job)).collect::<BTreeMap<Id, Job>>()))
            })
            .collect();
        let form = user.form.as_ref().map(|form| {
            with(
                json!(form),
                json!({
                    "timing": form.timings,
                    "timetable": form.timings,
                    "components": {
                        "timing": form.timings.iter().map(|id| self.part(*id)).collect::<Vec<_>>(),
                        "region": self.part(form.region),
                        "performance": form.performance.map(|id| self.part(id)),
                        "resources": self.part(form.resources),
                    },
                }),
            )
        });
        json!({
            "address": user.address,
            "key": user.noise_key,
            "noisekey": user.noise_key,
            "signkey": user.signing_key,
            "form": form,
            "roles": user.roles,
            "jobs": jobs,
            "status": {
                "capacity": ROLES.iter().map(|(role, _)| slots(*role)).fold(0, u64::saturating_add),
                "capacities": capacities,
                "idleStorage": self.balance(&Account::FreeBytes(id)),
                "paused": user.paused,
            },
            "reputation": user.reputation,
            "balance": self.balance(&Account::Money(user.address)),
            "since": user.since,
        })
    }

    fn part(&self, id: Id) -> Value {
        self.storage().get(id).map_or(Value::Null, |item| self.document(id, item))
    }

    pub(super) fn feed_document(&self, id: Id, feed: &Feed) -> Value {
        let signatures: Map<String, Value> =
            feed.versions.iter().map(|(length, version)| (length.to_string(), json!(version.signature))).collect();
        let nodes = self.node_sizes.range((id, 0)..=(id, u64::MAX)).take(MOST_ROWS);
        let live = match self.cycle_of(Subject::Performance(id)) {
            Some(Cycle::Live(challenge)) => Some(challenge),
            _ => None,
        };
        let sizes: Map<String, Value> = nodes.map(|((_, node), bytes)| (node.to_string(), json!(bytes))).collect();
        json!({
            "publickey": feed.key,
            "publisher": feed.publisher,
            "meta": {
                "signature": signatures,
                "hashType": "peermark/feed-tree/v1",
                "children": feed_tree::peaks(feed.length()),
            },
            "version": signatures,
            "versions": feed.versions,
            "size": sizes,
            "contracts": feed.contracts,
            "challenge": live,
        })
    }

    pub(super) fn plan_document(&self, plan: &Plan) -> Value {
        let mut parts: [Vec<Id>; 4] = [const { Vec::new() }; 4];
        for item in &plan.program {
            parts[0].extend(&item.datasets);
            parts[1].extend(&item.performance);
            parts[2].extend(&item.timings);
            parts[3].extend(&item.regions);
        }
        for part in &mut parts {
            part.sort_unstable();
            part.dedup();
        }
        let [dataset, performances, timings, regions] = parts;
        let program: Vec<Value> = plan
            .program
            .iter()
            .map(|item| {
                json!({
                    "dataset": item.datasets,
                    "regions": item.regions,
                    "performance": item.performance,
                    "timetable": item.timings,
                })
            })
            .collect();
        let seeds = json!({
            "sponsor_id": plan.sponsor,
            "components": {
                "dataset": dataset, "performances": performances, "timings": timings, "regions": regions,
            },
            "program": program,
            "status": { "contract_ids": plan.contracts, "phase": plan.status },
        });
        with(json!(plan), seeds)
    }

    pub(super) fn contract_document(&self, id: Id, contract: &Contract) -> Value {
        let active: Map<String, Value> =
            contract.active_hosters.iter().map(|hoster| (hoster.to_string(), json!(true))).collect();
        let seeds = json!({
            "feed_id": contract.feed,
            "plan_id": contract.plan,
            "status": {
                "phase": contract.status,
                "active_hoster": active,
                "scheduler_id": self.scheduler_id(id, contract),
                "schedulerID": self.scheduler_id(id, contract),
            },
        });
        with(json!(contract), seeds)
    }

    /// The number of the next action about a contract (S19); none where nothing is planned.
    fn scheduler_id(&self, id: Id, contract: &Contract) -> Option<u64> {
        let about = |action: &Action| match action {
            Action::PlanExecution { contract } | Action::Window { contract } | Action::Pay { contract } => {
                *contract == id
            }
            Action::AmendmentTimeout { amendment } => contract.amendments.last() == Some(amendment),
            _ => false,
        };
        self.agenda.iter().find(|(_, action)| about(action)).map(|((_, number), _)| *number)
    }

    pub(super) fn performance_challenge_document(&self, challenge: &PerformanceChallenge) -> Value {
        let contracts = challenge.feed.and_then(|feed| self.item::<Feed>(feed).ok()).map(|feed| &feed.contracts);
        let seeds = json!({
            "contract": contracts,
            "contract_id": contracts,
            "hoster_id": challenge.hosters,
            "attester": challenge.attester_ids,
            "attester_ids": challenge.attester_ids,
        });
        with(json!(challenge), seeds)
    }

    pub(super) fn quality_document(&self, user: Id) -> Value {
        let rows = self.qualities_of(user).take(MOST_ROWS);
        let rows: Map<String, Value> = rows.map(|(region, row)| (region.to_string(), json!(row))).collect();
        Value::Object(rows)
    }
}

pub(super) fn amendment(amendment: &Amendment) -> Value {
    with(json!(amendment), json!({ "contract_id": amendment.contract }))
}

pub(super) fn storage_challenge(challenge: &StorageChallenge) -> Value {
    let contracts: Vec<&Id> = challenge.checks.keys().collect();
    let seeds = json!({
        "contract": contracts,
        "contract_id": contracts,
        "hoster_id": challenge.hoster,
        "attester_id": challenge.attester,
        "chunks": challenge.checks.values().collect::<Vec<_>>(),
    });
    with(json!(challenge), seeds)
}

pub(super) fn performance(performance: &Performance) -> Value {
    let speed = |speed: Option<Speed>| speed.map(|speed| share("speed", speed.bits_per_s, speed.guarantee));
    let latency = performance.latency.map(|latency| {
        let lag = u64::from(latency.lag_ms);
        with(share("lag", lag, latency.guarantee), json!({ "speed": lag }))
    });
    json!({
        "availability": performance.availability,
        "bandwidth": { "ingress": speed(performance.ingress), "egress": speed(performance.egress) },
        "latency": latency,
    })
}

fn share(name: &str, threshold: u64, guarantee: Ppm) -> Value {
    json!({ name: threshold, "guarantee": guarantee })
}
