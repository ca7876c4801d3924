//! Roots that may be signed wrongly (S31, S32). While nobody proved a chunk under a feed's signed root, a proof that does not lead to it
//! blames nobody; so an attester is asked to show the path of one chunk to a root that the feed's key signed. From then on the same
//! proof is its hoster's failure. Where attesters of several operators find no such path, there is nothing to host.

use std::collections::BTreeSet;

use super::super::State;
use super::super::agenda::Action;
use super::RootDoubt;
use crate::Id;
use crate::item::hosting::ContractStatus;
use crate::item::user::{Job, Role};
use crate::item::{Contract, Feed};
use crate::outcome::Refusal;
use crate::select::{Search, Terms};
use crate::transaction::RootReport;
use crate::transaction::hosting::RootFound;

impl State {
    /// A proof did not lead to the signed root, and nobody proved it yet: after some of them an attester is asked for a path, or a
    /// corrected root signature. The hoster is not blamed until then.
    pub(super) fn root_doubted(&mut self, contract: Id, chunk: u64, length: u64) -> Result<(), Refusal> {
        let feed = self.item::<Contract>(contract)?.feed;
        // What is left of a contract that ended is about nobody any more.
        let before = self.root_doubts.get(&feed).cloned();
        let before = before.filter(|doubt| doubt.attester.is_some() || self.is_live(doubt.contract).unwrap_or(false));
        let mut doubt = before.unwrap_or(RootDoubt {
            contract,
            length,
            chunk,
            failures: 0,
            attester: None,
            until: 0,
            in_vain: BTreeSet::new(),
        });
        doubt.failures = doubt.failures.saturating_add(1);
        let asks = doubt.attester.is_none() && doubt.failures >= self.policy().setup_failures.max(1);
        self.root_doubts.put(feed, doubt);
        if asks { self.ask_for_root(feed) } else { Ok(()) }
    }

    /// Asks an attester that has nothing to do with the feed, its contract or those that were asked before. Where none is found the next
    /// proof that fails asks again.
    fn ask_for_root(&mut self, feed: Id) -> Result<(), Refusal> {
        let Some(mut doubt) = self.root_doubts.get(&feed).cloned() else { return Ok(()) };
        let mut kept: Vec<(Role, Id)> = doubt.in_vain.iter().map(|attester| (Role::Attester, *attester)).collect();
        let hosters = &self.item::<Contract>(doubt.contract)?.active_hosters;
        kept.extend(hosters.iter().map(|hoster| (Role::Hoster, *hoster)));
        let terms = Terms { parties: self.parties_of([doubt.contract])?, ..Terms::default() };
        let avoid = kept.iter().map(|(_, user)| *user).collect();
        let search = Search { about: feed, wanted: vec![(Role::Attester, 1)], terms, kept, avoid };
        let attester = self.select(&search).ok().and_then(|mut team| team.remove(&Role::Attester)?.pop());
        let Some(attester) = attester else { return Ok(()) };
        let plan = self.item::<Contract>(doubt.contract)?.plan;
        if !self.hold_for(&[plan].into(), feed, self.policy().pay.storage)? {
            return Ok(());
        }
        self.book(attester, Role::Attester, feed, Job::RootCheck, 0)?;
        (doubt.attester, doubt.until) = (Some(attester), self.task_deadline());
        let what = format!("chunk {} of length {}, by block {}", doubt.chunk, doubt.length, doubt.until);
        self.root_doubts.put(feed, doubt);
        self.schedule(self.policy().task_blocks.saturating_add(1), Action::RootTimeout { feed });
        self.emit_with("rootRequested", &[feed, attester], what);
        Ok(())
    }

