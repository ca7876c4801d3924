//! Through the machine, with entries that are signed.

mod components;
mod feeds;
mod model;
mod people;
mod plans;
mod rules;
