//! A second copy of the state, for readers: it takes over what each block changed, so that nobody reads what is being executed.

use std::fmt;

use super::State;
use super::storage::Storage;
use super::table::Table;

/// What one table changed, on its way to the copy.
pub(super) type Part = Box<dyn FnOnce(&mut State) + Send>;

/// What a block changed. Rows are copied when it is made, so that taking it over only moves them.
pub(crate) struct Changes(pub(super) Vec<Part>);

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

impl<K: Ord + Clone + Send + 'static, V: Clone + Send + 'static> Table<K, V> {
    pub(super) fn changes_for(&self, _copy: &Self, of: fn(&mut State) -> &mut Self) -> Part {
        let changes = self.changes();
        Box::new(move |state| of(state).absorb(changes))
    }
}

impl Storage {
    pub(super) fn changes_for(&self, copy: &Self, of: fn(&mut State) -> &mut Self) -> Part {
        let changes = self.changes(copy);
        Box::new(move |state| of(state).absorb(changes))
    }
}

impl State {
    /// Takes over what a block changed in the state that this one is a copy of.
    pub(crate) fn absorb(&mut self, changes: Changes) {
        for part in changes.0 {
            part(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::genesis::Policy;
    use crate::town::{Offer, Town, plan};
    use crate::transaction::{Pause, Transaction};

    /// After every block, a refused one among them, the copy is the state: rows, removed rows and histories.
    #[test]
    fn a_copy_follows_block_by_block() {
        let policy = Policy { epoch_blocks: 10, funded_blocks: 1, min_price: 0, ..Policy::default() };
        let mut town = Town::new(policy);
        let mut copy = town.machine.clone();
        for who in 1..=12 {
            town.register(who);
            copy.absorb(town.machine.changes_for(&copy));
            let offer = Offer::new("u33d", format!("operator {who}")).transaction();
            town.say(who, offer).unwrap();
            copy.absorb(town.machine.changes_for(&copy));
            assert_eq!(copy.snapshot(), town.machine.snapshot());
        }
        let draft = plan(&town, 50);
        let pause = Pause { until: Some(40) };
        for transaction in [Transaction::PublishPlan(draft), Transaction::Pause(pause), Transaction::Unpause {}] {
            town.say(1, transaction).unwrap();
            copy.absorb(town.machine.changes_for(&copy));
            assert_eq!(copy.snapshot(), town.machine.snapshot());
        }
        assert!(town.say(2, Transaction::Unpause {}).is_err());
        copy.absorb(town.machine.changes_for(&copy));
        town.say(12, Transaction::DeleteAccount {}).unwrap();
        copy.absorb(town.machine.changes_for(&copy));
        for _ in 0..40 {
            town.block(vec![]);
            copy.absorb(town.machine.changes_for(&copy));
            assert_eq!(copy.snapshot(), town.machine.snapshot());
        }
        assert!(copy.state().storage().len() > 12 && copy.state().hash() == town.state().hash());
    }
}
