//! Questions to one server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rsntp::{AsyncSntpClient, Config, SynchronizationResult};
use tokio::time::timeout;

use super::{ClockConfig, ServerAnswer};

/// Port of time servers.
const PORT: u16 = 123;

/// Longest text about one server.
const MAX_TEXT_CHARS: usize = 200;

/// The best of some answers of one server.
pub(super) async fn server(server: &str, config: &ClockConfig) -> ServerAnswer {
    let within = Duration::from_millis(u64::from(config.timeout_ms));
    let mut answer =
        ServerAnswer { server: server.to_owned(), offset_ns: None, delay_ns: None, stratum: None, error: None };
    let address = match resolve(server, within).await {
        Ok(address) => address,
        Err(error) => return ServerAnswer { error: Some(error.chars().take(MAX_TEXT_CHARS).collect()), ..answer },
    };
    for _ in 0..config.samples {
        match once(address, within).await {
            Ok(said) => {
                let delay_ns = nanoseconds(said.round_trip_delay().as_secs_f64());
                if answer.delay_ns.is_none_or(|best| delay_ns < best) {
                    answer.offset_ns = Some(nanoseconds(said.clock_offset().as_secs_f64()));
                    answer.delay_ns = Some(delay_ns);
                    answer.stratum = Some(said.stratum());
                }
            }
            Err(error) => answer.error = Some(error.chars().take(MAX_TEXT_CHARS).collect()),
        }
    }
    if answer.offset_ns.is_some() {
        answer.error = None;
    }
    answer
}

async fn resolve(server: &str, within: Duration) -> Result<SocketAddr, String> {
    let looked_up = async {
        if let Ok(address) = server.parse::<IpAddr>() {
            return Ok(Some(SocketAddr::new(address, PORT)));
        }
        // `name:port` and `[address]:port`, or a name alone.
        if server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            return tokio::net::lookup_host(server).await.map(|mut found| found.next());
        }
        tokio::net::lookup_host((server, PORT)).await.map(|mut found| found.next())
    };
    match timeout(within, looked_up).await {
        Ok(Ok(Some(address))) => Ok(address),
        Ok(Ok(None)) => Err("the name has no address".into()),
        Ok(Err(error)) => Err(format!("resolve: {error}")),
        Err(_) => Err(format!("resolve: no answer within {within:?}")),
    }
}

async fn once(address: SocketAddr, within: Duration) -> Result<SynchronizationResult, String> {
    let any = if address.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let config = Config::default().bind_address(SocketAddr::new(any, 0)).timeout(within);
    let client = AsyncSntpClient::with_config(config);
    match timeout(within, client.synchronize(address)).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {within:?}")),
    }
}

fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
