//! Client of the conversation service: reads a thread as the service, acts as the bot of a session, closes idle
//! conversations.
//!
//! The calls that change a conversation are internal ones. Each names the bot's session, so that the conversation's row
//! accepts it only while that session is in charge (rule A3).

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_client::{Balancer, CallContext, Peer};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    conversation::{
        internal::v1::{
            ApplyBotRequest, CloseByBotRequest, CloseIdleConversationsRequest, CreateTicketByBotRequest,
            GetVisitorPropertiesRequest, HandOffConversationRequest, IdleConversation, IdleOutcome as ProtoIdleOutcome,
            IdleResult, PostBotMessageRequest, RecordAnswerRequest, arbiter_service_client::ArbiterServiceClient,
        },
        v1::{
            Button as ProtoButton, Entry, GetInsertRequest, ListEntriesRequest, ListEntriesResponse, Reason,
            insert_service_client::InsertServiceClient, thread_service_client::ThreadServiceClient,
        },
    },
    error::v1::Reason as SharedReason,
};
use tonic::{Code, Status, service::interceptor::InterceptedService};
use uuid::Uuid;

use crate::{
    assignment::found,
    domain::{BotAction, BotSummary, Button, DueSession, HandOffTarget, IdleOutcome, Known, Session},
    error::BotSessionError,
};

/// Maximum number of entries asked for per page of a thread.
const PAGE_SIZE: i32 = 50;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The session is no longer in charge, or the conversation is closed or absent.
    #[error("the session is no longer in charge of the conversation")]
    SessionOver,
    /// The conversation service rejects the content; a retry would be rejected too.
    #[error("the conversation service rejected the call: {0}")]
    Rejected(String),
    /// The response exceeds the size limit of the client; a retry would exceed it too.
    #[error("the response of the conversation service is too large: {0}")]
    ResponseTooLarge(String),
    /// An error of the conversation service that is no outage: a retry may succeed, or fail for ever.
    #[error("the conversation service failed: {0}")]
    Failed(String),
    /// Worth a retry.
    #[error("the conversation service did not answer: {0}")]
    Unavailable(String),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let over = [Reason::BotSessionNotInCharge, Reason::ConversationClosed];
        if status.code() == Code::NotFound || over.iter().any(|reason| has_reason(&status, reason.as_str_name())) {
            return Self::SessionOver;
        }
        let message = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::AlreadyExists
            | Code::Unimplemented => Self::Rejected(message),
            Code::OutOfRange if has_reason(&status, SharedReason::CursorOutOfRange.as_str_name()) => {
                Self::Rejected(message)
            }
            // tonic answers OUT_OF_RANGE when a message exceeds the decoder's limit.
            Code::OutOfRange => Self::ResponseTooLarge(message),
            Code::Internal | Code::Unknown | Code::DataLoss => Self::Failed(message),
            _ => Self::Unavailable(message),
        }
    }
}

/// Returns the page of the session's thread that begins after this sequence.
pub(crate) async fn list_entries(
    peer: &Peer,
    session: &Session,
    after_sequence: i64,
) -> Result<ListEntriesResponse, CallError> {
    let request = ListEntriesRequest {
        conversation_id: session.conversation.to_string(),
        after_sequence: i32::try_from(after_sequence).unwrap_or(i32::MAX),
        until_sequence: 0,
        page_size: PAGE_SIZE,
    };
    let mut client = ThreadServiceClient::new(peer.for_account(session.account));
    Ok(client.list_entries(request).await?.into_inner())
}

/// Returns the entry of the session's thread with this sequence. None: there is none.
pub(crate) async fn find_entry(peer: &Peer, session: &Session, sequence: i64) -> Result<Option<Entry>, CallError> {
    let sequence = i32::try_from(sequence).unwrap_or(i32::MAX);
    let request = ListEntriesRequest {
        conversation_id: session.conversation.to_string(),
        after_sequence: sequence.saturating_sub(1),
        until_sequence: sequence,
        page_size: 1,
    };
    let mut client = ThreadServiceClient::new(peer.for_account(session.account));
    Ok(client.list_entries(request).await?.into_inner().entries.pop())
}

/// Returns the visitor's language, and the properties of the contact whom they are known to be.
pub(crate) async fn get_visitor_properties(peer: &Peer, session: &Session) -> Result<Known, CallError> {
    let request = GetVisitorPropertiesRequest { conversation_id: session.conversation.to_string() };
    let mut client = ArbiterServiceClient::new(peer.for_account(session.account));
    let response = client.get_visitor_properties(request).await?.into_inner();
    Ok(Known { language: response.language, properties: response.properties, ..Known::default() })
}

