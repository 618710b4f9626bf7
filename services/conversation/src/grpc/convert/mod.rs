//! Conversions between the protos and the domain, and the rules of fields that the protos cannot state. What a visitor gets is
//! an allow-list: a field that is not written here does not reach them (rule S3).

mod records;

use frontdesk_api::{ApiError, FieldError, parse_optional_id};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    actor::v1::{Actor as PbActor, ActorKind as PbActorKind},
    assignment::v1::AssignmentCause as PbCause,
    conversation::v1 as pb,
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    commands::IdleOutcome,
    domain::{
        Actor, ActorKind, AssignmentCause, Button, CloseReason, ClosingSnapshot, Content, Conversation, Entry, Owner,
        OwnerKind, Status as ConversationStatus,
    },
    queries::DisplayNames,
};

pub(super) use records::{both, channel, contact, email, greeter, one, ticket, time_zone, visitor_key};

/// The error for one field.
pub(super) fn invalid(field: &str, remedy: &str) -> Status {
    ApiError::fields(vec![FieldError::new(field, remedy)]).into()
}

/// The acting agent.
pub(super) fn agent(caller: &Caller) -> Result<Uuid, Status> {
    caller.agent_id().ok_or_else(|| invalid("authorization", "must be an agent's token"))
}

/// The bot session that a service acts for.
pub(super) fn bot_session(caller: &Caller, bot_session_id: &str) -> Result<Uuid, Status> {
    if caller.actor.kind != CallerKind::Bot {
        return Err(invalid("x-frontdesk-actor", "must name the bot that acts"));
    }
    match parse_optional_id("bot_session_id", bot_session_id)? {
        Some(session) => Ok(session),
        None => Err(invalid("bot_session_id", "must name the session that acts")),
    }
}

/// The key of a request whose id is optional.
pub(super) fn optional_key<M: prost::Message + prost::Name>(
    caller: &Caller,
    request_id: &str,
    request: &M,
) -> Option<Key> {
    (!request_id.is_empty()).then(|| Key::new(caller, request_id, request))
}

/// Requires more than spaces and line breaks.
pub(super) fn require_text(text: &str) -> Result<(), Status> {
    if text.trim().is_empty() {
        return Err(invalid("text", "must say something: it holds only spaces and line breaks"));
    }
    Ok(())
}

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn actor(actor: &Actor, names: &DisplayNames) -> PbActor {
    let kind = match actor.kind {
        ActorKind::Visitor => PbActorKind::Visitor,
        ActorKind::Agent => PbActorKind::Agent,
        ActorKind::Bot => PbActorKind::Bot,
        ActorKind::System => PbActorKind::System,
    };
    PbActor { kind: kind.into(), id: actor.id.clone(), name: names.actor(actor) }
}

pub(super) fn owner(owner: Owner, names: &DisplayNames) -> PbActor {
    let kind = match owner.kind {
        OwnerKind::Agent => PbActorKind::Agent,
        OwnerKind::Bot => PbActorKind::Bot,
    };
    PbActor { kind: kind.into(), id: owner.id.to_string(), name: names.owner(owner) }
}

/// The cause in a request; the field's rule rejects the unspecified one.
pub(super) fn cause(cause: PbCause) -> AssignmentCause {
    match cause {
        PbCause::Started => AssignmentCause::Started,
        PbCause::ByHand | PbCause::Unspecified => AssignmentCause::ByHand,
        PbCause::HandedOff => AssignmentCause::HandedOff,
        PbCause::Reopened => AssignmentCause::Reopened,
    }
}

fn close_reason(reason: CloseReason) -> pb::CloseReason {
    match reason {
        CloseReason::Agent => pb::CloseReason::Agent,
        CloseReason::VisitorInactive => pb::CloseReason::VisitorInactive,
        CloseReason::BotCompleted => pb::CloseReason::BotCompleted,
    }
}

