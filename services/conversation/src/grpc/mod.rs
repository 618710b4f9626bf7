//! The gRPC services. A handler validates the request, calls a command or a query, and converts the result.

mod channel_service;
mod contact_service;
mod conversation_service;
mod convert;
mod thread_service;
mod ticket_service;
mod visitor_key_cache;
mod visitor_service;

use std::pin::Pin;

use futures::Stream;
use tonic::Status;

pub(crate) use channel_service::Channels;
pub(crate) use contact_service::Contacts;
pub(crate) use conversation_service::Conversations;
pub(crate) use thread_service::Threads;
pub(crate) use ticket_service::Tickets;
pub(crate) use visitor_key_cache::VisitorKeyCache;
pub(crate) use visitor_service::Visitors;

/// A stream of responses.
type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