/// Returns whether the account has the insert, and it is not deleted.
pub(crate) async fn has_insert(peer: &Peer, account: AccountId, insert: Uuid) -> Result<bool, Status> {
    let mut inserts = InsertServiceClient::new(peer.for_account(account));
    let response = found(inserts.get_insert(GetInsertRequest { insert_id: insert.to_string() }).await)?;
    Ok(response.and_then(|response| response.insert).is_some_and(|insert| insert.delete_time.is_none()))
}

/// Returns the page of the session's thread that begins after this sequence, as the engine asked for it.
pub(crate) async fn list_entries_for_engine(
    peer: &Peer,
    session: &Session,
    after_sequence: i32,
    page_size: i32,
) -> Result<ListEntriesResponse, BotSessionError> {
    let conversation_id = session.conversation.to_string();
    let request = ListEntriesRequest { conversation_id, after_sequence, until_sequence: 0, page_size };
    match ThreadServiceClient::new(peer.for_account(session.account)).list_entries(request).await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) if has_reason(&status, SharedReason::CursorOutOfRange.as_str_name()) => {
            Err(BotSessionError::CursorOutOfRange(Box::new(status)))
        }
        Err(status) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "the thread of a turn cannot be read");
            Err(BotSessionError::ConversationUnavailable)
        }
    }
}

/// A message that the bot posted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostedMessage {
    pub(crate) sequence: i64,
    /// Its number among the entries that the visitor sees. None: the response does not say.
    pub(crate) visitor_sequence: Option<i64>,
}

/// Performs one action of a turn as the session's bot. Returns the message that it posted, if the action posts one and the
/// response holds it. Repeating a call with the same `request_id` changes nothing.
pub(crate) async fn perform(
    peer: &Peer,
    session: &Session,
    action: &BotAction,
    request_id: String,
) -> Result<Option<PostedMessage>, CallError> {
    let performed = match action {
        BotAction::Say { text, buttons } => {
            post_message(peer, session, PostBotMessageRequest { request_id, ..message(text, buttons) }).await
        }
        BotAction::SayFilled { text, buttons, inserts } => {
            let insert_ids = inserts.iter().map(Uuid::to_string).collect();
            let filled = PostBotMessageRequest { fill_placeholders: true, insert_ids, ..message(text, buttons) };
            post_message(peer, session, PostBotMessageRequest { request_id, ..filled }).await
        }
        BotAction::RecordAnswer { property, value } | BotAction::SetProperty { property, value } => {
            record_answer(peer, session, property, value, request_id).await
        }
        BotAction::CreateTicket { subject } => create_ticket(peer, session, subject, request_id).await,
        BotAction::HandOff { reason, to } => hand_off(peer, session, reason, *to, request_id).await,
        BotAction::Close => close(peer, session, request_id).await,
    };
    match performed {
        // The request id names the turn and the turn answers one message, so the first use of the id was this very
        // action, possibly with another text of an older version.
        Err(status) if has_reason(&status, SharedReason::RequestIdReused.as_str_name()) => Ok(None),
        performed => Ok(performed?),
    }
}

/// Returns the request that posts this message, without what says where.
fn message(text: &str, buttons: &[Button]) -> PostBotMessageRequest {
    let buttons = buttons.iter().map(|button| ProtoButton { id: button.id.clone(), label: button.label.clone() });
    PostBotMessageRequest { text: text.to_owned(), buttons: buttons.collect(), ..PostBotMessageRequest::default() }
}

async fn post_message(
    peer: &Peer,
    session: &Session,
    message: PostBotMessageRequest,
) -> Result<Option<PostedMessage>, Status> {
    let request = PostBotMessageRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        ..message
    };
    let response = as_bot(peer, session).post_bot_message(request).await?.into_inner();
    Ok(response.entry.map(|entry| PostedMessage {
        sequence: entry.sequence.into(),
        visitor_sequence: Some(entry.visitor_sequence.into()).filter(|sequence| *sequence > 0),
    }))
}

/// Posts the reminder of the session's bot, unless the visitor was active after `silent_since` (rule B4).
pub(crate) async fn remind(
    peer: &Peer,
    session: &Session,
    text: &str,
    silent_since: Time,
    request_id: String,
) -> Result<(), CallError> {
    let request = PostBotMessageRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        request_id,
        silent_since_time: Some(silent_since.to_proto()),
        ..message(text, &[])
    };
    match as_bot(peer, session).post_bot_message(request).await {
        Err(status) if has_reason(&status, Reason::VisitorActive.as_str_name()) => Ok(()),
        posted => Ok(posted.map(|_| ())?),
    }
}

