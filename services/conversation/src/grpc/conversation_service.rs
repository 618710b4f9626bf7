//! `ConversationService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Read};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, conversation_service_server::ConversationService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, active_agent, agent, bot_session, convert, refuse};
use crate::{
    commands::{self, ChangeAssignee, CloseConversation, Closer, HandOff, Idle, IdleOutcome, RecordAnswer},
    domain::{Author, AuthorKind, Conversation, Status as ConversationStatus},
    error::ConversationError,
    queries,
    store::{
        conversations::{self, Assignee, Filter},
        names,
    },
};

impl Grpc {
    async fn told(&self, caller: &Caller, conversation: &Conversation) -> Result<Option<pb::Conversation>, Status> {
        told(&self.read(caller).await?, conversation).await
    }
}

async fn told(read: &Read, conversation: &Conversation) -> Result<Option<pb::Conversation>, Status> {
    let names = names::find(&read.conn(), conversation, &[]).await.map_err(ConversationError::from)?;
    Ok(Some(convert::conversation(conversation, &names)))
}

#[tonic::async_trait]
impl ConversationService for Grpc {
    async fn get_conversation(
        &self,
        request: Request<pb::GetConversationRequest>,
    ) -> Result<Response<pb::GetConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let read = self.read(&caller).await?;
        let conversation = queries::get_conversation(&read.conn(), &caller, id).await?;
        Ok(Response::new(pb::GetConversationResponse { conversation: told(&read, &conversation).await? }))
    }

    async fn list_conversations(
        &self,
        request: Request<pb::ListConversationsRequest>,
    ) -> Result<Response<pb::ListConversationsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let filter = filter(&caller, &request)?;
        let read = self.read(&caller).await?;
        let mut rows = conversations::list(&read.conn(), caller.account, filter, page.cursor, page.size + 1)
            .await
            .map_err(ConversationError::from)?;
        let next_page_token =
            self.0.pages.next_page_token(page, &mut rows, |last| (last.row.last_activity_at, last.row.id))?;
        let owners = rows.iter().filter_map(Conversation::owner).collect::<Vec<_>>();
        let names = names::find_owners(&read.conn(), caller.account, owners).await.map_err(ConversationError::from)?;
        let conversations = rows.iter().map(|row| convert::conversation(row, &names)).collect();
        Ok(Response::new(pb::ListConversationsResponse { conversations, next_page_token }))
    }

    async fn close_conversation(
        &self,
        request: Request<pb::CloseConversationRequest>,
    ) -> Result<Response<pb::CloseConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let by = match caller.kind {
            CallerKind::Service => Closer::BotSession(bot_session(&caller, &request.bot_session_id)?),
            _ if !request.bot_session_id.is_empty() => {
                return Err(refuse("bot_session_id", "must be empty: it is for services"));
            }
            _ => Closer::Agent(agent(&caller)?),
        };
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let key = key(&caller, &request.request_id, &request);
        let command = CloseConversation { conversation, by, expected_epoch: request.expected_epoch, key };
        let closed = commands::close_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CloseConversationResponse { conversation: self.told(&caller, &closed).await? }))
    }

    async fn reopen_conversation(
        &self,
        request: Request<pb::ReopenConversationRequest>,
    ) -> Result<Response<pb::ReopenConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let reopened = commands::reopen_conversation(
            &self.0,
            &caller,
            id,
            active_agent(&self.0, &caller).await?,
            key(&caller, &request.request_id, &request),
        )
        .await?;
        Ok(Response::new(pb::ReopenConversationResponse { conversation: self.told(&caller, &reopened).await? }))
    }

    async fn change_assignee(
        &self,
        request: Request<pb::ChangeAssigneeRequest>,
    ) -> Result<Response<pb::ChangeAssigneeResponse>, Status> {
        let (caller, request) = validated(request)?;
        // The name is told in passing: a repeat after a rename is still a repeat.
        let asked = pb::ChangeAssigneeRequest { agent_name: String::new(), ..request.clone() };
        let command = ChangeAssignee {
            key: Key::new(&caller, &request.request_id, &asked),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            agent: parse_optional_id("agent_id", &request.agent_id)?,
            agent_name: request.agent_name,
            by: match caller.actor.kind {
                CallerKind::Agent => Author::new(AuthorKind::Agent, &caller.actor.id),
                CallerKind::Bot => Author::new(AuthorKind::Bot, &caller.actor.id),
                CallerKind::Visitor | CallerKind::Service | CallerKind::Admin => Author::system(),
            },
        };
        let changed = commands::change_assignee(&self.0, &caller, command).await?;
        let from = changed.from;
        let read = self.read(&caller).await?;
        let names = names::find_owners(&read.conn(), caller.account, from).await.map_err(ConversationError::from)?;
        Ok(Response::new(pb::ChangeAssigneeResponse {
            conversation: told(&read, &changed.conversation).await?,
            previous_assignee: from.map(|from| convert::owner(from, &names)),
        }))
    }

    async fn hand_off_conversation(
        &self,
        request: Request<pb::HandOffConversationRequest>,
    ) -> Result<Response<pb::HandOffConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = HandOff {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: bot_session(&caller, &request.bot_session_id)?,
            agent: parse_optional_id("agent_id", &request.agent_id)?,
            reason: request.reason,
        };
        let conversation = commands::hand_off(&self.0, &caller, command).await?;
        Ok(Response::new(pb::HandOffConversationResponse { conversation: self.told(&caller, &conversation).await? }))
    }

    async fn close_idle_conversations(
        &self,
        request: Request<pb::CloseIdleConversationsRequest>,
    ) -> Result<Response<pb::CloseIdleConversationsResponse>, Status> {
        let (_, request) = validated(request)?;
        let mut idle = Vec::with_capacity(request.conversations.len());
        for one in &request.conversations {
            idle.push(Idle {
                account: AccountId(parse_id("account_id", &one.account_id)?),
                conversation: parse_id("conversation_id", &one.conversation_id)?,
                session: parse_id("bot_session_id", &one.bot_session_id)?,
            });
        }
        let outcomes = commands::close_idle_conversations(&self.0, idle).await?;
        let results = request.conversations.into_iter().zip(outcomes).map(|(one, outcome)| {
            let (outcome, idle_time) = match outcome {
                IdleOutcome::Closed => (pb::IdleOutcome::Closed, None),
                IdleOutcome::VisitorActive { idle_at } => (pb::IdleOutcome::VisitorActive, Some(idle_at.to_proto())),
                IdleOutcome::NotInCharge => (pb::IdleOutcome::NotInCharge, None),
                IdleOutcome::NotFound => (pb::IdleOutcome::NotFound, None),
            };
            pb::IdleResult { conversation_id: one.conversation_id, outcome: outcome.into(), idle_time }
        });
        Ok(Response::new(pb::CloseIdleConversationsResponse { results: results.collect() }))
    }

    async fn link_contact(
        &self,
        request: Request<pb::LinkContactRequest>,
    ) -> Result<Response<pb::LinkContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let contact = parse_id("contact_id", &request.contact_id)?;
        let linked =
            commands::link_contact(&self.0, &caller, conversation, contact, active_agent(&self.0, &caller).await?)
                .await?;
        Ok(Response::new(pb::LinkContactResponse { conversation: self.told(&caller, &linked).await? }))
    }

    async fn get_closing_facts(
        &self,
        request: Request<pb::GetClosingFactsRequest>,
    ) -> Result<Response<pb::GetClosingFactsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let read = self.read(&caller).await?;
        let (facts, visitor_name) = queries::get_closing_facts(&read.conn(), &caller, id, request.close_number).await?;
        Ok(Response::new(convert::closing_facts(facts, visitor_name)))
    }

    async fn record_answer(
        &self,
        request: Request<pb::RecordAnswerRequest>,
    ) -> Result<Response<pb::RecordAnswerResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = RecordAnswer {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: bot_session(&caller, &request.bot_session_id)?,
            property: request.property,
            value: request.value,
        };
        let conversation = commands::record_answer(&self.0, &caller, command).await?;
        Ok(Response::new(pb::RecordAnswerResponse { conversation: self.told(&caller, &conversation).await? }))
    }
}

