//! Which transaction is whose: people, feeds and plans in `registry`, hosting and measuring in `work`.

use peermark_core::sealed::PublicKey;

use super::State;
use super::agenda::Action;
use crate::outcome::Refusal;
use crate::transaction::Transaction;
use crate::{Digest, Height, Id};

/// How often an action is tried, in blocks one after the other.
const MOST_TRIES: u8 = 8;

impl State {
    /// Applies a transaction. Where it is refused, whatever was changed is taken back by the caller.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn apply(
        &mut self,
        signer: PublicKey,
        entry: Digest,
        transaction: &Transaction,
    ) -> Result<Vec<Id>, Refusal> {
        use Transaction as T;
        match transaction {
            T::HostingSetupReport(_)
            | T::HosterReplacementReport(_)
            | T::AnswerSetup(_)
            | T::SubmitStorageChallenge(_)
            | T::SubmitRoot(_)
            | T::CommitPerformance(_)
            | T::RevealPerformance(_)
            | T::SelfReport(_)
            | T::ReportChange(_)
            | T::PublishCoordinates(_) => self.apply_work(signer, entry, transaction),
            _ => self.apply_registry(signer, entry, transaction),
        }
    }

    /// Runs every action that is due, in the order of (height, number). Each is kept whole or taken back.
    pub(crate) fn run_due(&mut self) {
        while let Some(key) = self.first_due() {
            let Some(action) = self.agenda.take(&key) else { break };
            self.keep();
            match self.run(&action) {
                Ok(()) => self.keep(),
                Err(refusal) => {
                    self.take_back();
                    self.emit_with("actionRefused", &[], format!("{action:?}: {refusal}"));
                    self.try_again(action);
                    self.keep();
                }
            }
        }
    }

    /// What failed is not lost: others wait for it. It is tried in the blocks that follow, and given up when nothing changes. The end of
    /// an epoch and pay are due again in their time whatever became of this one.
    fn try_again(&mut self, action: Action) {
        let (tries, action) = match action {
            Action::Again { tries, action } => (tries.saturating_add(1), action),
            action => (1, Box::new(action)),
        };
        if tries < MOST_TRIES {
            self.schedule(1, Action::Again { tries, action });
            return;
        }
        self.emit_with("actionGivenUp", &[], format!("{action:?}"));
        let rest = Height::from(MOST_TRIES - 1);
        match *action {
            Action::Epoch {} => {
                // It could not be evaluated: the next one begins all the same, and its numbers are its own.
                self.begin_epoch(self.epoch().saturating_add(1));
                let blocks = self.policy().epoch_blocks;
                self.schedule(blocks.saturating_sub(rest), Action::Epoch {});
            }
            Action::Pay { contract } => {
                let (next, _) = self.schedule(self.policy().pay_blocks, Action::Pay { contract });
                self.paid.change(&contract, |paid| paid.next = next);
            }
            _ => {}
        }
    }

    fn first_due(&self) -> Option<(Height, u64)> {
        self.agenda.range(..=(self.height, u64::MAX)).next().map(|(key, _)| *key)
    }

    fn run(&mut self, action: &Action) -> Result<(), Refusal> {
        match action {
            Action::Again { action, .. } => self.run(action),
            Action::PlanEnd { .. } | Action::Window { .. } | Action::PauseEnds { .. } => self.run_registry(action),
            _ => self.run_work(action),
        }
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::sealed::{Bytes, SigningKey};

    use super::*;
    use crate::genesis::{Genesis, Policy};

    fn state() -> State {
        State::new(Genesis {
            name: "lab".into(),
            sequencer: SigningKey::from_seed([1; 32]).public(),
            admins: vec![],
            admin_threshold: 1,
            grants: vec![],
            beacon: crate::beacon::BeaconRule::Checkpoint,
            policy: Policy { epoch_blocks: 1000, ..Policy::default() },
        })
    }

    fn blocks(state: &mut State, heights: std::ops::RangeInclusive<Height>) -> Vec<(Height, String)> {
        let mut all = Vec::new();
        for height in heights {
            state.begin(height, Bytes([1; 32]));
            state.run_due();
            all.extend(state.end().into_iter().map(|event| (height, event.name)));
        }
        all
    }

    #[test]
    fn an_action_that_fails_is_tried_again_and_given_up_at_last() {
        let mut state = state();
        // There is no plan of this number.
        state.schedule(1, Action::PlanEnd { plan: 77 });
        let events = blocks(&mut state, 1..=20);
        let tries: Vec<Height> =
            events.iter().filter(|(_, name)| name == "actionRefused").map(|(height, _)| *height).collect();
        assert_eq!(tries, (1..=8).collect::<Vec<_>>());
        assert_eq!(events.last(), Some(&(8, "actionGivenUp".to_owned())));
        assert_eq!(state.agenda.len(), 1, "the end of the epoch alone");
    }

    #[test]
    fn an_action_succeeds_when_its_cause_is_gone() {
        let mut state = state();
        state.schedule(1, Action::PlanEnd { plan: 0 });
        assert_eq!(blocks(&mut state, 1..=3).len(), 3);
        let plan = crate::item::Plan {
            sponsor: 0,
            from: 0,
            until: Default::default(),
            program: vec![],
            importance: 0,
            price: 0,
            contracts: vec![],
            spent: 0,
            traffic_bytes: 0,
            status: crate::item::plan::PlanStatus::Ended,
        };
        state.create(plan);
        assert_eq!(blocks(&mut state, 4..=20), []);
    }
}
