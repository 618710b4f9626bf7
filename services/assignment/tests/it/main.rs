//! The assignment service as its callers know it: a file for each command, query or consumer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

mod account_states;
mod assign_conversation;
mod availability;
mod contact_erasures;
mod create_agent;
mod deactivate_agent;
mod event_streams;
mod first_calls;
mod given_back;
mod handed_off;
mod history;
mod list_agents;
mod list_assignments;
mod load;
mod load_batches;
mod notices;
mod opening_hours;
mod queue_places;
mod reactivate_agent;
mod reopened;
mod routing;
mod routing_batches;
mod routing_heads;
mod routing_policies;
mod routing_saga;
mod routing_steps;
mod take_over_conversation;
mod team_members;
mod teams;
mod unassign_conversation;
mod update_agent;
