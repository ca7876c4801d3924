//! Capacity: what jobs cost, whether one more fits, what other hardware would do, and the price that draws or repels resources.
//!
//! Costs are measured per kind of job and fitted by a linear model; a host takes another job where the predicted utilisation of every
//! resource stays within the policy. All arithmetic is in whole numbers.

mod admission;
mod cost;
mod fit;
mod health;
mod price;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use admission::{
    Admission, CostChange, Host, Load, Plan, Prediction, Workload, admit, effect_of_change, needed, predict, projected,
    what_if,
};
pub use cost::{CostError, CostRecord, JobKind, Run, SwarmSize, cost};
pub use fit::{Fit, FitError, Sample, fit};
pub use health::{Hosted, SetHealth, SwarmHealth, swarm_health};
pub use price::{Pressure, next_price};

/// One number per resource. Rates are per second; memory and storage are amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Milliseconds of one processor per second: 1000 for each.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes read from disk per second.
    pub disk_read_bps: u64,
    /// Bytes written to disk per second.
    pub disk_write_bps: u64,
    /// Bytes received per second.
    pub net_in_bps: u64,
    /// Bytes sent per second.
    pub net_out_bps: u64,
    /// Bytes stored.
    pub storage_bytes: u64,
}

/// A resource by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Reading from disk.
    DiskRead,
    /// Writing to disk.
    DiskWrite,
    /// Receiving.
    NetIn,
    /// Sending.
    NetOut,
    /// Storage.
    Storage,
}

impl Resource {
    /// Every resource, in declaration order.
    pub const ALL: [Self; 7] =
        [Self::Cpu, Self::Memory, Self::DiskRead, Self::DiskWrite, Self::NetIn, Self::NetOut, Self::Storage];
}

impl Resources {
    /// The number of one resource.
    pub fn get(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Cpu => self.cpu_milli,
            Resource::Memory => self.memory_bytes,
            Resource::DiskRead => self.disk_read_bps,
            Resource::DiskWrite => self.disk_write_bps,
            Resource::NetIn => self.net_in_bps,
            Resource::NetOut => self.net_out_bps,
            Resource::Storage => self.storage_bytes,
        }
    }

    /// One number per resource.
    pub fn of(number: impl Fn(Resource) -> u64) -> Self {
        Self {
            cpu_milli: number(Resource::Cpu),
            memory_bytes: number(Resource::Memory),
            disk_read_bps: number(Resource::DiskRead),
            disk_write_bps: number(Resource::DiskWrite),
            net_in_bps: number(Resource::NetIn),
            net_out_bps: number(Resource::NetOut),
            storage_bytes: number(Resource::Storage),
        }
    }

    /// The sum, each number at most the largest there is.
    pub fn plus(&self, other: &Self) -> Self {
        Self::of(|resource| self.get(resource).saturating_add(other.get(resource)))
    }
}
