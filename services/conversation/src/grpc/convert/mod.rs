//! Conversions between the protos and the domain, and the rules of fields that the protos cannot state. What a visitor gets is
//! in `chat.rs`.

mod attachments;
mod chat;
mod fields;
mod inserts;
mod records;
mod rich_text;
mod search;
mod settings;
mod start_context;

use frontdesk_api::{ApiError, FieldError, parse_id};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    actor::v1::{Actor as PbActor, ActorKind as PbActorKind},
    assignment::v1::AssignmentCause as PbCause,
    conversation::{internal::v1 as internal, v1 as pb},
    says_something,
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    commands::{ChangeOutcome, IdleOutcome},
    domain::{
        Actor, ActorKind, AssignmentCause, Button, ChosenButton, CloseReason, ClosingSnapshot, Content, Conversation,
        Entry, ErasedKind, Mention, Owner, OwnerKind, ReadState, Signal, Status as ConversationStatus, TeamMember,
        TicketChange, VisitorMarks,
    },
    queries::{DisplayNames, ErasedConversations, Inbox},
};

pub(super) use attachments::{attachment, attachment_limits, upload_target};
pub(super) use chat::{chat, chat_entry, chat_signal, chat_state, queue_place, team_marks, widget};
pub(super) use fields::{
    Fields, anonymous_visitors, email, emails, language, mentions, one, properties, time_zone, visitor_id,
};
pub(super) use inserts::{changed_insert_content, insert, insert_kind, new_insert_content};
pub(super) use records::{
    account_job, channel, contact, contact_job, merged_contact, ticket, ticket_status, visitor_key,
};
pub(super) use rich_text::message_text;
use rich_text::rich_text;
pub(super) use search::{found, search_query};
pub(super) use settings::{property_types, settings};
pub(super) use start_context::start_context;

/// Maximum length of the text in a row of the inbox (characters).
const MAX_ROW_TEXT: usize = 200;

/// The error for one field.
pub(super) fn invalid(field: &str, remedy: &str) -> Status {
    ApiError::fields(vec![FieldError::new(field, remedy)]).into()
}

/// The actor who acts, or for whom a service acts.
pub(super) fn acting(caller: &Caller) -> Actor {
    let kind = match caller.actor.kind {
        CallerKind::Agent => ActorKind::Agent,
        CallerKind::Bot => ActorKind::Bot,
        CallerKind::Admin => ActorKind::Admin,
        CallerKind::Visitor | CallerKind::Service | CallerKind::Widget => return Actor::system(),
    };
    Actor { kind, id: caller.actor.id.clone() }
}

/// The member of the team who acts.
pub(super) fn team_member(caller: &Caller) -> Result<TeamMember, Status> {
    match caller.actor.kind {
        CallerKind::Admin => Ok(TeamMember::Admin(caller.actor.id.clone())),
        _ => agent(caller).map(TeamMember::Agent),
    }
}

/// The acting agent.
pub(super) fn agent(caller: &Caller) -> Result<Uuid, Status> {
    caller.agent_id().ok_or_else(|| invalid("authorization", "must be an agent's token"))
}

/// The key of a request whose id is optional.
pub(super) fn optional_key<M: prost::Message + prost::Name>(
    caller: &Caller,
    request_id: &str,
    request: &M,
) -> Option<Key> {
    (!request_id.is_empty()).then(|| Key::new(caller, request_id, request))
}

/// Requires a character that is shown.
pub(super) fn require_text(text: &str) -> Result<(), Status> {
    if !says_something(text) {
        let remedy = "must say something: it holds only spaces, line breaks and invisible characters";
        return Err(invalid("text", remedy));
    }
    Ok(())
}

/// Requires a text that says something, unless something else is sent with it.
pub(super) fn require_text_or(text: &str, has_other_content: bool) -> Result<(), Status> {
    if text.is_empty() && has_other_content { Ok(()) } else { require_text(text) }
}

/// The ids in the list `field`, which its rule has validated.
pub(super) fn ids(field: &str, ids: &[String]) -> Result<Vec<Uuid>, Status> {
    ids.iter().map(|id| parse_id(field, id)).collect()
}

/// The version of a resource. It increases by one with each change, and does not reach the limit of the proto.
fn version(version: i64) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

