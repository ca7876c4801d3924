//! Where a server is and how large its machine is, as its row says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use procfs::Current;

use super::config::ServerConfig;
use super::ecs::{self, Ecs};
use super::error::ServerError;

/// The part of a row that is about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Ipv4Addr,
    pub(super) region: String,
    pub(super) cpu: i32,
    /// MiB, which is what ECS limits are in.
    pub(super) memory: i32,
}

/// What the settings, the ECS metadata and the machine say, in this order.
pub(super) async fn find(config: &ServerConfig, bound: SocketAddr) -> Result<Place, ServerError> {
    let ecs = match (given(config.ecs_metadata.as_ref()), given(config.ecs_metadata_uri_v4.as_ref())) {
        (Some(json), _) => Some(ecs::parse(json)?),
        (None, Some(uri)) => Some(ecs::fetch(uri).await?),
        (None, None) => None,
    };
    place(config, bound, ecs)
}

fn place(config: &ServerConfig, bound: SocketAddr, ecs: Option<Ecs>) -> Result<Place, ServerError> {
    let ecs = ecs.unwrap_or(Ecs { address: None, cpu: None, memory: None, region: None });
    let own = match bound.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    };
    let address = config.advertise_ip.or(ecs.address).or(own).ok_or(ServerError::NoAddress { bound })?;
    Ok(Place {
        address,
        region: given(config.region.as_ref()).map(str::to_owned).or(ecs.region).unwrap_or_default(),
        cpu: ecs.cpu.unwrap_or_else(cores),
        memory: ecs.memory.unwrap_or_else(memory_mib),
    })
}

/// Environment variables that are there and empty mean the same as absent ones.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn cores() -> i32 {
    std::thread::available_parallelism().map_or(1, |cores| i32::try_from(cores.get()).unwrap_or(i32::MAX))
}

fn memory_mib() -> i32 {
    let bytes = procfs::Meminfo::current().map_or(0, |memory| memory.mem_total);
    i32::try_from((bytes + (1 << 19)) >> 20).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bound: &str, config: &ServerConfig, ecs: Option<Ecs>) -> Result<Place, ServerError> {
        place(config, bound.parse().unwrap(), ecs)
    }

    #[test]
    fn what_is_said_outranks_what_is_found() {
        let ecs = Ecs {
            address: Some(Ipv4Addr::new(10, 0, 2, 100)),
            cpu: Some(2),
            memory: Some(512),
            region: Some("us-west-2".into()),
        };
        let silent = ServerConfig::default();
        let found = at("0.0.0.0:7070", &silent, Some(ecs.clone())).unwrap();
        let expected = Place { address: Ipv4Addr::new(10, 0, 2, 100), region: "us-west-2".into(), cpu: 2, memory: 512 };
        assert_eq!(found, expected);
        let said = ServerConfig {
            region: Some("eu".into()),
            advertise_ip: Some(Ipv4Addr::new(192, 0, 2, 7)),
            ..ServerConfig::default()
        };
        let found = at("0.0.0.0:7070", &said, Some(ecs)).unwrap();
        assert_eq!((found.address, found.region.as_str()), (Ipv4Addr::new(192, 0, 2, 7), "eu"));
    }

    #[test]
    fn the_machine_speaks_for_itself_and_a_wildcard_is_no_address() {
        let silent = ServerConfig { region: Some(String::new()), ..ServerConfig::default() };
        let found = at("127.0.0.1:7070", &silent, None).unwrap();
        assert_eq!((found.address, found.region.as_str()), (Ipv4Addr::LOCALHOST, ""));
        assert!(found.cpu >= 1 && found.memory > 64, "{found:?}");
        for bound in ["0.0.0.0:7070", "[::]:7070", "[::1]:7070"] {
            let error = at(bound, &silent, None).unwrap_err();
            assert!(error.to_string().contains("--advertise-ip"), "{error}");
        }
    }
}
