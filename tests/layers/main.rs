//! The rules of the house as programs: dependencies between crates and within services, plain words, that the page
//! of rules names tests that exist, and that monitoring names metrics that exist. `make layers` runs them, and needs nothing but the sources.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod arrows;
mod libraries;
mod monitoring;
mod rules;
mod services;
mod sources;
mod words;
