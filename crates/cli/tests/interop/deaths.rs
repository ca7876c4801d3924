//! A Kubo that dies, and what everybody was connected to.

use peermark_core::{Culprit, FailureClass, Outcome};
use peermark_dht::engine::EngineConfig;
use peermark_dht::operation::{Hit, Variant};

use crate::network::{K, Mixed, engine};
use crate::{Checked, ensure};

/// Lookups before the death, and after it.
const LOOKUPS: usize = 10;

/// The nearest holder of all records is killed midway: every lookup goes on to the next, and the dead peer is a failed hop with a
/// class and a culprit.
pub(crate) async fn lookups_go_on(mixed: &mut Mixed) -> Checked {
    let publisher = mixed.measurer(engine(Variant::Default, K)).await?;
    let finder = mixed.measurer(EngineConfig { alpha: 1, ..engine(Variant::Default, K) }).await?;
    let victim = mixed.kubos.len() - 1;
    let dying = mixed.kubos[victim].peer;
    let mut contents = Vec::new();
    for number in 0..2 * LOOKUPS {
        let content = mixed.content(&format!("survives {number}"), |nearest| nearest[0] == dying)?;
        mixed.provide(&publisher, &content.key).await?;
        contents.push(content);
    }
    let mut failed = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        if number == LOOKUPS {
            mixed.kubos[victim].kill().await?;
        }
        let retrieve = mixed.retrieve(&finder, &content.key).await;
        let found = retrieve.hit == Hit::Remote && retrieve.providers == [publisher.peer()];
        ensure(found, || format!("lookup {number}: {retrieve:?}"))?;
        let of_dying = retrieve.hops.iter().filter(|hop| hop.peer == dying && !hop.outcome.is_ok());
        failed.extend(of_dying.map(|hop| (number, hop.outcome)));
        let others_fail = retrieve.hops.iter().any(|hop| hop.peer != dying && !hop.outcome.is_ok());
        ensure(!others_fail, || format!("the failure is put on somebody else: {retrieve:?}"))?;
    }
    ensure(failed.first().is_some_and(|(number, _)| *number == LOOKUPS), || format!("failed hops: {failed:?}"))?;
    let plausible = [FailureClass::ConnectFailed, FailureClass::ConnectionReset, FailureClass::Timeout];
    for (number, outcome) in &failed {
        let told = matches!(outcome, Outcome::Failed { class, culprit }
            if plausible.contains(class) && matches!(culprit, Culprit::Peer | Culprit::Path));
        ensure(told, || format!("lookup {number}: {outcome:?}"))?;
    }
    drop(mixed.kubos.remove(victim));
    Ok(format!("{} of {} found; dead peer: {:?}", contents.len(), contents.len(), failed[0].1))
}

/// Every connection of every Kubo leads to loopback.
pub(crate) async fn nobody_left(mixed: &mut Mixed) -> Checked {
    let mut connections = 0;
    for kubo in mixed.kubos.iter().chain([&mixed.asker]) {
        for peer in kubo.peers().await? {
            let address = peer["Addr"].as_str().unwrap_or_default();
            ensure(address.starts_with("/ip4/127.0.0.1/"), || format!("a connection to {address:?}"))?;
            connections += 1;
        }
    }
    ensure(connections > 0, || "no connections at all".into())?;
    Ok(format!("{connections} connections, all on 127.0.0.1"))
}
