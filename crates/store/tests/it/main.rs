//! The store as its users see it: files on disk, other processes, bad input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]

mod crash;
mod dht;
mod evidence;
mod fixture;
mod observations;
mod opening;
mod records;
mod runs;
mod verifying;