    /// What the attester found that was asked for a root.
    pub(super) fn report_root(&mut self, user: Id, report: &RootReport) -> Result<Vec<Id>, Refusal> {
        let feed = report.feed;
        self.item::<Feed>(feed)?;
        let doubt = self.root_doubts.get(&feed).filter(|doubt| doubt.attester == Some(user)).cloned();
        let Some(doubt) = doubt else {
            return Err(Refusal::not_allowed("only the attester that was asked for the root reports it"));
        };
        match &report.found {
            RootFound::Proved { corrected, proof } => {
                if let Some(corrected) = corrected {
                    if corrected.length != doubt.length {
                        return Err(Refusal::invalid("corrected", format!("not of length {}", doubt.length)));
                    }
                    self.add_version(feed, corrected)?;
                }
                let version = self.item::<Feed>(feed)?.versions.get(&doubt.length);
                let root =
                    version.map(|version| version.root).ok_or_else(|| Refusal::unknown("length", doubt.length))?;
                let sizes = proof
                    .verify(doubt.chunk, doubt.length, &root, |node| self.node_size(feed, node))
                    .map_err(|error| Refusal::invalid("proof", error.to_string()))?;
                self.proven_roots.put((feed, doubt.length), root);
                self.learn_sizes(feed, &sizes);
                self.pay_held(feed, &[(user, self.policy().pay.storage)])?;
                self.doubt_is_over(feed)?;
                self.rate(user, 1)?;
                self.emit_with("rootConfirmed", &[feed, user], format!("length {}", doubt.length));
            }
            RootFound::Unobtainable {} => self.root_not_obtained(feed, user)?,
        }
        Ok(Vec::new())
    }

    /// Nobody is paid for saying that there is nothing. When attesters of as many operators as the policy asks said so, the contract
    /// ends: its hosters can prove nothing, and what its publisher signed is the reason.
    fn root_not_obtained(&mut self, feed: Id, user: Id) -> Result<(), Refusal> {
        self.unbook(user, Role::Attester, feed)?;
        self.give_back(feed)?;
        self.emit("rootNotObtained", &[feed, user]);
        let Some(mut doubt) = self.root_doubts.get(&feed).cloned() else { return Ok(()) };
        doubt.attester = None;
        doubt.in_vain.insert(user);
        let (contract, over) = (doubt.contract, doubt.in_vain.len() >= self.policy().accusers.max(1) as usize);
        if !over {
            self.root_doubts.put(feed, doubt);
            return self.ask_for_root(feed);
        }
        self.root_doubts.take(&feed);
        self.emit("rootGivenUp", &[feed, contract]);
        let publisher = self.item::<Feed>(feed)?.publisher;
        self.rate(publisher, -1)?;
        self.stop_contract(contract, ContractStatus::Ended)
    }

    /// No report in time: the attester failed, another one is asked.
    pub(super) fn root_timeout(&mut self, feed: Id) -> Result<(), Refusal> {
        let late = |doubt: &&RootDoubt| doubt.until < self.height;
        let Some(attester) = self.root_doubts.get(&feed).filter(late).and_then(|doubt| doubt.attester) else {
            return Ok(());
        };
        self.attester_fails(attester, feed)?;
        self.give_back(feed)?;
        self.root_doubts.change(&feed, |doubt| doubt.attester = None);
        self.ask_for_root(feed)
    }

    /// A chunk was proved: where that is the root in doubt, nobody looks for it any more.
    pub(super) fn doubt_is_over(&mut self, feed: Id) -> Result<(), Refusal> {
        let Some(doubt) = self.root_doubts.get(&feed).cloned() else { return Ok(()) };
        if !self.has_proven_root(feed, doubt.chunk) {
            return Ok(());
        }
        self.root_doubts.take(&feed);
        self.give_back(feed)?;
        match doubt.attester {
            Some(attester) => self.unbook(attester, Role::Attester, feed),
            None => Ok(()),
        }
    }

    /// Whether somebody proved any chunk under some version that has this one: from then on nobody needs a version whose root may be
    /// signed wrongly.
    pub(super) fn has_proven_root(&self, feed: Id, chunk: u64) -> bool {
        self.proven_roots.range((feed, chunk.saturating_add(1))..=(feed, u64::MAX)).next().is_some()
    }

    /// The root of a feed that is in doubt, and who looks for a path to it.
    pub fn root_doubt_of(&self, feed: Id) -> Option<&RootDoubt> {
        self.root_doubts.get(&feed)
    }
}
