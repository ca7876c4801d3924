//! Records that our engines publish.

use peermark_dht::operation::{Hit, Operation, Rpc, Variant};

use crate::network::{FEW, K, Mixed, engine};
use crate::{Checked, Failure, ensure};

/// Rounds of each variant: more than the five lookups after which optimistic provide knows the size of the network.
const ROUNDS: usize = 8;

fn of(operation: &Operation, rpc: Rpc) -> impl Iterator<Item = &peermark_dht::operation::Hop> {
    operation.hops.iter().filter(move |hop| hop.rpc == rpc)
}

/// A record that only servers of ours hold, and one that only Kubos hold: a Kubo that was told nothing finds us by either.
pub(crate) async fn kubo_finds_ours(mixed: &mut Mixed) -> Checked {
    let publisher = mixed.measurer(engine(Variant::Default, FEW)).await?;
    let ours = mixed.content("held by ours", |nearest| nearest[..FEW].iter().all(|peer| mixed.is_ours(peer)))?;
    let kubos = mixed.content("held by Kubos", |nearest| nearest[..FEW].iter().all(|peer| mixed.is_kubo(peer)))?;
    for content in [ours, kubos] {
        let provide = mixed.provide(&publisher, &content.key).await?;
        let mut holders: Vec<_> = of(&provide, Rpc::AddProvider).map(|hop| hop.peer).collect();
        let mut expected = mixed.nearest(&content.key)[..FEW].to_vec();
        holders.sort();
        expected.sort();
        ensure(holders == expected, || format!("stored with {holders:?}, not with the nearest {expected:?}"))?;
        let found = mixed.asker.first_provider(&content.cid).await?;
        ensure(found == publisher.peer(), || format!("Kubo finds {found}"))?;
    }
    Ok(format!("by {FEW} servers of ours alone, by {FEW} Kubos alone"))
}

/// ADD_PROVIDER has no answer. The question behind it on the same stream has one, and Kubo's names us: it was stored by then.
pub(crate) async fn confirmed_means_stored(mixed: &mut Mixed) -> Checked {
    let publisher = mixed.measurer(engine(Variant::Default, FEW)).await?;
    let finder = mixed.measurer(engine(Variant::Default, FEW)).await?;
    let rounds = 10;
    for round in 0..rounds {
        let label = format!("confirmed {round}");
        let content = mixed.content(&label, |nearest| nearest[..FEW].iter().all(|peer| mixed.is_kubo(peer)))?;
        let provide = mixed.provide(&publisher, &content.key).await?;
        let confirmed: Vec<_> = of(&provide, Rpc::Confirm).collect();
        ensure(confirmed.len() == FEW && usize::from(provide.stored) == FEW, || format!("{confirmed:?}"))?;
        for hop in confirmed {
            let named = hop.outcome.is_ok() && hop.providers == 1;
            ensure(named && mixed.is_kubo(&hop.peer), || format!("Kubo confirms without naming us: {hop:?}"))?;
        }
        let retrieve = mixed.retrieve(&finder, &content.key).await;
        ensure(retrieve.providers == [publisher.peer()], || format!("not found: {retrieve:?}"))?;
    }
    Ok(format!("{} of {} confirmations name us", rounds * FEW, rounds * FEW))
}

/// Hops that each family answered.
#[derive(Default)]
struct Answers {
    kubo: usize,
    ours: usize,
}

impl Answers {
    fn count(&mut self, mixed: &Mixed, operation: &Operation) {
        for hop in operation.hops.iter().filter(|hop| hop.outcome.is_ok()) {
            self.kubo += usize::from(mixed.is_kubo(&hop.peer));
            self.ours += usize::from(mixed.is_ours(&hop.peer));
        }
    }
}

/// Each variant publishes, and finds what it published; so does a Kubo.
pub(crate) async fn every_variant(mixed: &mut Mixed) -> Checked {
    let mut seen = Vec::new();
    for variant in [Variant::Default, Variant::OptProv, Variant::FullRt] {
        let answers = one_variant(mixed, variant).await.map_err(|error| format!("{}: {error}", variant.as_str()))?;
        seen.push(format!("{} {} + {}", variant.as_str(), answers.kubo, answers.ours));
    }
    Ok(format!("answers of Kubo + ours: {}", seen.join(", ")))
}

async fn one_variant(mixed: &Mixed, variant: Variant) -> Result<Answers, Failure> {
    let publisher = mixed.measurer(engine(variant, K)).await?;
    let finder = mixed.measurer(engine(variant, K)).await?;
    let mut answers = Answers::default();
    let everybody = mixed.kubos.len() + mixed.servers.len();
    if variant == Variant::FullRt {
        let known = finder.engine.host().connected();
        ensure(known >= everybody, || format!("the crawl reached {known} of {everybody}"))?;
    }
    for round in 0..ROUNDS {
        let content = mixed.content(&format!("{} {round}", variant.as_str()), |_| true)?;
        let provide = mixed.provide(&publisher, &content.key).await?;
        ensure(usize::from(provide.stored) >= K, || format!("{} records are confirmed: {provide:?}", provide.stored))?;
        let retrieve = mixed.retrieve(&finder, &content.key).await;
        let found = retrieve.hit == Hit::Remote && retrieve.providers == [publisher.peer()];
        ensure(found, || format!("not found: {retrieve:?}"))?;
        [provide, retrieve].iter().for_each(|operation| answers.count(mixed, operation));
        let by_kubo = mixed.asker.first_provider(&content.cid).await?;
        ensure(by_kubo == publisher.peer(), || format!("Kubo finds {by_kubo}"))?;
    }
    if variant == Variant::OptProv {
        let size = publisher.engine.network_size().ok_or("no estimate of the network's size")?;
        ensure((2.0..100.0).contains(&size), || format!("{everybody} servers estimated as {size:.0}"))?;
    }
    ensure(answers.kubo > 0 && answers.ours > 0, || format!("{} + {} answers", answers.kubo, answers.ours))?;
    Ok(answers)
}
