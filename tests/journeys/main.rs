//! Journeys through the whole suite: real servers, real clients, real kills. Each test names the rules it holds.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and tells what it measured")]

mod accounts;
mod audit;
mod bad_input;
mod bots;
mod canaries;
mod chats;
mod clients;
mod contacts;
mod distributed;
mod groups;
mod identity;
mod kills;
mod mail_server;
mod matrix;
mod pages;
mod races;
mod shutdown;
mod traces;
mod transcripts;
