//! Webhooks on the wire: the JSON of an event, the signature of a request, the addresses that receivers may have, and the HTTP client.

mod accounts;
mod client;
mod network;
mod public_events;
mod secret;
mod target;

pub(crate) use accounts::WebhookAccounts;
pub(crate) use client::{WebhookClient, WebhookRequest};
pub(crate) use network::ReceiverNetworks;
pub(crate) use public_events::PublicEvents;
pub(crate) use secret::WebhookSecret;
pub(crate) use target::check_url;
