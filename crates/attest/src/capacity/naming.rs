//! Resources and jobs in words.

use peermark_judge::capacity::{JobKind, Resource, SwarmSize};
use peermark_page::format;

pub(super) fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "processors",
        Resource::Memory => "memory",
        Resource::DiskRead => "disk reads",
        Resource::DiskWrite => "disk writes",
        Resource::NetIn => "receiving",
        Resource::NetOut => "sending",
        Resource::Storage => "storage",
    }
}

pub(super) fn amount(resource: Resource, value: u64) -> String {
    match resource {
        Resource::Cpu => format!("{}.{:02} processors", value / 1_000, value % 1_000 / 10),
        Resource::Memory | Resource::Storage => format::bytes(value).to_string(),
        Resource::DiskRead | Resource::DiskWrite | Resource::NetIn | Resource::NetOut => {
            format!("{}/s", format::bytes(value))
        }
    }
}

pub(super) fn job(kind: JobKind) -> String {
    let name = match kind {
        JobKind::Encode => "encode",
        JobKind::AttestContract => "attest_contract",
        JobKind::AttestStorage => "attest_storage",
        JobKind::AttestPerformance => "attest_performance",
        JobKind::HostContract => "host_contract",
        JobKind::Store => "store",
        JobKind::Serve(SwarmSize::Nobody) => "serve (nobody)",
        JobKind::Serve(SwarmSize::UpTo10) => "serve (1 to 10 peers)",
        JobKind::Serve(SwarmSize::UpTo50) => "serve (11 to 50 peers)",
        JobKind::Serve(SwarmSize::Over50) => "serve (over 50 peers)",
        JobKind::ProveStorage => "prove_storage",
        JobKind::AnswerPerformance => "answer_performance",
    };
    name.to_owned()
}
