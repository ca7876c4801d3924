//! One Kubo: its repository, its daemon, its command line.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::process::Leased;
use crate::{Failure, ensure, wait_for};

/// Longest time for one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time from the start of a daemon to its readiness.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A running Kubo. It ends with this.
pub(crate) struct Kubo {
    program: PathBuf,
    directory: TempDir,
    daemon: Leased,
    pub(crate) peer: PeerId,
    /// Where it listens, peer id included.
    pub(crate) address: Multiaddr,
}

impl Kubo {
    /// Makes a repository that knows nobody and starts its daemon: as a server of the DHT, or as a client that only asks.
    pub(crate) async fn start(program: &Path, serves: bool) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        // The profile listens on loopback alone, empties the bootstrap list, and turns local discovery, automatic configuration and
        // certificates off. Loopback addresses count in its local DHT then.
        run(program, directory.path(), &["init", "--profile=test"], &[]).await?;
        configure(&directory.path().join("config"), if serves { "dhtserver" } else { "dhtclient" })?;
        let log = directory.path().join("daemon.log");
        let mut command = Leased::own(&["lab", "guard", "--"]);
        command.arg(program).arg("daemon");
        environment(&mut command, directory.path());
        let mut daemon = Leased::start(command, &log, false)?;
        wait_for("a Kubo to be ready", READY_TIMEOUT, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let seen = match () {
                () if text.contains("Daemon is ready") => Ok(Some(())),
                () if daemon.has_ended() => Err(format!("Kubo ended: {text}").into()),
                () => Ok(None),
            };
            async { seen }
        })
        .await?;
        let id: Value = serde_json::from_slice(&run(program, directory.path(), &["id"], &[]).await?)?;
        let peer = id["ID"].as_str().ok_or("no peer id")?.parse()?;
        let address = id["Addresses"][0].as_str().ok_or("no address")?.parse()?;
        Ok(Self { program: program.to_owned(), directory, daemon, peer, address })
    }

    /// Runs `ipfs` on this node and returns what it prints.
    pub(crate) async fn ipfs(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        run(&self.program, self.directory.path(), arguments, &[]).await
    }

    /// The same, for what prints JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let arguments = [arguments, &["--enc=json"]].concat();
        Ok(serde_json::from_slice(&self.ipfs(&arguments).await?)?)
    }

    /// The same, for what prints lines.
    pub(crate) async fn lines(&self, arguments: &[&str]) -> Result<Vec<String>, Failure> {
        let text = String::from_utf8(self.ipfs(arguments).await?)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    pub(crate) async fn version(&self) -> Result<String, Failure> {
        Ok(self.lines(&["version", "--number"]).await?.concat())
    }

    /// Stores a block under the raw codec and returns its CID.
    pub(crate) async fn put(&self, bytes: &[u8]) -> Result<String, Failure> {
        let printed = run(&self.program, self.directory.path(), &["block", "put"], bytes).await?;
        Ok(String::from_utf8(printed)?.trim().to_owned())
    }

    /// Publishes that it has a block.
    pub(crate) async fn provide(&self, cid: &str) -> Result<(), Failure> {
        self.ipfs(&["routing", "provide", cid]).await.map(drop)
    }

    /// The first provider of a CID that it finds.
    pub(crate) async fn first_provider(&self, cid: &str) -> Result<PeerId, Failure> {
        let found = self.lines(&["routing", "findprovs", "--num-providers=1", "--timeout=30s", cid]).await?;
        Ok(found.first().ok_or_else(|| format!("Kubo finds no provider of {cid}"))?.parse()?)
    }

    pub(crate) async fn connect(&self, address: &Multiaddr) -> Result<(), Failure> {
        self.ipfs(&["swarm", "connect", &address.to_string()]).await.map(drop)
    }

    /// Peers that it is connected to, with their addresses and open streams.
    pub(crate) async fn peers(&self) -> Result<Vec<Value>, Failure> {
        let document = self.json(&["swarm", "peers", "--streams"]).await?;
        Ok(document["Peers"].as_array().cloned().unwrap_or_default())
    }

    /// Peers in the routing table of its local DHT.
    pub(crate) async fn table(&self) -> Result<Vec<PeerId>, Failure> {
        let document = self.json(&["stats", "dht", "lan"]).await?;
        let buckets = document["Buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let peers = buckets.iter().flat_map(|bucket| bucket["Peers"].as_array().into_iter().flatten());
        Ok(peers.filter_map(|peer| peer["ID"].as_str()?.parse().ok()).collect())
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        self.daemon.kill().await
    }
}

/// Turns off what talks to others unasked, beyond what the profile turns off.
fn configure(path: &Path, routing: &str) -> Result<(), Failure> {
    let mut config: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    config["Routing"]["Type"] = routing.into();
    config["Swarm"]["RelayClient"]["Enabled"] = false.into();
    config["Swarm"]["RelayService"]["Enabled"] = false.into();
    config["Swarm"]["EnableHolePunching"] = false.into();
    config["AutoNAT"]["ServiceMode"] = "disabled".into();
    config["HTTPRetrieval"]["Enabled"] = false.into();
    config["Version"] = json!({ "SwarmCheckEnabled": false });
    config["Plugins"]["Plugins"] = json!({ "telemetry": { "Disabled": true } });
    ensure(config["Bootstrap"] == json!([]), || format!("Kubo would join {}", config["Bootstrap"]))?;
    ensure(config["Routing"]["LoopbackAddressesOnLanDHT"] == true, || "Kubo's DHT would not use loopback".into())?;
    std::fs::write(path, serde_json::to_vec_pretty(&config)?)?;
    Ok(())
}

fn environment(command: &mut Command, repository: &Path) {
    let none = "";
    command.env_clear().envs([("IPFS_TELEMETRY", "off"), ("PATH", none)]);
    command.env("IPFS_PATH", repository).env("HOME", repository).current_dir(repository);
}

async fn run(program: &Path, repository: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    environment(&mut command, repository);
    let running = async {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().ok_or("no stdin")?;
        stdin.write_all(input).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        ensure(output.status.success(), || {
            format!("ipfs {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
        })?;
        Ok(output.stdout)
    };
    let done = tokio::time::timeout(COMMAND_TIMEOUT, running).await;
    done.unwrap_or_else(|_| Err(format!("ipfs {}: no answer in time", arguments.join(" ")).into()))
}
