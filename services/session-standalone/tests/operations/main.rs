//! Every operation of the API, over HTTP with the real program, and the program's own command line.
//! In one binary, as linking costs more than most of these take; what measures time, or wants the
//! machine for itself, is a binary of its own.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod authorisation;
mod changes;
mod cli;
mod data_dir;
mod devices;
mod events;
mod gateway;
mod metrics;
mod parallel;
mod patience;
mod places;
mod refresh;
mod refusals;
mod revocations;
mod secrecy;
mod services;
mod sessions;
