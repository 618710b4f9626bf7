//! The service as its callers know it, on both modes: a real server, a real bus, and a fake of the conversation
//! service. One file for each command, query, consumer and worker.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account_states;
mod contact_erasures;
mod conversation_released;
mod conversation_started;
mod create_bot;
mod delete_bot;
mod engine_answers;
mod engine_streams;
mod engines;
mod event_streams;
mod fixture;
mod flow_steps;
mod flows;
mod get_bot;
mod get_bot_session;
mod last_turns;
mod list_bot_sessions;
mod list_bots;
mod timeouts;
mod timeouts_at_scale;
mod undelete_bot;
mod update_bot;
mod validate_flow;
mod visitor_message;
mod watch_bot_session;
