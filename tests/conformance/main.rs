//! Conformance: what bus, outbox and database promise, tested on both modes (SQLite with the in-process bus, PostgreSQL
//! with NATS JetStream). Each promise is one function over a [`backend::Backend`].

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod backend;
mod broker;
mod bus;
mod consumers;
mod database;
mod outbox;
mod row_level_security;
mod schema;
