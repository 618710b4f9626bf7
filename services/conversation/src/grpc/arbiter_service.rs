//! `ArbiterService`: changes of conversations that other services decide.

use std::collections::HashSet;

use frontdesk_api::{ApiError, parse_id, parse_optional_id, validated};
use frontdesk_auth::{ACCOUNT_HEADER, Caller};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::{
    internal::v1::{self as pb, arbiter_service_server::ArbiterService},
    v1::Button as PbButton,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert::{self, counter, invalid, require_text},
    to_response,
};
use crate::{
    App,
    commands::{
        self, ChangeAssignee, CloseByBot, CreateTicketByBot, HandOff, IdleOutcome, IdleTimeout, PostChannelMessage,
        PostMessage, RecordAnswer,
    },
    domain::{Agent, AppendMessage, Bot, Button, LocalizedText, Message, Owner, OwnerChange, RosterState},
    queries,
};

/// Serves `ArbiterService`.
pub(crate) struct Arbiter(pub(crate) App);

/// The account that the service names, for calls that do not refuse what they do not find (rule S5).
fn named_account(caller: &Caller) -> Result<AccountId, Status> {
    match caller.account {
        AccountId(account) if account.is_nil() => Err(invalid(ACCOUNT_HEADER, "is required: the account to act in")),
        account => Ok(account),
    }
}

#[tonic::async_trait]
impl ArbiterService for Arbiter {
    async fn change_assignee(
        &self,
        request: Request<pb::ChangeAssigneeRequest>,
    ) -> Result<Response<pb::ChangeAssigneeResponse>, Status> {
        let (mut caller, request) = validated(request)?;
        // The calling service states who acts; the name in their token is in the request.
        caller.name = Some(request.administrator_name.clone()).filter(|name| !name.is_empty());
        let command = owner_change(&caller, request)?;
        let (conversation, changed) = commands::change_assignee(&self.0, &caller, command).await?;
        let names = queries::find_owner_names(&self.0, &caller, changed.from).await?;
        Ok(Response::new(pb::ChangeAssigneeResponse {
            conversation: to_response(&self.0, &caller, &conversation).await?,
            previous_owner: changed.from.map(|from| convert::owner(from, &names)),
            epoch: counter(changed.epoch),
            change_time: changed.at.map(Time::to_proto),
        }))
    }

    async fn change_assignees(
        &self,
        request: Request<pb::ChangeAssigneesRequest>,
    ) -> Result<Response<pb::ChangeAssigneesResponse>, Status> {
        let (caller, request) = validated(request)?;
        named_account(&caller)?;
        let ids: Vec<String> = request.changes.iter().map(|change| change.conversation_id.clone()).collect();
        let changes = request.changes.into_iter().map(|change| owner_change(&caller, change));
        let changes = changes.collect::<Result<Vec<_>, Status>>()?;
        let outcomes = commands::change_assignees(&self.0, &caller, &changes).await?;
        let results = ids.into_iter().zip(outcomes).map(|(id, outcome)| convert::change_result(id, outcome)).collect();
        Ok(Response::new(pb::ChangeAssigneesResponse { results }))
    }

