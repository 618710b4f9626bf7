//! `ConversationService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, conversation_service_server::ConversationService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::{self, agent, bot_session, invalid, optional_key};
use crate::{
    App,
    commands::{
        self, ChangeAssignee, CloseConversation, Closer, HandOff, IdleTimeout, LinkContact, RecordAnswer,
        ReopenConversation,
    },
    domain::{Actor, ActorKind, Conversation, Owner, OwnerChange, Status as ConversationStatus},
    queries::{self, AssigneeFilter, Filter},
};

/// Serves `ConversationService`.
pub(crate) struct Conversations(pub(crate) App);

impl Conversations {
    /// The conversation as a response, with the names in it.
    async fn to_response(
        &self,
        caller: &Caller,
        conversation: &Conversation,
    ) -> Result<Option<pb::Conversation>, Status> {
        let names = queries::find_names(&self.0, caller, conversation, &[]).await?;
        Ok(Some(convert::conversation(conversation, &names)))
    }
}

#[tonic::async_trait]
impl ConversationService for Conversations {
    async fn get_conversation(
        &self,
        request: Request<pb::GetConversationRequest>,
    ) -> Result<Response<pb::GetConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let (conversation, names) = queries::get_conversation(&self.0, &caller, id).await?;
        let conversation = Some(convert::conversation(&conversation, &names));
        Ok(Response::new(pb::GetConversationResponse { conversation }))
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
        let (mut rows, names) =
            queries::list_conversations(&self.0, &caller, filter, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |last| (last.last_activity_at, last.id))?;
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
                return Err(invalid("bot_session_id", "must be empty: it is for services"));
            }
            _ => Closer::Agent(agent(&caller)?),
        };
        let command = CloseConversation {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            by,
            expected_epoch: request.expected_epoch,
            key: optional_key(&caller, &request.request_id, &request),
        };
        let closed = commands::close_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CloseConversationResponse { conversation: self.to_response(&caller, &closed).await? }))
    }

    async fn reopen_conversation(
        &self,
        request: Request<pb::ReopenConversationRequest>,
    ) -> Result<Response<pb::ReopenConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = ReopenConversation {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            agent: agent(&caller)?,
            key: optional_key(&caller, &request.request_id, &request),
        };
        let reopened = commands::reopen_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(pb::ReopenConversationResponse { conversation: self.to_response(&caller, &reopened).await? }))
    }

    async fn change_assignee(
        &self,
        request: Request<pb::ChangeAssigneeRequest>,
    ) -> Result<Response<pb::ChangeAssigneeResponse>, Status> {
        let (caller, request) = validated(request)?;
        // A repeat after the agent was renamed is still a repeat, and so is one by a release that sends no cause.
        let compared = pb::ChangeAssigneeRequest { agent_name: String::new(), cause: 0, ..request.clone() };
        let change = OwnerChange {
            to: parse_optional_id("agent_id", &request.agent_id)?.map(Owner::agent),
            by: changing_actor(&caller),
            cause: convert::cause(request.cause()),
            expected_epoch: request.expected_epoch,
        };
        let command = ChangeAssignee {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            change,
            agent_name: request.agent_name,
            key: Key::new(&caller, &compared.request_id, &compared),
        };
        let (conversation, changed) = commands::change_assignee(&self.0, &caller, command).await?;
        let names = queries::find_owner_names(&self.0, &caller, changed.from).await?;
        Ok(Response::new(pb::ChangeAssigneeResponse {
            conversation: self.to_response(&caller, &conversation).await?,
            previous_assignee: changed.from.map(|from| convert::owner(from, &names)),
            epoch: changed.epoch,
            change_time: changed.at.map(Time::to_proto),
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
        let conversation = self.to_response(&caller, &conversation).await?;
        Ok(Response::new(pb::HandOffConversationResponse { conversation }))
    }

    async fn close_idle_conversations(
        &self,
        request: Request<pb::CloseIdleConversationsRequest>,
    ) -> Result<Response<pb::CloseIdleConversationsResponse>, Status> {
        let (_, request) = validated(request)?;
        let timeouts = request.conversations.iter().map(|idle| {
            Ok(IdleTimeout {
                account: AccountId(parse_id("account_id", &idle.account_id)?),
                conversation: parse_id("conversation_id", &idle.conversation_id)?,
                session: parse_id("bot_session_id", &idle.bot_session_id)?,
            })
        });
        let timeouts = timeouts.collect::<Result<Vec<_>, Status>>()?;
        let outcomes = commands::close_idle_conversations(&self.0, timeouts).await?;
        let results = request.conversations.into_iter().zip(outcomes);
        let results = results.map(|(idle, outcome)| convert::idle_result(idle.conversation_id, outcome)).collect();
        Ok(Response::new(pb::CloseIdleConversationsResponse { results }))
    }

    async fn link_contact(
        &self,
        request: Request<pb::LinkContactRequest>,
    ) -> Result<Response<pb::LinkContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = LinkContact {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            contact: parse_id("contact_id", &request.contact_id)?,
            agent: agent(&caller)?,
        };
        let linked = commands::link_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::LinkContactResponse { conversation: self.to_response(&caller, &linked).await? }))
    }

    async fn get_closing_facts(
        &self,
        request: Request<pb::GetClosingFactsRequest>,
    ) -> Result<Response<pb::GetClosingFactsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let (snapshot, visitor_name) = queries::get_closing_facts(&self.0, &caller, id, request.close_number).await?;
        Ok(Response::new(convert::closing_facts(snapshot, visitor_name)))
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
        Ok(Response::new(pb::RecordAnswerResponse { conversation: self.to_response(&caller, &conversation).await? }))
    }
}

/// The actor that the assignment service acts for.
fn changing_actor(caller: &Caller) -> Actor {
    match caller.actor.kind {
        CallerKind::Agent => Actor { kind: ActorKind::Agent, id: caller.actor.id.clone() },
        CallerKind::Bot => Actor { kind: ActorKind::Bot, id: caller.actor.id.clone() },
        CallerKind::Visitor | CallerKind::Service | CallerKind::Admin => Actor::system(),
    }
}

fn filter(caller: &Caller, request: &pb::ListConversationsRequest) -> Result<Filter, Status> {
    let assignee_id = parse_optional_id("assignee_id", &request.assignee_id)?;
    let assignee = match (request.assignee(), assignee_id) {
        (pb::AssigneeFilter::Agent, Some(id)) => Some(AssigneeFilter::Agent(id)),
        (pb::AssigneeFilter::Agent, None) => return Err(invalid("assignee_id", "must name the agent")),
        (_, Some(_)) => return Err(invalid("assignee_id", "must be empty unless assignee is ASSIGNEE_FILTER_AGENT")),
        (pb::AssigneeFilter::Unspecified, None) => None,
        (pb::AssigneeFilter::Nobody, None) => Some(AssigneeFilter::Unassigned),
        (pb::AssigneeFilter::Bot, None) => Some(AssigneeFilter::AnyBot),
        (pb::AssigneeFilter::Me, None) => match caller.agent_id() {
            Some(me) => Some(AssigneeFilter::Agent(me)),
            None => return Err(invalid("assignee", "ASSIGNEE_FILTER_ME is for agents")),
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
