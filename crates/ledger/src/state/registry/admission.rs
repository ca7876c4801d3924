//! Who is heard: users, and strangers where it costs them something. Keys are free, so what a stranger says must not be.

use peermark_core::sealed::PublicKey;

use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::statement::registration_bits;
use crate::transaction::{Register, Transaction};

impl State {
    /// Whether this signer may say this: users whatever they like, others only register with their work done, move money that they
    /// have, or show who keeps two histories; admins and the sequencer as such.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn admits(&self, signer: PublicKey, transaction: &Transaction) -> Result<(), Refusal> {
        if signer == self.genesis.sequencer || self.user_of(signer).is_ok() {
            return Ok(());
        }
        match transaction {
            Transaction::Register(register) => self.check_work(signer, register),
            Transaction::Grant(_) | Transaction::Policy(_) if self.genesis.admins.contains(&signer) => Ok(()),
            Transaction::Transfer(_) if self.balance(&Account::Money(signer)) > 0 => Ok(()),
            Transaction::Evidence(evidence) => {
                let (offender, _) = self.read_evidence(evidence)?;
                if self.is_known(offender) {
                    Ok(())
                } else {
                    Err(Refusal::not_allowed("evidence against a signer that is unknown"))
                }
            }
            _ => Err(Refusal::not_allowed("the signer is not registered")),
        }
    }

    /// Whether there is a row of this signer already, or it paid for one: its number is used up also by what is refused.
    pub(crate) fn is_known(&self, signer: PublicKey) -> bool {
        self.chains.contains(&signer)
            || self.user_by_address.contains(&signer)
            || self.balance(&Account::Money(signer)) > 0
            || signer == self.genesis.sequencer
            || self.genesis.admins.contains(&signer)
    }

    /// The proof of work of a registration.
    pub(super) fn check_work(&self, signer: PublicKey, register: &Register) -> Result<(), Refusal> {
        let bits = self.policy().work_bits;
        let Register { noise_key, signing_key, work, .. } = register;
        if registration_bits(&self.genesis.network(), signer, noise_key, signing_key, *work) < bits {
            return Err(Refusal::invalid("work", format!("fewer than {bits} leading zero bits")));
        }
        Ok(())
    }
}
