//! The monitor as its users and its colleagues meet it: real programs, sockets, servers and nodes on loopback and free ports, files
//! on disk, other processes, bad input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]

mod bus;
mod history_fixture;
mod history_footprint;
mod history_kill;
mod history_prune;
mod history_read;
mod history_trouble;
mod net;
