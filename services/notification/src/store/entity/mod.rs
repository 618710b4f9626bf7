//! Rows, one file for each table.

pub(crate) mod address_code;
pub(crate) mod agent_mail;
pub(crate) mod delivery;
pub(crate) mod delivery_mail;
pub(crate) mod delivery_retry;
pub(crate) mod erased_id;
pub(crate) mod mail_account;
pub(crate) mod notification_preference;
pub(crate) mod sender;
pub(crate) mod suppression;
pub(crate) mod transcript_decision;
pub(crate) mod transcript_template;
pub(crate) mod webhook_delivery;
pub(crate) mod webhook_endpoint;
pub(crate) mod webhook_event_order;
