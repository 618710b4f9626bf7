//! The conversation service as its callers know it: the real service over gRPC, on SQLite with the in-process bus and on
//! PostgreSQL with NATS, with fakes in the place of the services that it calls. One file for each command or consumer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod administrators;
mod agents;
mod anonymous_visitors;
mod attachments;
mod bots;
mod change_assignee;
mod chats;
mod choose_button;
mod close_by_bot;
mod close_conversation;
mod close_idle_conversations;
mod conversation_properties;
mod create_channel;
mod create_contact;
mod create_ticket;
mod delete_channel;
mod fixture;
mod get_closing_facts;
mod get_widget;
mod hand_off;
mod identify_visitor;
mod inserts;
mod leave_address;
mod link_contact;
mod list_conversations;
mod mark_read;
mod post_bot_message;
mod post_comment;
mod post_message;
mod record_answer;
mod reopen_conversation;
mod rich_text;
mod rotate_visitor_key;
mod search;
mod send_message;
mod sent_transcripts;
mod signals;
mod start_chat;
mod start_conversation;
mod threads;
mod update_channel;
mod update_contact;
mod update_ticket;
mod watch_inbox;
