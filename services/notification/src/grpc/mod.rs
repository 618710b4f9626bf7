//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod account_row_service;
mod address_code_service;
mod convert;
mod delivery_service;
mod event_service;
mod notification_preference_service;
mod sender_service;
mod suppression_service;
mod template_service;
mod transcript_service;
mod watch_deliveries;
mod webhook_service;

pub(crate) use account_row_service::AccountRows;
pub(crate) use address_code_service::AddressCodes;
pub(crate) use delivery_service::Deliveries;
pub(crate) use event_service::Events;
pub(crate) use notification_preference_service::Preferences;
pub(crate) use sender_service::Senders;
pub(crate) use suppression_service::Suppressions;
pub(crate) use template_service::Templates;
pub(crate) use transcript_service::Transcripts;
pub(crate) use webhook_service::Webhooks;