pub(super) fn conversation(conversation: &Conversation, names: &DisplayNames) -> pb::Conversation {
    let bot_session = conversation.session_in_charge().map(|session| pb::BotSessionInCharge {
        bot_session_id: session.id.to_string(),
        bot_id: session.bot.to_string(),
        inactivity_timeout: session.timeout.and_then(|timeout| timeout.try_into().ok()),
        start_time: Some(session.started_at.to_proto()),
    });
    let status = match conversation.status {
        ConversationStatus::Open => pb::ConversationStatus::Open,
        ConversationStatus::Closed => pb::ConversationStatus::Closed,
    };
    pb::Conversation {
        id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        visitor_id: conversation.visitor_id.clone(),
        contact_id: id_or_empty(conversation.contact_id),
        status: status.into(),
        page_url: conversation.page_url.clone(),
        page_title: conversation.page_title.clone(),
        previous_conversation_id: id_or_empty(conversation.previous_id),
        assignee: conversation.owner.map(|assignee| owner(assignee, names)),
        epoch: conversation.epoch,
        bot_session,
        last_sequence: conversation.last_sequence,
        last_visitor_sequence: conversation.last_visitor_sequence,
        close_number: conversation.close_number,
        close_reason: conversation.close_reason.map_or(pb::CloseReason::Unspecified, close_reason).into(),
        create_time: Some(conversation.created_at.to_proto()),
        close_time: conversation.closed_at.map(|time| time.to_proto()),
        last_visitor_activity_time: Some(conversation.last_visitor_activity_at.to_proto()),
        last_activity_time: Some(conversation.last_activity_at.to_proto()),
    }
}

fn button(button: &Button) -> pb::Button {
    pb::Button { id: button.id.clone(), label: button.label.clone() }
}

pub(super) fn entry(entry: &Entry, names: &DisplayNames) -> pb::Entry {
    use pb::entry::Content as C;
    let content = match &entry.content {
        Content::Message { text, buttons, chosen_button_id } => C::Message(pb::Message {
            text: text.clone(),
            buttons: buttons.iter().map(button).collect(),
            chosen_button_id: chosen_button_id.clone().unwrap_or_default(),
        }),
        Content::Comment { text } => C::Comment(pb::Comment { text: text.clone() }),
        Content::AssigneeChanged { from, to, epoch } => C::AssigneeChanged(pb::AssigneeChangedEntry {
            from: from.map(|from| owner(from, names)),
            to: to.map(|to| owner(to, names)),
            epoch: *epoch,
        }),
        Content::HandedOff { reason, epoch } => {
            C::HandedOff(pb::HandedOffEntry { reason: reason.clone(), epoch: *epoch })
        }
        Content::Closed { reason, close_number } => {
            C::Closed(pb::ClosedEntry { reason: close_reason(*reason).into(), close_number: *close_number })
        }
        Content::Reopened { epoch } => C::Reopened(pb::ReopenedEntry { epoch: *epoch }),
        Content::ContactLinked { contact_id } => {
            C::ContactLinked(pb::ContactLinkedEntry { contact_id: contact_id.to_string() })
        }
        Content::TicketCreated { ticket_id } => {
            C::TicketCreated(pb::TicketCreatedEntry { ticket_id: ticket_id.to_string() })
        }
        Content::TranscriptSent { delivery_id, manual } => {
            C::TranscriptSent(pb::TranscriptSentEntry { delivery_id: delivery_id.to_string(), manual: *manual })
        }
    };
    pb::Entry {
        conversation_id: entry.conversation_id.to_string(),
        sequence: entry.sequence,
        visitor_sequence: entry.visitor_sequence.unwrap_or(0),
        author: Some(actor(&entry.author, names)),
        create_time: Some(entry.created_at.to_proto()),
        content: Some(content),
    }
}

