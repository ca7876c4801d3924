//! What a registration has to prove of the keys that it names.

use peermark_core::sealed::{Bytes, PublicKey, SigningKey};
use peermark_ledger::statement;
use peermark_ledger::transaction::Transaction;

/// Has each of `keys` that a registration or a change of keys names sign that it is the signer's (`address`). Other transactions, and keys that
/// are not named, stay as they are.
pub fn prove_possession(transaction: &mut Transaction, network: &str, address: PublicKey, keys: &[SigningKey]) {
    let (noise_key, signing_key, possession) = match transaction {
        Transaction::Register(register) => (register.noise_key, register.signing_key, &mut register.possession),
        Transaction::RotateKeys(rotate) => (rotate.noise_key, rotate.signing_key, &mut rotate.possession),
        _ => return,
    };
    let said = statement::possession(network, address, &noise_key, &signing_key);
    for key in keys {
        let signature = Some(Bytes(key.sign(said.as_bytes())));
        if key.public().0 == noise_key.0 {
            possession.noise = signature;
        }
        if key.public().0 == signing_key.0 {
            possession.signing = signature;
        }
    }
}

#[cfg(test)]
mod tests {
    use peermark_ledger::transaction::Register;

    use super::*;

    #[test]
    fn keys_sign_where_they_are_named() {
        let [owner, noise, signing, other] = [1, 2, 3, 4].map(|seed| SigningKey::from_seed([seed; 32]));
        let [noise_key, signing_key] = [&noise, &signing].map(|key| Bytes(key.public().0));
        let register = Register { noise_key, signing_key, work: 0, possession: Default::default() };
        let mut transaction = Transaction::Register(register);
        prove_possession(&mut transaction, "lab", owner.public(), &[other, noise, signing]);
        let Transaction::Register(Register { possession, .. }) = transaction else { panic!("another transaction") };
        let said = statement::possession("lab", owner.public(), &noise_key, &signing_key);
        for (key, signature) in [(noise_key, possession.noise), (signing_key, possession.signing)] {
            assert!(PublicKey(key.0).verifies(said.as_bytes(), &signature.unwrap().0));
        }
    }
}