/// The key of a request whose id may be left out.
fn key<M: prost::Message + prost::Name>(caller: &Caller, request_id: &str, request: &M) -> Option<Key> {
    (!request_id.is_empty()).then(|| Key::new(caller, request_id, request))
}

fn filter(caller: &Caller, request: &pb::ListConversationsRequest) -> Result<Filter, Status> {
    let assignee_id = parse_optional_id("assignee_id", &request.assignee_id)?;
    let assignee = match (request.assignee(), assignee_id) {
        (pb::AssigneeFilter::Agent, Some(id)) => Some(Assignee::Agent(id)),
        (pb::AssigneeFilter::Agent, None) => return Err(refuse("assignee_id", "must name the agent")),
        (_, Some(_)) => return Err(refuse("assignee_id", "must be empty unless assignee is ASSIGNEE_FILTER_AGENT")),
        (pb::AssigneeFilter::Unspecified, None) => None,
        (pb::AssigneeFilter::Nobody, None) => Some(Assignee::Nobody),
        (pb::AssigneeFilter::Bot, None) => Some(Assignee::AnyBot),
        (pb::AssigneeFilter::Me, None) => match caller.agent_id() {
            Some(me) => Some(Assignee::Agent(me)),
            None => return Err(refuse("assignee", "ASSIGNEE_FILTER_ME is for agents")),
        },
    };
    Ok(Filter {
        status: match request.status() {
            pb::ConversationStatus::Unspecified => None,
            pb::ConversationStatus::Open => Some(ConversationStatus::Open),
            pb::ConversationStatus::Closed => Some(ConversationStatus::Closed),
        },
        assignee,
        channel: parse_optional_id("channel_id", &request.channel_id)?,
        contact: parse_optional_id("contact_id", &request.contact_id)?,
    })
}