/// A counter of one conversation, such as a sequence, as the contract has it.
pub(super) fn counter(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn author(entry: &Entry, names: &DisplayNames) -> PbActor {
    PbActor { kind: actor_kind(entry.author.kind).into(), id: entry.author.id.clone(), name: names.author(entry) }
}

fn actor_kind(kind: ActorKind) -> PbActorKind {
    match kind {
        ActorKind::Visitor => PbActorKind::Visitor,
        ActorKind::Agent => PbActorKind::Agent,
        ActorKind::Bot => PbActorKind::Bot,
        ActorKind::System => PbActorKind::System,
        ActorKind::Admin => PbActorKind::Admin,
    }
}

pub(super) fn owner(owner: Owner, names: &DisplayNames) -> PbActor {
    PbActor { kind: owner_kind(owner.kind).into(), id: owner.id.to_string(), name: names.owner(owner) }
}

fn owner_kind(kind: OwnerKind) -> PbActorKind {
    match kind {
        OwnerKind::Agent => PbActorKind::Agent,
        OwnerKind::Bot => PbActorKind::Bot,
    }
}

/// The cause in a request; an unspecified one is by hand.
pub(super) fn cause(cause: PbCause) -> AssignmentCause {
    match cause {
        PbCause::Started => AssignmentCause::Started,
        PbCause::ByHand | PbCause::Unspecified => AssignmentCause::ByHand,
        PbCause::HandedOff => AssignmentCause::HandedOff,
        PbCause::Reopened => AssignmentCause::Reopened,
        PbCause::Routed => AssignmentCause::Routed,
        PbCause::AgentDeactivated => AssignmentCause::AgentDeactivated,
        PbCause::AgentUnreachable => AssignmentCause::AgentUnreachable,
    }
}

fn pb_cause(cause: AssignmentCause) -> PbCause {
    match cause {
        AssignmentCause::Started => PbCause::Started,
        AssignmentCause::ByHand => PbCause::ByHand,
        AssignmentCause::HandedOff => PbCause::HandedOff,
        AssignmentCause::Reopened => PbCause::Reopened,
        AssignmentCause::Routed => PbCause::Routed,
        AssignmentCause::AgentDeactivated => PbCause::AgentDeactivated,
        AssignmentCause::AgentUnreachable => PbCause::AgentUnreachable,
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
    let context = &conversation.context;
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
        page_url: context.page_url.clone(),
        page_title: context.page_title.clone(),
        previous_conversation_id: id_or_empty(conversation.previous_id),
        assignee: conversation.owner.map(|assignee| owner(assignee, names)),
        epoch: counter(conversation.epoch),
        bot_session,
        last_sequence: counter(conversation.last_sequence),
        last_visitor_sequence: counter(conversation.last_visitor_sequence),
        close_number: conversation.close_number,
        close_reason: conversation.close_reason.map_or(pb::CloseReason::Unspecified, close_reason).into(),
        create_time: Some(conversation.created_at.to_proto()),
        close_time: conversation.closed_at.map(|time| time.to_proto()),
        last_visitor_activity_time: Some(conversation.last_visitor_activity_at.to_proto()),
        last_activity_time: Some(conversation.last_activity_at.to_proto()),
        language: context.language.clone(),
        time_zone: context.time_zone.clone(),
        properties: context.properties.clone(),
        version: counter(conversation.version),
        unusable_token_email: conversation.unusable_token_email.clone(),
        waiting_since_time: conversation.waiting_since.map(|time| time.to_proto()),
    }
}

/// The status in a request. None: unspecified.
pub(super) fn status(status: pb::ConversationStatus) -> Option<ConversationStatus> {
    match status {
        pb::ConversationStatus::Unspecified => None,
        pb::ConversationStatus::Open => Some(ConversationStatus::Open),
        pb::ConversationStatus::Closed => Some(ConversationStatus::Closed),
    }
}

fn button(button: &Button) -> pb::Button {
    pb::Button { id: button.id.clone(), label: button.label.clone() }
}

/// None: content of a later release, which this one cannot show.
fn content(content: &Content, names: &DisplayNames) -> Option<pb::entry::Content> {
    use pb::entry::Content as C;
    Some(match content {
        Content::Message(message) => C::Message(pb::Message {
            text: message.text.clone(),
            buttons: message.buttons.iter().map(button).collect(),
            chosen_button: message.chosen.as_ref().map(chosen_button),
            inserts: message.inserts.iter().map(inserts::sent_insert).collect(),
            attachments: message.attachments.iter().map(attachments::sent_attachment).collect(),
            rich_text: message.rich_text.as_ref().map(rich_text),
        }),
        Content::Comment { text, mentions } => {
            C::Comment(pb::Comment { text: text.clone(), mentions: mentions.iter().map(mention).collect() })
        }
        Content::AssigneeChanged { from, to, epoch, cause } => C::AssigneeChanged(pb::AssigneeChangedEntry {
            previous_owner: from.map(|from| owner(from, names)),
            new_owner: to.map(|to| owner(to, names)),
            epoch: counter(*epoch),
            cause: cause.map_or(PbCause::Unspecified, pb_cause).into(),
        }),
        Content::HandedOff { reason, epoch } => {
            C::HandedOff(pb::HandedOffEntry { reason: reason.clone(), epoch: counter(*epoch) })
        }
        Content::Closed { reason, close_number } => {
            C::Closed(pb::ClosedEntry { reason: close_reason(*reason).into(), close_number: *close_number })
        }
        Content::Reopened { epoch } => C::Reopened(pb::ReopenedEntry { epoch: counter(*epoch) }),
        Content::ContactLinked { contact_id } => {
            C::ContactLinked(pb::ContactLinkedEntry { contact_id: contact_id.to_string() })
        }
        Content::AddressLeft { email } => C::AddressLeft(pb::AddressLeftEntry { email: email.clone() }),
        Content::VisitorSignedIn { anonymous_visitor_id } => {
            C::VisitorSignedIn(pb::VisitorSignedInEntry { anonymous_visitor_id: anonymous_visitor_id.clone() })
        }
        Content::TicketCreated { ticket_id } => {
            C::TicketCreated(pb::TicketCreatedEntry { ticket_id: ticket_id.to_string() })
        }
        Content::TicketUpdated(TicketChange { ticket_id, subject, closed, url, .. }) => {
            let status = closed.map_or(pb::TicketStatus::Unspecified, |closed| match closed {
                true => pb::TicketStatus::Closed,
                false => pb::TicketStatus::Open,
            });
            C::TicketUpdated(pb::TicketUpdatedEntry {
                ticket_id: ticket_id.to_string(),
                subject: subject.clone(),
                status: status.into(),
                url: url.clone(),
            })
        }
        Content::TranscriptSent { delivery_id, manual } => {
            C::TranscriptSent(pb::TranscriptSentEntry { delivery_id: delivery_id.to_string(), manual: *manual })
        }
        Content::Erased { kind } => C::Erased(pb::ErasedEntry { kind: erased_kind(*kind).into() }),
        Content::ContactErased { contact_id } => {
            C::ContactErased(pb::ContactErasedEntry { contact_id: contact_id.to_string() })
        }
        Content::Unknown => return None,
    })
}

fn erased_kind(kind: ErasedKind) -> pb::ErasedKind {
    match kind {
        ErasedKind::Message => pb::ErasedKind::Message,
        ErasedKind::Comment => pb::ErasedKind::Comment,
        ErasedKind::AddressLeft => pb::ErasedKind::AddressLeft,
        ErasedKind::VisitorSignedIn => pb::ErasedKind::VisitorSignedIn,
        ErasedKind::Unknown => pb::ErasedKind::Unspecified,
    }
}

pub(super) fn entry(entry: &Entry, names: &DisplayNames) -> pb::Entry {
    pb::Entry {
        conversation_id: entry.conversation_id.to_string(),
        sequence: counter(entry.sequence),
        visitor_sequence: counter(entry.visitor_sequence.unwrap_or(0)),
        author: Some(author(entry, names)),
        create_time: Some(entry.created_at.to_proto()),
        content: content(&entry.content, names),
        request_id: entry.request_id.clone().unwrap_or_default(),
    }
}

fn mention(mention: &Mention) -> pb::Mention {
    let number = |number| i32::try_from(number).unwrap_or(i32::MAX);
    pb::Mention { start: number(mention.start), length: number(mention.length), agent_id: mention.agent_id.to_string() }
}

fn chosen_button(chosen: &ChosenButton) -> pb::ChosenButton {
    pb::ChosenButton { visitor_sequence: counter(chosen.visitor_sequence), button_id: chosen.button_id.clone() }
}

pub(super) fn read_state(state: ReadState) -> pb::ReadState {
    pb::ReadState { read_sequence: counter(state.read), unread_count: counter(state.unread) }
}

/// What the watches of a thread get of a signal.
pub(super) fn thread_signal(signal: &[u8]) -> Option<pb::watch_thread_response::Update> {
    use pb::watch_thread_response::Update;
    // A signal of a later release that this one does not know is skipped.
    Some(match serde_json::from_slice(signal).ok()? {
        Signal::Typing { author, comment } => {
            let Actor { kind, id } = author.actor();
            let author = PbActor { kind: actor_kind(kind).into(), id, name: author.name().to_owned() };
            Update::Typing(pb::Typing { author: Some(author), comment })
        }
        Signal::VisitorMarks(marks) => Update::VisitorMarks(visitor_marks(marks)),
        Signal::TeamMark { .. } => return None,
    })
}

pub(super) fn visitor_marks(marks: VisitorMarks) -> pb::VisitorMarks {
    pb::VisitorMarks {
        delivered_visitor_sequence: counter(marks.delivered),
        read_visitor_sequence: counter(marks.read),
    }
}

/// A row of the inbox. `agent`: the caller, whose read state the row has. None: the caller is no agent.
pub(super) fn inbox_row(of: &Conversation, inbox: &Inbox, agent: Option<Uuid>) -> pb::InboxRow {
    let names = &inbox.names;
    let cut = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(MAX_ROW_TEXT) {
            text.truncate(end);
        }
    };
    let mut last_entry = inbox.newest_entries.get(&of.id).map(|newest| entry(newest, names));
    match last_entry.as_mut().and_then(|entry| entry.content.as_mut()) {
        Some(pb::entry::Content::Message(message)) => {
            cut(&mut message.text);
            message.rich_text = None;
            for insert in &mut message.inserts {
                (insert.plain_text, insert.content) = (String::new(), None);
            }
        }
        Some(pb::entry::Content::Comment(comment)) => cut(&mut comment.text),
        _ => {}
    }
    pb::InboxRow {
        conversation: Some(conversation(of, names)),
        visitor_name: names.visitor(of.id),
        last_entry,
        read_state: inbox.read_state(agent, of.id).map(read_state),
    }
}

