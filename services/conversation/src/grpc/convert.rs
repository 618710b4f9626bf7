//! The domain becomes responses. What a visitor gets is an allow-list: a field that is not written here does not reach them
//! (rule S3).

use frontdesk_proto::{
    actor::v1::{Actor as PbActor, ActorKind as PbActorKind},
    assignment::v1::AssignmentCause as PbCause,
    conversation::v1 as pb,
};
use uuid::Uuid;

use crate::{
    commands::IdleOutcome,
    domain::{
        Actor, ActorKind, AssignmentCause, Button, Channel, CloseReason, ClosingSnapshot, Contact, Content,
        Conversation, Entry, Greeter, Owner, OwnerKind, Status, Ticket, TicketStatus, VisitorKey,
    },
    queries::DisplayNames,
};

fn text(id: Option<Uuid>) -> String {
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
        Status::Open => pb::ConversationStatus::Open,
        Status::Closed => pb::ConversationStatus::Closed,
    };
    pb::Conversation {
        id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        visitor_id: conversation.visitor_id.clone(),
        contact_id: text(conversation.contact_id),
        status: status.into(),
        page_url: conversation.page_url.clone(),
        page_title: conversation.page_title.clone(),
        previous_conversation_id: text(conversation.previous_id),
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
        previous_chat_id: text(conversation.previous_id),
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

pub(super) fn contact(contact: &Contact) -> pb::Contact {
    let emails = contact.emails.iter();
    pb::Contact {
        id: contact.id.to_string(),
        name: contact.name.clone(),
        emails: emails
            .map(|email| pb::ContactEmail { address: email.address.clone(), verified: email.verified })
            .collect(),
        phone: contact.phone.clone(),
        time_zone: contact.time_zone.clone(),
        properties: contact.properties.clone(),
        create_time: Some(contact.created_at.to_proto()),
        etag: contact.etag(),
    }
}

pub(super) fn closing_facts(snapshot: ClosingSnapshot, visitor_name: String) -> pb::GetClosingFactsResponse {
    let facts = snapshot.facts;
    pb::GetClosingFactsResponse {
        contact_id: text(snapshot.contact_id),
        recipient: facts.recipient.unwrap_or_default(),
        recipient_verified: facts.recipient_verified,
        had_bot_session: snapshot.had_bot_session,
        had_agent: snapshot.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: text(facts.sender_id),
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

pub(super) fn channel(channel: &Channel) -> pb::Channel {
    let greeter = match channel.greeter {
        Greeter::Bot => pb::Greeter::Bot,
        Greeter::Routing => pb::Greeter::Routing,
        Greeter::Nobody => pb::Greeter::Nobody,
    };
    pb::Channel {
        id: channel.id.to_string(),
        name: channel.name.clone(),
        website_url: channel.website_url.clone(),
        greeter: greeter.into(),
        bot_id: text(channel.bot_id),
        transcript_enabled: channel.transcript_enabled,
        transcript_sender_id: text(channel.transcript_sender_id),
        time_zone: channel.time_zone.clone(),
        deleted: channel.deleted,
        create_time: Some(channel.created_at.to_proto()),
        etag: channel.etag(),
    }
}

pub(super) fn visitor_key(key: &VisitorKey) -> pb::VisitorKey {
    pb::VisitorKey {
        key_id: format!("{}.{}", key.channel_id, key.number),
        create_time: Some(key.created_at.to_proto()),
        end_time: key.ends_at.map(|ends| ends.to_proto()),
    }
}

/// The greeter in a request; the field's rule rejects the unspecified one.
pub(super) fn greeter(greeter: pb::Greeter) -> Greeter {
    match greeter {
        pb::Greeter::Bot => Greeter::Bot,
        pb::Greeter::Routing => Greeter::Routing,
        pb::Greeter::Nobody | pb::Greeter::Unspecified => Greeter::Nobody,
    }
}

pub(super) fn ticket(ticket: &Ticket) -> pb::Ticket {
    let status = match ticket.status {
        TicketStatus::Open => pb::TicketStatus::Open,
        TicketStatus::Closed => pb::TicketStatus::Closed,
    };
    pb::Ticket {
        id: ticket.id.to_string(),
        conversation_id: ticket.conversation_id.to_string(),
        contact_id: ticket.contact_id.to_string(),
        subject: ticket.subject.clone(),
        status: status.into(),
        url: ticket.url.clone(),
        create_time: Some(ticket.created_at.to_proto()),
    }
}