async fn record_answer(
    peer: &Peer,
    session: &Session,
    property: &str,
    value: &str,
    request_id: String,
) -> Result<Option<PostedMessage>, Status> {
    let request = RecordAnswerRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        property: property.to_owned(),
        value: value.to_owned(),
        request_id,
    };
    as_bot(peer, session).record_answer(request).await?;
    Ok(None)
}

async fn create_ticket(
    peer: &Peer,
    session: &Session,
    subject: &str,
    request_id: String,
) -> Result<Option<PostedMessage>, Status> {
    let request = CreateTicketByBotRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        subject: subject.to_owned(),
        request_id,
    };
    as_bot(peer, session).create_ticket_by_bot(request).await?;
    Ok(None)
}

async fn hand_off(
    peer: &Peer,
    session: &Session,
    reason: &str,
    to: HandOffTarget,
    request_id: String,
) -> Result<Option<PostedMessage>, Status> {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let request = HandOffConversationRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        reason: reason.to_owned(),
        agent_id: id(to.agent),
        routing_policy_id: id(to.policy),
        team_id: id(to.team),
        request_id,
    };
    as_bot(peer, session).hand_off_conversation(request).await?;
    Ok(None)
}

async fn close(peer: &Peer, session: &Session, request_id: String) -> Result<Option<PostedMessage>, Status> {
    let request = CloseByBotRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        request_id,
    };
    as_bot(peer, session).close_by_bot(request).await?;
    Ok(None)
}

/// Returns a client that calls as the session's bot.
fn as_bot(peer: &Peer, session: &Session) -> ArbiterServiceClient<InterceptedService<Balancer, CallContext>> {
    let bot = Actor { kind: CallerKind::Bot, id: session.bot.to_string() };
    ArbiterServiceClient::new(peer.acting_for(session.account, &bot))
}

/// Applies the bot's state to the copy by which the conversation service starts chats, unless the copy is newer. Returns the version
/// of the copy.
pub(crate) async fn apply_bot(peer: &Peer, bot: &BotSummary) -> Result<i64, BotSessionError> {
    let request = ApplyBotRequest {
        bot_id: bot.id.to_string(),
        name: bot.name.clone(),
        inactivity_timeout: bot.timeout.and_then(|timeout| timeout.try_into().ok()),
        deleted: bot.deleted_at.is_some(),
        version: bot.version.try_into().unwrap_or(i32::MAX),
    };
    match ArbiterServiceClient::new(peer.for_account(bot.account)).apply_bot(request).await {
        Ok(response) => Ok(response.into_inner().version.into()),
        Err(status) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "a bot's state was not applied to conversations");
            Err(BotSessionError::NotAppliedToConversations)
        }
    }
}

/// Asks about all due sessions in one call. Returns one outcome for each, in their order.
pub(crate) async fn close_idle(peer: &Peer, due: &[DueSession]) -> Result<Vec<IdleOutcome>, CallError> {
    let conversations = due.iter().map(|due| IdleConversation {
        account_id: due.account.to_string(),
        conversation_id: due.conversation.to_string(),
        bot_session_id: due.session.to_string(),
        as_of_time: due.as_of.map(Time::to_proto),
    });
    let request = CloseIdleConversationsRequest { conversations: conversations.collect(), handles_failed: true };
    // The call spans accounts: each conversation names its own.
    let mut client = ArbiterServiceClient::new(peer.for_account(AccountId(Uuid::nil())));
    let response = client.close_idle_conversations(request).await?.into_inner();
    if response.results.len() != due.len() {
        return Err(CallError::Rejected(format!("{} results for {} sessions", response.results.len(), due.len())));
    }
    Ok(response.results.iter().map(outcome).collect())
}

fn outcome(result: &IdleResult) -> IdleOutcome {
    match (result.outcome(), &result.idle_time) {
        (ProtoIdleOutcome::Closed, _) => IdleOutcome::Closed,
        (ProtoIdleOutcome::VisitorActive, Some(time)) => {
            IdleOutcome::VisitorActive { deadline: Time::from_proto(time) }
        }
        (ProtoIdleOutcome::NotInCharge | ProtoIdleOutcome::NotFound, _) => IdleOutcome::NotInCharge,
        // Also an outcome of a later version: the session stays in charge of its timeout.
        (ProtoIdleOutcome::Failed | ProtoIdleOutcome::VisitorActive | ProtoIdleOutcome::Unspecified, _) => {
            IdleOutcome::Failed
        }
    }
}

/// Returns whether the status carries this reason, given by its name in the contract. On the wire it has no prefix.
fn has_reason(status: &Status, name: &str) -> bool {
    frontdesk_api::has_reason(status, name.trim_start_matches("REASON_"))
}