    async fn post_channel_message(
        &self,
        request: Request<pb::PostChannelMessageRequest>,
    ) -> Result<Response<pb::PostChannelMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        for text in &request.texts {
            require_text(&text.text)?;
        }
        let text = |text: pb::LocalizedText| LocalizedText { language: text.language, text: text.text };
        let command = PostChannelMessage {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch.into(),
            texts: request.texts.into_iter().map(text).collect(),
        };
        let conversation = commands::post_channel_message(&self.0, &caller, command).await?;
        let conversation = to_response(&self.0, &caller, &conversation).await?;
        Ok(Response::new(pb::PostChannelMessageResponse { conversation }))
    }

    async fn post_bot_message(
        &self,
        request: Request<pb::PostBotMessageRequest>,
    ) -> Result<Response<pb::PostBotMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        require_text(&request.text)?;
        let inserts = request.insert_ids.iter().map(|id| parse_id("insert_ids", id));
        let command = PostMessage {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            message: AppendMessage::Bot {
                session: parse_id("bot_session_id", &request.bot_session_id)?,
                message: Message {
                    text: request.text,
                    buttons: distinct_buttons(request.buttons)?,
                    ..Message::default()
                },
                silent_since: request.silent_since_time.as_ref().map(Time::from_proto),
            },
            inserts: inserts.collect::<Result<_, Status>>()?,
            fills_placeholders: request.fill_placeholders,
            attachments: Vec::new(),
        };
        let (entry, names) = commands::post_message(&self.0, &caller, command).await?;
        Ok(Response::new(pb::PostBotMessageResponse { entry: Some(convert::entry(&entry, &names)) }))
    }

    async fn close_by_bot(
        &self,
        request: Request<pb::CloseByBotRequest>,
    ) -> Result<Response<pb::CloseByBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CloseByBot {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: parse_id("bot_session_id", &request.bot_session_id)?,
        };
        let closed = commands::close_by_bot(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CloseByBotResponse { conversation: to_response(&self.0, &caller, &closed).await? }))
    }

    async fn hand_off_conversation(
        &self,
        request: Request<pb::HandOffConversationRequest>,
    ) -> Result<Response<pb::HandOffConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = HandOff {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: parse_id("bot_session_id", &request.bot_session_id)?,
            agent: parse_optional_id("agent_id", &request.agent_id)?,
            policy: parse_optional_id("routing_policy_id", &request.routing_policy_id)?,
            team: parse_optional_id("team_id", &request.team_id)?,
            reason: request.reason,
        };
        let conversation = commands::hand_off(&self.0, &caller, command).await?;
        let conversation = to_response(&self.0, &caller, &conversation).await?;
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
                as_of: idle.as_of_time.as_ref().map(Time::from_proto),
            })
        });
        let timeouts = timeouts.collect::<Result<Vec<_>, Status>>()?;
        let outcomes = commands::close_idle_conversations(&self.0, &timeouts).await?;
        if !request.handles_failed && outcomes.iter().any(|outcome| matches!(outcome, IdleOutcome::Failed)) {
            return Err(ApiError::unavailable("a conversation cannot be closed now; the others are closed").into());
        }
        let results = request.conversations.into_iter().zip(outcomes);
        let results = results.map(|(idle, outcome)| convert::idle_result(idle.conversation_id, outcome)).collect();
        Ok(Response::new(pb::CloseIdleConversationsResponse { results }))
    }

    async fn apply_agent(
        &self,
        request: Request<pb::ApplyAgentRequest>,
    ) -> Result<Response<pb::ApplyAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let agent = Agent {
            account: named_account(&caller)?,
            id: parse_id("agent_id", &request.agent_id)?,
            name: request.name,
            roster: Some(RosterState { active: request.active, version: request.version.into() }),
        };
        let version = commands::apply_agent(&self.0, &caller, agent).await?;
        Ok(Response::new(pb::ApplyAgentResponse { version: version.try_into().unwrap_or(i32::MAX) }))
    }

    async fn apply_bot(&self, request: Request<pb::ApplyBotRequest>) -> Result<Response<pb::ApplyBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let bot = Bot {
            account: named_account(&caller)?,
            id: parse_id("bot_id", &request.bot_id)?,
            name: request.name,
            timeout: request.inactivity_timeout.and_then(|timeout| timeout.try_into().ok()),
            deleted: request.deleted,
            version: request.version.into(),
        };
        let version = commands::apply_bot(&self.0, &caller, bot).await?;
        Ok(Response::new(pb::ApplyBotResponse { version: version.try_into().unwrap_or(i32::MAX) }))
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

    async fn list_erased_conversations(
        &self,
        request: Request<pb::ListErasedConversationsRequest>,
    ) -> Result<Response<pb::ListErasedConversationsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let job = parse_id("contact_job_id", &request.contact_job_id)?;
        let after = parse_optional_id("after", &request.after)?;
        let erased = queries::list_erased_conversations(&self.0, &caller, job, after).await?;
        Ok(Response::new(convert::erased_conversations(erased)))
    }

    async fn create_attachment_links(
        &self,
        request: Request<pb::CreateAttachmentLinksRequest>,
    ) -> Result<Response<pb::CreateAttachmentLinksResponse>, Status> {
        let (caller, request) = validated(request)?;
        named_account(&caller)?;
        let ids = request.attachment_ids.iter().map(|id| parse_id("attachment_ids", id));
        let ids = ids.collect::<Result<Vec<_>, Status>>()?;
        let expires_at = request.expire_time.as_ref().map_or(Time(0), Time::from_proto);
        let links = commands::create_attachment_links(&self.0, &caller, &ids, expires_at).await?;
        let link = |(id, link): (Uuid, Option<commands::Link>)| pb::AttachmentLink {
            attachment_id: id.to_string(),
            url: link.map(|link| link.url).unwrap_or_default(),
        };
        Ok(Response::new(pb::CreateAttachmentLinksResponse { links: links.into_iter().map(link).collect() }))
    }

    async fn record_answer(
        &self,
        request: Request<pb::RecordAnswerRequest>,
    ) -> Result<Response<pb::RecordAnswerResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = RecordAnswer {
            key: convert::optional_key(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: parse_id("bot_session_id", &request.bot_session_id)?,
            property: request.property,
            value: request.value,
        };
        let conversation = commands::record_answer(&self.0, &caller, command).await?;
        Ok(Response::new(pb::RecordAnswerResponse {
            conversation: to_response(&self.0, &caller, &conversation).await?,
        }))
    }

    async fn create_ticket_by_bot(
        &self,
        request: Request<pb::CreateTicketByBotRequest>,
    ) -> Result<Response<pb::CreateTicketByBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateTicketByBot {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            session: parse_id("bot_session_id", &request.bot_session_id)?,
            subject: request.subject,
        };
        let ticket = commands::create_ticket_by_bot(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateTicketByBotResponse { ticket: Some(convert::ticket(&ticket)) }))
    }

    async fn get_visitor_properties(
        &self,
        request: Request<pb::GetVisitorPropertiesRequest>,
    ) -> Result<Response<pb::GetVisitorPropertiesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let known = queries::get_visitor_properties(&self.0, &caller, conversation).await?;
        let (language, properties) = (known.language, known.properties);
        Ok(Response::new(pb::GetVisitorPropertiesResponse { language, properties }))
    }
}

