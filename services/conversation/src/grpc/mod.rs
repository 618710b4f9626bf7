//! The gRPC face: who calls, the request becomes a command, the answer becomes a message.

mod channel_service;
mod contact_service;
mod conversation_service;
mod convert;
mod thread_service;
mod ticket_service;
mod visitor_service;

use std::pin::Pin;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_db::Read;
use frontdesk_proto::{
    assignment::v1::{GetAgentRequest, roster_service_client::RosterServiceClient},
    conversation::v1::{
        channel_service_server::ChannelServiceServer, contact_service_server::ContactServiceServer,
        conversation_service_server::ConversationServiceServer, thread_service_server::ThreadServiceServer,
        ticket_service_server::TicketServiceServer, visitor_service_server::VisitorServiceServer,
    },
};
use futures::Stream;
use tonic::{Code, Status, service::RoutesBuilder};
use uuid::Uuid;

use crate::{App, consumers::known_agent, error::ConversationError, store::names};

pub(crate) use convert::duration;

/// The gRPC services served here.
pub const SERVICES: &[&str] = &[
    "frontdesk.conversation.v1.ChannelService",
    "frontdesk.conversation.v1.ContactService",
    "frontdesk.conversation.v1.ConversationService",
    "frontdesk.conversation.v1.ThreadService",
    "frontdesk.conversation.v1.TicketService",
    "frontdesk.conversation.v1.VisitorService",
];

/// Adds the gRPC services to a server.
pub fn routes(app: &App, routes: &mut RoutesBuilder) {
    routes
        .add_service(ChannelServiceServer::new(Grpc(app.clone())))
        .add_service(ContactServiceServer::new(Grpc(app.clone())))
        .add_service(ConversationServiceServer::new(Grpc(app.clone())))
        .add_service(ThreadServiceServer::new(Grpc(app.clone())))
        .add_service(TicketServiceServer::new(Grpc(app.clone())))
        .add_service(VisitorServiceServer::new(Grpc(app.clone())));
}

/// Serves every gRPC service of this crate.
struct Grpc(App);

impl Grpc {
    /// What the caller's account has, for all that one call reads.
    async fn read(&self, caller: &Caller) -> Result<Read, ConversationError> {
        Ok(self.0.db.read_for(caller.account).await?)
    }
}

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The acting agent.
fn agent(caller: &Caller) -> Result<Uuid, Status> {
    caller.agent_id().ok_or_else(|| refuse("authorization", "must be an agent's token"))
}

/// The acting agent, who must be on the roster and active: what they write may make them the assignee. Whom this service has
/// not heard of yet, the roster is asked for.
async fn active_agent(app: &App, caller: &Caller) -> Result<Uuid, Status> {
    let id = agent(caller)?;
    let read = app.db.read_for(caller.account).await.map_err(ConversationError::from)?;
    let known = names::find_agent(&read.conn(), caller.account, id).await.map_err(ConversationError::from)?;
    drop(read);
    let active = match known.filter(|known| known.version > 0) {
        Some(known) => known.active,
        None => ask_roster(app, caller, id).await?,
    };
    if active { Ok(id) } else { Err(ConversationError::AgentNotActive.into()) }
}

async fn ask_roster(app: &App, caller: &Caller, id: Uuid) -> Result<bool, ConversationError> {
    let mut roster = RosterServiceClient::new(app.assignment.for_account(caller.account));
    let agent = match roster.get_agent(GetAgentRequest { agent_id: id.to_string() }).await {
        Ok(answer) => answer.into_inner().agent.and_then(|agent| known_agent(caller.account, &agent)),
        Err(status) if status.code() == Code::NotFound => None,
        Err(_) => return Err(ConversationError::Unreachable("assignment")),
    };
    let Some(agent) = agent else { return Ok(false) };
    let active = agent.active;
    let tx = app.db.begin_for(caller.account).await?;
    names::keep_agent(&tx, agent).await?;
    tx.commit().await?;
    Ok(active)
}

/// A text that says something: not only spaces and line breaks.
fn says_something(text: &str) -> Result<(), Status> {
    if text.trim().is_empty() {
        Err(refuse("text", "must say something: it holds only spaces and line breaks"))
    } else {
        Ok(())
    }
}

/// The bot for whom a service calls, and its session, which must be named.
fn bot_session(caller: &Caller, bot_session_id: &str) -> Result<Uuid, Status> {
    if caller.actor.kind != CallerKind::Bot {
        return Err(refuse("x-frontdesk-actor", "must name the bot that acts"));
    }
    match frontdesk_api::parse_optional_id("bot_session_id", bot_session_id)? {
        Some(session) => Ok(session),
        None => Err(refuse("bot_session_id", "must name the session that acts")),
    }
}

/// One field that is wrong.
fn refuse(field: &str, remedy: &str) -> Status {
    ApiError::fields(vec![FieldError::new(field, remedy)]).into()
}

/// A time zone by its IANA name; empty is allowed.
fn time_zone(name: &str) -> Result<String, FieldError> {
    if name.is_empty() || name.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(name.to_owned());
    }
    Err(FieldError::new("time_zone", "must be an IANA time zone such as Europe/Rome, or empty"))
}

/// An address that mail may go to, in its one spelling; empty is allowed.
fn email(text: &str) -> Result<Option<String>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = crate::domain::usable_address(text);
    address
        .map(Some)
        .ok_or_else(|| FieldError::new("email", "must be an address that mail can go to, such as ada@example.com"))
}

/// The values, or every field that is wrong, at once.
fn all<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), Status> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ApiError::fields([a.err(), b.err()].into_iter().flatten().collect()).into()),
    }
}

/// The value, or the field that is wrong.
fn one<T>(value: Result<T, FieldError>) -> Result<T, Status> {
    value.map_err(|field| ApiError::fields(vec![field]).into())
}