pub(super) fn closing_facts(snapshot: ClosingSnapshot, visitor_name: String) -> internal::GetClosingFactsResponse {
    let facts = snapshot.facts;
    internal::GetClosingFactsResponse {
        contact_id: id_or_empty(snapshot.contact_id),
        recipient_email: facts.recipient.unwrap_or_default(),
        recipient_verified: facts.recipient_verified,
        had_bot_session: snapshot.had_bot_session,
        had_agent: snapshot.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: id_or_empty(facts.sender_id),
        last_sequence: counter(snapshot.last_sequence),
        visitor_name,
        token_email_unusable: facts.token_email_unusable,
        channel_language: facts.channel_language,
        account_language: facts.account_language,
    }
}

pub(super) fn erased_conversations(erased: ErasedConversations) -> internal::ListErasedConversationsResponse {
    let texts = |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect();
    internal::ListErasedConversationsResponse {
        contact_ids: texts(erased.contacts),
        conversation_ids: texts(erased.conversations),
        has_more: erased.has_more,
    }
}

pub(super) fn idle_result(conversation_id: String, outcome: IdleOutcome) -> internal::IdleResult {
    let (outcome, idle_time) = match outcome {
        IdleOutcome::Closed => (internal::IdleOutcome::Closed, None),
        IdleOutcome::VisitorActive { idle_at } => (internal::IdleOutcome::VisitorActive, Some(idle_at.to_proto())),
        IdleOutcome::NotInCharge => (internal::IdleOutcome::NotInCharge, None),
        IdleOutcome::NotFound => (internal::IdleOutcome::NotFound, None),
        IdleOutcome::Failed => (internal::IdleOutcome::Failed, None),
    };
    internal::IdleResult { conversation_id, outcome: outcome.into(), idle_time }
}

pub(super) fn change_result(conversation_id: String, outcome: ChangeOutcome) -> internal::ChangeAssigneeResult {
    let of = |outcome: internal::ChangeAssigneeOutcome| internal::ChangeAssigneeResult {
        conversation_id,
        outcome: outcome.into(),
        epoch: 0,
        change_time: None,
    };
    match outcome {
        ChangeOutcome::Changed(changed) => internal::ChangeAssigneeResult {
            epoch: counter(changed.epoch),
            change_time: changed.at.map(Time::to_proto),
            ..of(internal::ChangeAssigneeOutcome::Changed)
        },
        ChangeOutcome::Refused => of(internal::ChangeAssigneeOutcome::Refused),
        ChangeOutcome::AgentNotActive => of(internal::ChangeAssigneeOutcome::AgentNotActive),
        ChangeOutcome::Failed => of(internal::ChangeAssigneeOutcome::Failed),
    }
}