/// A conversation as its visitor sees it.
pub(super) fn chat(conversation: &Conversation, names: &DisplayNames) -> pb::Chat {
    let answering = conversation.owner.filter(|_| conversation.is_open());
    pb::Chat {
        id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        open: conversation.is_open(),
        previous_chat_id: id_or_empty(conversation.previous_id),
        last_visitor_sequence: conversation.last_visitor_sequence,
        create_time: Some(conversation.created_at.to_proto()),
        answering_name: answering.map(|owner| names.owner(owner)).unwrap_or_default(),
        answering_kind: answering.map_or(pb::ChatAuthorKind::Unspecified, |owner| owner_kind(owner.kind)).into(),
    }
}

fn owner_kind(kind: OwnerKind) -> pb::ChatAuthorKind {
    match kind {
        OwnerKind::Agent => pb::ChatAuthorKind::Agent,
        OwnerKind::Bot => pb::ChatAuthorKind::Bot,
    }
}

/// An entry as the visitor sees it. None: it is not visible to them.
pub(super) fn chat_entry(entry: &Entry, names: &DisplayNames) -> Option<pb::ChatEntry> {
    use pb::chat_entry::Content as C;
    let by_author = match entry.author.kind {
        ActorKind::Visitor => (pb::ChatAuthorKind::Visitor, String::new()),
        ActorKind::Agent => (pb::ChatAuthorKind::Agent, names.actor(&entry.author)),
        ActorKind::Bot => (pb::ChatAuthorKind::Bot, names.actor(&entry.author)),
        ActorKind::System => (pb::ChatAuthorKind::Unspecified, String::new()),
    };
    let no_author = (pb::ChatAuthorKind::Unspecified, String::new());
    let ((author_kind, author_name), content) = match &entry.content {
        Content::Message { text, buttons, .. } => {
            let buttons =
                buttons.iter().map(|button| pb::ChatButton { id: button.id.clone(), label: button.label.clone() });
            (by_author, C::Message(pb::ChatMessage { text: text.clone(), buttons: buttons.collect() }))
        }
        // The agent who joined, not the one who assigned them.
        Content::AssigneeChanged { to: Some(to), .. } if to.is_agent() => {
            ((pb::ChatAuthorKind::Agent, names.owner(*to)), C::Joined(pb::ChatJoined {}))
        }
        Content::Closed { reason, .. } => {
            (no_author, C::Ended(pb::ChatEnded { visitor_inactive: *reason == CloseReason::VisitorInactive }))
        }
        Content::Reopened { .. } => (no_author, C::Reopened(pb::ChatReopened {})),
        Content::AssigneeChanged { .. }
        | Content::Comment { .. }
        | Content::HandedOff { .. }
        | Content::ContactLinked { .. }
        | Content::TicketCreated { .. }
        | Content::TranscriptSent { .. } => return None,
    };
    Some(pb::ChatEntry {
        visitor_sequence: entry.visitor_sequence?,
        author_kind: author_kind.into(),
        author_name,
        create_time: Some(entry.created_at.to_proto()),
        content: Some(content),
    })
}

pub(super) fn closing_facts(snapshot: ClosingSnapshot, visitor_name: String) -> pb::GetClosingFactsResponse {
    let facts = snapshot.facts;
    pb::GetClosingFactsResponse {
        contact_id: id_or_empty(snapshot.contact_id),
        recipient: facts.recipient.unwrap_or_default(),
        recipient_verified: facts.recipient_verified,
        had_bot_session: snapshot.had_bot_session,
        had_agent: snapshot.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: id_or_empty(facts.sender_id),
        last_sequence: snapshot.last_sequence,
        visitor_name,
    }
}

pub(super) fn idle_result(conversation_id: String, outcome: IdleOutcome) -> pb::IdleResult {
    let (outcome, idle_time) = match outcome {
        IdleOutcome::Closed => (pb::IdleOutcome::Closed, None),
        IdleOutcome::VisitorActive { idle_at } => (pb::IdleOutcome::VisitorActive, Some(idle_at.to_proto())),
        IdleOutcome::NotInCharge => (pb::IdleOutcome::NotInCharge, None),
        IdleOutcome::NotFound => (pb::IdleOutcome::NotFound, None),
    };
    pb::IdleResult { conversation_id, outcome: outcome.into(), idle_time }
}
