//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod account_job_service;
mod arbiter_service;
mod attachment_service;
mod channel_service;
mod contact_job_service;
mod contact_service;
mod conversation_service;
mod convert;
mod event_service;
mod insert_service;
mod settings_service;
mod thread_service;
mod ticket_service;
mod visitor_key_cache;
mod visitor_service;
mod watch_inbox;

use std::pin::Pin;

use frontdesk_auth::Caller;
use frontdesk_proto::conversation::v1 as pb;
use futures::Stream;
use tonic::Status;

use crate::{App, domain::Conversation, queries};

pub(crate) use account_job_service::AccountJobs;
pub(crate) use arbiter_service::Arbiter;
pub(crate) use attachment_service::Attachments;
pub(crate) use channel_service::Channels;
pub(crate) use contact_job_service::ContactJobs;
pub(crate) use contact_service::Contacts;
pub(crate) use conversation_service::Conversations;
pub(crate) use event_service::Events;
pub(crate) use insert_service::Inserts;
pub(crate) use settings_service::Settings;
pub(crate) use thread_service::Threads;
pub(crate) use ticket_service::Tickets;
pub(crate) use visitor_key_cache::VisitorKeyCache;
pub(crate) use visitor_service::Visitors;

/// Number of entries on a page unless the request says.
const DEFAULT_ENTRIES: usize = 200;
/// Maximum number of entries on a page.
const MAX_ENTRIES: usize = 1_000;

/// A stream of responses.
type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The conversation as a response, with the names in it.
async fn to_response(
    app: &App,
    caller: &Caller,
    conversation: &Conversation,
) -> Result<Option<pb::Conversation>, Status> {
    let names = queries::find_names(app, caller, conversation, &[]).await?;
    Ok(Some(convert::conversation(conversation, &names)))
}
