//! Rows and domain become messages. What a visitor gets is an allow-list: a field that is not written here does not reach
//! them (rule S3).

use frontdesk_proto::conversation::v1 as pb;

use crate::{
    domain::{
        Author, AuthorKind, CloseReason, Content, Conversation, Entry, Greeter, Owner, OwnerKind, Status, TicketStatus,
    },
    store::{
        contacts::Contact,
        entity::{channels, closes, tickets, visitor_keys},
        names::Names,
    },
};

/// Microseconds as protobuf's duration.
pub(crate) fn duration(us: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: us / 1_000_000, nanos: i32::try_from(us % 1_000_000 * 1_000).unwrap_or(0) }
}

fn text(id: Option<uuid::Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn author(author: &Author, names: &Names) -> pb::Actor {
    let kind = match author.kind {
        AuthorKind::Visitor => pb::ActorKind::Visitor,
        AuthorKind::Agent => pb::ActorKind::Agent,
        AuthorKind::Bot => pb::ActorKind::Bot,
        AuthorKind::System => pb::ActorKind::System,
    };
    pb::Actor { kind: kind.into(), id: author.id.clone(), name: names.of_author(author) }
}

pub(super) fn owner(owner: Owner, names: &Names) -> pb::Actor {
    let kind = match owner.kind {
        OwnerKind::Agent => pb::ActorKind::Agent,
        OwnerKind::Bot => pb::ActorKind::Bot,
    };
    pb::Actor { kind: kind.into(), id: owner.id.to_string(), name: names.of_owner(owner) }
}

fn close_reason(reason: CloseReason) -> pb::CloseReason {
    match reason {
        CloseReason::Agent => pb::CloseReason::Agent,
        CloseReason::VisitorInactive => pb::CloseReason::VisitorInactive,
        CloseReason::BotCompleted => pb::CloseReason::BotCompleted,
    }
}

pub(super) fn conversation(conversation: &Conversation, names: &Names) -> pb::Conversation {
    let row = &conversation.row;
    let bot_session = conversation.session_in_charge().map(|session| pb::BotSessionInCharge {
        bot_session_id: session.to_string(),
        bot_id: text(row.bot_id),
        inactivity_timeout: row.bot_timeout_us.map(duration),
        start_time: row.bot_started_at.map(|time| time.to_proto()),
    });
    let status = match row.status {
        Status::Open => pb::ConversationStatus::Open,
        Status::Closed => pb::ConversationStatus::Closed,
    };
    pb::Conversation {
        id: row.id.to_string(),
        channel_id: row.channel_id.to_string(),
        visitor_id: row.visitor_id.clone(),
        contact_id: text(row.contact_id),
        status: status.into(),
        page_url: row.page_url.clone(),
        page_title: row.page_title.clone(),
        previous_conversation_id: text(row.previous_id),
        assignee: conversation.owner().map(|assignee| owner(assignee, names)),
        epoch: row.epoch,
        bot_session,
        last_sequence: row.last_sequence,
        last_visitor_sequence: row.last_visitor_sequence,
        close_number: row.close_number,
        close_reason: row.close_reason.map_or(pb::CloseReason::Unspecified, close_reason).into(),
        create_time: Some(row.created_at.to_proto()),
        close_time: row.closed_at.map(|time| time.to_proto()),
        last_visitor_activity_time: Some(row.last_visitor_activity_at.to_proto()),
        last_activity_time: Some(row.last_activity_at.to_proto()),
    }
}

pub(super) fn entry(entry: &Entry, names: &Names) -> pb::Entry {
    use pb::entry::Content as C;
    let content = match &entry.content {
        Content::Message { text, buttons, chosen_button_id } => C::Message(pb::Message {
            text: text.clone(),
            buttons: buttons
                .iter()
                .map(|button| pb::Button { id: button.id.clone(), label: button.label.clone() })
                .collect(),
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
        author: Some(author(&entry.author, names)),
        create_time: Some(entry.created_at.to_proto()),
        content: Some(content),
    }
}

/// A conversation as its visitor sees it.
pub(super) fn chat(conversation: &Conversation, names: &Names) -> pb::Chat {
    let row = &conversation.row;
    let answering = conversation.owner().filter(|_| row.status == Status::Open);
    pb::Chat {
        id: row.id.to_string(),
        channel_id: row.channel_id.to_string(),
        open: row.status == Status::Open,
        previous_chat_id: text(row.previous_id),
        last_visitor_sequence: row.last_visitor_sequence,
        create_time: Some(row.created_at.to_proto()),
        answering_name: answering.map(|owner| names.of_owner(owner)).unwrap_or_default(),
        answering_kind: answering.map_or(pb::ChatAuthorKind::Unspecified, |owner| owner_kind(owner.kind)).into(),
    }
}

fn owner_kind(kind: OwnerKind) -> pb::ChatAuthorKind {
    match kind {
        OwnerKind::Agent => pb::ChatAuthorKind::Agent,
        OwnerKind::Bot => pb::ChatAuthorKind::Bot,
    }
}

/// An entry as the visitor sees it; None: they do not.
pub(super) fn chat_entry(entry: &Entry, names: &Names) -> Option<pb::ChatEntry> {
    use pb::chat_entry::Content as C;
    let by_author = match entry.author.kind {
        AuthorKind::Visitor => (pb::ChatAuthorKind::Visitor, String::new()),
        AuthorKind::Agent => (pb::ChatAuthorKind::Agent, names.of_author(&entry.author)),
        AuthorKind::Bot => (pb::ChatAuthorKind::Bot, names.of_author(&entry.author)),
        AuthorKind::System => (pb::ChatAuthorKind::Unspecified, String::new()),
    };
    let nobody = (pb::ChatAuthorKind::Unspecified, String::new());
    let ((author_kind, author_name), content) = match &entry.content {
        Content::Message { text, buttons, .. } => {
            let buttons =
                buttons.iter().map(|button| pb::ChatButton { id: button.id.clone(), label: button.label.clone() });
            (by_author, C::Message(pb::ChatMessage { text: text.clone(), buttons: buttons.collect() }))
        }
        // Who joined, not who sent them.
        Content::AssigneeChanged { to: Some(to), .. } if to.kind == OwnerKind::Agent => {
            ((pb::ChatAuthorKind::Agent, names.of_owner(*to)), C::Joined(pb::ChatJoined {}))
        }
        Content::Closed { reason, .. } => {
            (nobody, C::Ended(pb::ChatEnded { visitor_inactive: *reason == CloseReason::VisitorInactive }))
        }
        Content::Reopened { .. } => (nobody, C::Reopened(pb::ChatReopened {})),
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
        id: contact.row.id.to_string(),
        name: contact.row.name.clone(),
        emails: emails
            .map(|email| pb::ContactEmail { address: email.address.clone(), verified: email.verified })
            .collect(),
        phone: contact.row.phone.clone(),
        time_zone: contact.row.time_zone.clone(),
        properties: contact.properties(),
        create_time: Some(contact.row.created_at.to_proto()),
        etag: contact.row.version.to_string(),
    }
}

pub(super) fn closing_facts(close: closes::Model, visitor_name: String) -> pb::GetClosingFactsResponse {
    pb::GetClosingFactsResponse {
        contact_id: text(close.contact_id),
        recipient: close.recipient.unwrap_or_default(),
        recipient_verified: close.recipient_verified,
        had_bot_session: close.had_bot_session,
        had_agent: close.had_agent,
        had_ticket: close.had_ticket,
        transcript_enabled: close.transcript_enabled,
        sender_id: text(close.sender_id),
        last_sequence: close.last_sequence,
        visitor_name,
    }
}

pub(super) fn channel(channel: &channels::Model) -> pb::Channel {
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
        etag: channel.version.to_string(),
    }
}

pub(super) fn visitor_key(key: &visitor_keys::Model) -> pb::VisitorKey {
    pb::VisitorKey {
        key_id: format!("{}.{}", key.channel_id, key.number),
        create_time: Some(key.created_at.to_proto()),
        end_time: key.ends_at.map(|ends| ends.to_proto()),
    }
}

/// The greeter of a request; the field's rule has refused the unspecified one.
pub(super) fn greeter(greeter: pb::Greeter) -> Greeter {
    match greeter {
        pb::Greeter::Bot => Greeter::Bot,
        pb::Greeter::Routing => Greeter::Routing,
        pb::Greeter::Nobody | pb::Greeter::Unspecified => Greeter::Nobody,
    }
}

pub(super) fn ticket(ticket: &tickets::Model) -> pb::Ticket {
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
