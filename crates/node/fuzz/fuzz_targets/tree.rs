#![no_main]
//! See `peermark_node::fuzzing::tree`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peermark_node::fuzzing::tree(bytes));
