//! Records that Kubo publishes, and many questions to one Kubo.

use libp2p::PeerId;
use libp2p::identity::Keypair;
use peermark_dht::engine::EngineConfig;
use peermark_dht::operation::{Hit, Variant};

use crate::network::{Content, Mixed, PROTOCOL, engine};
use crate::{Checked, Failure, ensure};

/// Lookups in a row.
const LOOKUPS: usize = 50;

/// Draws of an identity.
const DRAWS: usize = 100;

/// A Kubo publishes. A server of ours that came later is nearest and knows of no provider, a Kubo is next and does: the way to the
/// record leads through both.
pub(crate) async fn we_find_kubos(mixed: &mut Mixed) -> Checked {
    let (newcomer, content) = beside_a_kubo(mixed)?;
    let latest = newcomer.public().to_peer_id();
    let publisher = &mixed.kubos[0];
    let cid = publisher.put(&content.bytes).await?;
    ensure(cid == content.cid, || format!("Kubo calls the content {cid}, we call it {}", content.cid))?;
    publisher.provide(&cid).await?;
    let provider = publisher.peer;
    mixed.serve(newcomer).await?;
    mixed.settle().await?;
    let one_at_a_time = EngineConfig { alpha: 1, ..engine(Variant::Default, 3) };
    let finder = mixed.measurer(one_at_a_time).await?;
    let retrieve = mixed.retrieve(&finder, &content.key).await;
    ensure(retrieve.hit == Hit::Remote && retrieve.providers == [provider], || format!("not found: {retrieve:?}"))?;
    let hops: Vec<_> = retrieve.hops.iter().map(|hop| (hop.peer, hop.outcome.is_ok(), hop.providers)).collect();
    let as_laid = hops.len() == 2 && hops[0] == (latest, true, 0) && mixed.is_kubo(&hops[1].0) && hops[1].2 == 1;
    ensure(as_laid, || format!("another way than laid: {hops:?}"))?;
    Ok("2 hops: ours, then Kubo".into())
}

/// An identity and a content that it is nearest to, with a Kubo next to it.
fn beside_a_kubo(mixed: &Mixed) -> Result<(Keypair, Content), Failure> {
    for _ in 0..DRAWS {
        let newcomer = Keypair::generate_ed25519();
        let latest = newcomer.public().to_peer_id();
        let lies = |nearest: &[PeerId]| nearest[0] == latest && mixed.is_kubo(&nearest[1]);
        if let Ok(content) = mixed.content_beside("published by Kubo", Some(latest), lies) {
            return Ok((newcomer, content));
        }
    }
    Err("no newcomer lies beside a Kubo".into())
}

/// One question after the other to one Kubo: every one is answered, and no stream is added.
pub(crate) async fn one_stream(mixed: &mut Mixed) -> Checked {
    let kubo = &mixed.kubos[1];
    let nearest_only = EngineConfig { alpha: 1, beta: 1, ..engine(Variant::Default, 1) };
    let finder = mixed.measurer(nearest_only).await?;
    let streams = || async {
        let peers = kubo.peers().await?;
        let local = finder.peer().to_string();
        let open = peers.iter().filter(|peer| peer["Peer"] == local.as_str());
        let open = open.flat_map(|peer| peer["Streams"].as_array().into_iter().flatten());
        Ok::<_, Failure>(open.filter(|stream| stream["Protocol"] == PROTOCOL).count())
    };
    let before = streams().await?;
    for number in 0..LOOKUPS {
        let content = mixed.content(&format!("asked {number}"), |nearest| nearest[0] == kubo.peer)?;
        let retrieve = mixed.retrieve(&finder, &content.key).await;
        let asked = retrieve.hops.len() == 1 && retrieve.hops[0].peer == kubo.peer && retrieve.hops[0].outcome.is_ok();
        ensure(retrieve.hit == Hit::Miss && asked, || format!("lookup {number}: {retrieve:?}"))?;
        ensure(number == 0 || retrieve.hops[0].dial_ns == 0, || format!("lookup {number} dials again"))?;
    }
    let after = streams().await?;
    ensure(after >= 1 && after <= before.max(1), || format!("{before} streams before, {after} after"))?;
    Ok(format!("{LOOKUPS} of {LOOKUPS} answered; Kubo counts {before} streams before, {after} after"))
}
