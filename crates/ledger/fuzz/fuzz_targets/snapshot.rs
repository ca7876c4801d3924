#![no_main]
//! See `peermark_ledger::fuzzing::snapshot`: first the length of a genesis (u16, big-endian), the genesis, then the snapshot.

use peermark_ledger::genesis::Genesis;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((genesis, snapshot)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    if let Ok(genesis) = Genesis::decode(genesis) {
        peermark_ledger::fuzzing::snapshot(&genesis, snapshot);
    }
});