/// A change of owner, alone or one of several.
fn owner_change(caller: &Caller, request: pb::ChangeAssigneeRequest) -> Result<ChangeAssignee, Status> {
    // A repeat after the agent was changed is still a repeat, and so is one by a release that sends no cause or version.
    let compared = pb::ChangeAssigneeRequest {
        agent_name: String::new(),
        cause: 0,
        agent_version: 0,
        administrator_name: String::new(),
        ..request.clone()
    };
    let to = parse_optional_id("agent_id", &request.agent_id)?;
    let change = OwnerChange {
        to: to.map(Owner::agent),
        by: convert::acting(caller),
        cause: convert::cause(request.cause()),
        expected_epoch: request.expected_epoch.into(),
        only_if_waiting: request.only_if_visitor_waits,
    };
    Ok(ChangeAssignee {
        conversation: parse_id("conversation_id", &request.conversation_id)?,
        change,
        agent: to.map(|id| agent_as_read(caller.account, id, &request.agent_name, request.agent_version)),
        key: Key::new(caller, &compared.request_id, &compared),
    })
}

/// The agent whom the assignment service read as active.
fn agent_as_read(account: AccountId, id: Uuid, name: &str, version: i32) -> Agent {
    let roster = (version > 0).then_some(RosterState { active: true, version: version.into() });
    Agent { roster, ..Agent::mentioned(account, id, name) }
}

fn distinct_buttons(buttons: Vec<PbButton>) -> Result<Vec<Button>, Status> {
    let mut ids = HashSet::new();
    if !buttons.iter().all(|button| ids.insert(button.id.as_str())) {
        return Err(invalid("buttons", "must have different ids"));
    }
    Ok(buttons.into_iter().map(|button| Button { id: button.id, label: button.label }).collect())
}
