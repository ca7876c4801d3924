//! Workloads that need no file.

use super::{Nodes, Op, Phase, Scenario, SizeWeight, VERSION};
use peermark_core::ByteSize;

/// A workload known by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workload {
    /// Uploads, cross-node fetches, and both in parallel with local reads. Without dissemination: on one machine that saturates
    /// the CPU by its nature, and would make every run SUSPECT.
    #[default]
    Load,
    /// Uploads to random nodes.
    Upload,
    /// Cross-node fetches.
    Fetch,
    /// Uploads, fetches and reads in parallel.
    Stress,
    /// One file from a few seeders to every other node.
    Dissemination,
    /// Cold, then warm reads on the node that holds the file.
    Read,
    /// Cross-node fetches of files from 1 KiB to 4 MiB.
    SizeMix,
}

impl Workload {
    /// Every workload.
    pub const ALL: [Self; 7] =
        [Self::Load, Self::Upload, Self::Fetch, Self::Stress, Self::Dissemination, Self::Read, Self::SizeMix];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Upload => "upload",
            Self::Fetch => "fetch",
            Self::Stress => "stress",
            Self::Dissemination => "dissemination",
            Self::Read => "read",
            Self::SizeMix => "size-mix",
        }
    }

    /// The scenario behind the name.
    pub fn scenario(self) -> Scenario {
        let phases = match self {
            Self::Load => vec![Phase::of(Op::Upload, 0.3), Phase::of(Op::Fetch, 0.45), Phase::of(Op::Stress, 0.25)],
            Self::Upload => vec![Phase::of(Op::Upload, 1.0)],
            Self::Fetch => vec![Phase::of(Op::Fetch, 1.0)],
            Self::Stress => vec![Phase::of(Op::Stress, 1.0)],
            Self::Dissemination => vec![disseminate(1.0)],
            Self::Read => vec![Phase::of(Op::ReadCold, 0.5), Phase::of(Op::ReadWarm, 0.5)],
            Self::SizeMix => vec![Phase { sizes: mixed_sizes(), ..Phase::of(Op::Fetch, 1.0) }],
        };
        Scenario {
            version: VERSION,
            name: self.as_str().into(),
            seed: None,
            duration: super::default_duration(),
            nodes: Nodes::default(),
            foreign: Vec::new(),
            phases,
            faults: Vec::new(),
            thresholds: Vec::new(),
        }
    }
}

fn disseminate(share: f64) -> Phase {
    Phase {
        sizes: vec![SizeWeight { size: ByteSize(1 << 20), weight: 1.0 }],
        seeders: 2,
        timeout: super::HumanDuration::from_secs(30),
        ..Phase::of(Op::Disseminate, share)
    }
}

fn mixed_sizes() -> Vec<SizeWeight> {
    [(1 << 10, 4.0), (64 << 10, 4.0), (256 << 10, 2.0), (1 << 20, 1.0), (4 << 20, 0.5)]
        .into_iter()
        .map(|(size, weight)| SizeWeight { size: ByteSize(size), weight })
        .collect()
}
