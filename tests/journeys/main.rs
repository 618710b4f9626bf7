//! Journeys through the whole suite by its public API: real servers, real clients, real kills. Each test names the
//! rules that it holds.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and prints what it measured")]

mod account_ends;
mod accounts;
mod audit;
mod bad_input;
mod bots;
mod broker;
mod browsers;
mod canaries;
mod chats;
mod clients;
mod contacts;
mod contract;
mod distributed;
mod doctor;
mod engines;
mod erasures;
mod gateways;
mod identity;
mod interrupted_starts;
mod kills;
mod limits;
mod mail_server;
mod matrix;
mod message_batches;
mod metrics;
mod object_store;
mod pages;
mod probes;
mod queues;
mod races;
mod removals;
mod routing;
mod routing_returns;
mod shutdown;
mod traces;
mod transcripts;
