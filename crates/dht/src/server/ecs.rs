//! ECS container metadata, version 4: where a task finds its own address and limits on AWS.
//!
//! Source: AWS, "Amazon ECS task metadata endpoint version 4"; the keys that parsec uses too: `Limits.CPU`, `Limits.Memory`,
//! `Networks[].NetworkMode`, `Networks[].IPv4Addresses`, `ContainerARN`.

use std::net::Ipv4Addr;
use std::time::Duration;

use peermark_node::client::{ClientError, ClientOptions, NodeClient};
use serde::Deserialize;
use thiserror::Error;

/// Longest wait for the metadata endpoint, which is on the same host.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The only network mode in which a container has an address of its own that others reach.
const AWSVPC: &str = "awsvpc";

/// Why ECS metadata cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EcsError {
    /// It is not what the endpoint gives.
    #[error("not the JSON of the metadata endpoint")]
    Json(#[source] serde_json::Error),
    /// The endpoint did not answer as it should.
    #[error("cannot get {uri}")]
    Get {
        /// Where it was asked for.
        uri: String,
        /// What came instead.
        source: ClientError,
    },
    /// The endpoint answered with another success than 200.
    #[error("cannot get {uri}: the answer is empty")]
    Empty {
        /// Where it was asked for.
        uri: String,
    },
}

/// What the metadata says about this container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ecs {
    /// First address of the first `awsvpc` network that has one. parsec wants exactly one address; tasks with several exist.
    pub(super) address: Option<Ipv4Addr>,
    /// Limit of CPU, in the units in which the endpoint gives it.
    pub(super) cpu: Option<i32>,
    /// Limit of memory, in MiB.
    pub(super) memory: Option<i32>,
    /// Region, by the container's ARN.
    pub(super) region: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    limits: Option<Limits>,
    #[serde(default)]
    networks: Vec<Network>,
    #[serde(rename = "ContainerARN")]
    container_arn: Option<String>,
}

#[derive(Deserialize)]
struct Limits {
    #[serde(rename = "CPU")]
    cpu: Option<f64>,
    #[serde(rename = "Memory")]
    memory: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    network_mode: Option<String>,
    #[serde(default, rename = "IPv4Addresses")]
    addresses: Vec<Ipv4Addr>,
}

/// Reads the JSON of the endpoint.
pub(super) fn parse(json: &str) -> Result<Ecs, EcsError> {
    let document: Document = serde_json::from_str(json).map_err(EcsError::Json)?;
    let vpc = |network: &&Network| network.network_mode.as_deref() == Some(AWSVPC);
    let address = document.networks.iter().filter(vpc).find_map(|network| network.addresses.first().copied());
    // arn:aws:ecs:us-west-2:111122223333:container/...
    let region =
        document.container_arn.as_deref().and_then(|arn| arn.split(':').nth(3)).filter(|name| !name.is_empty());
    let limit = |value: Option<f64>| value.map(|value| value.round().clamp(0.0, f64::from(i32::MAX)) as i32);
    let (cpu, memory) = document.limits.map_or((None, None), |limits| (limit(limits.cpu), limit(limits.memory)));
    Ok(Ecs { address, cpu: positive(cpu), memory: positive(memory), region: region.map(str::to_owned) })
}

/// 0 is how the endpoint says that there is no limit.
fn positive(limit: Option<i32>) -> Option<i32> {
    limit.filter(|limit| *limit > 0)
}

/// Asks the endpoint.
pub(super) async fn fetch(uri: &str) -> Result<Ecs, EcsError> {
    let failed = |source| EcsError::Get { uri: uri.to_owned(), source };
    let options = ClientOptions { connect_timeout: TIMEOUT, timeout: TIMEOUT, max_connections: 1 };
    let client = NodeClient::new(uri, options).map_err(failed)?;
    let text = client.get_text(client.endpoint().base_path().unwrap_or("/")).await.map_err(failed)?;
    if text.is_empty() {
        return Err(EcsError::Empty { uri: uri.to_owned() });
    }
    parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vpc_network_with_an_address_counts() {
        let json = r#"{
            "Limits": { "CPU": 10, "Memory": 128 },
            "ContainerARN": "arn:aws:ecs:us-west-2:111122223333:container/0206b271",
            "Networks": [
                { "NetworkMode": "bridge", "IPv4Addresses": ["172.17.0.2"] },
                { "NetworkMode": "awsvpc", "IPv4Addresses": [] },
                { "NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.2.100", "10.0.2.101"], "SubnetGatewayIpv4Address": "10.0.2.1/24" },
                { "NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.3.100"] }
            ]
        }"#;
        let expected = Ecs {
            address: Some(Ipv4Addr::new(10, 0, 2, 100)),
            cpu: Some(10),
            memory: Some(128),
            region: Some("us-west-2".into()),
        };
        assert_eq!(parse(json).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_is_not_made_up() {
        let nothing = Ecs { address: None, cpu: None, memory: None, region: None };
        assert_eq!(parse("{}").unwrap(), nothing);
        assert_eq!(parse(r#"{"Limits":{"CPU":0,"Memory":0},"ContainerARN":"x"}"#).unwrap(), nothing);
        assert!(matches!(parse("http://169.254.170.2/v4"), Err(EcsError::Json(_))));
        assert!(matches!(
            parse(r#"{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.0/8"]}]}"#),
            Err(EcsError::Json(_))
        ));
    }
}
