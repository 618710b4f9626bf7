//! Tests of the service through gRPC and events, on both modes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account_states;
mod address_codes;
mod agent_mails;
mod cancel_delivery;
mod chat;
mod compose;
mod create_sender;
mod decide_transcripts;
mod delete_sender;
mod deliver;
mod erase_contact;
mod event_streams;
mod explain_transcript;
mod fixture;
mod get_sender;
mod hung_mail_server;
mod lists;
mod mail_server;
mod preview_transcript;
mod receiver;
mod retry_delivery;
mod send_transcript;
mod set_fallback_sender;
mod signed_mails;
mod suppressions;
mod transcript_links;
mod transcript_templates;
mod turns;
mod update_sender;
mod verify_sender;
mod watch_deliveries;
mod webhook_calls;
mod webhook_endpoints;
mod webhook_order;
mod webhooks;
