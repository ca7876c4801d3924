#![no_main]
//! See `peermark_ledger::fuzzing::bundle`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peermark_ledger::fuzzing::bundle(bytes));
