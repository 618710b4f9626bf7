//! Public events: one function for each. Events carry ids, numbers, kinds and reasons, never names, texts or addresses.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_outbox::{Aggregate, Events};
use frontdesk_proto::{
    actor::v1::{Actor as PbActor, ActorKind as PbActorKind},
    assignment::v1::AssignmentCause as PbCause,
    event::v1 as pb,
};
use uuid::Uuid;

use crate::{
    NAME,
    domain::{
        Actor, ActorKind, AssigneeChanged, AssignmentCause, Channel, CloseReason, Closed, Contact, Conversation,
        ConversationEvent, Owner, OwnerKind, Ticket,
    },
};

/// Adds what happened to the conversation, with what its row holds now.
pub(super) fn push(
    events: &mut Events,
    conversation: &Conversation,
    version: i64,
    event: &ConversationEvent,
    traceparent: &str,
) {
    use ConversationEvent as E;
    let aggregate = aggregate(conversation.account, "conversation", conversation.id, version);
    match event {
        E::Started { to_routing } => {
            events.push(aggregate, &conversation_started(conversation, *to_routing), traceparent);
        }
        E::MessagePosted { sequence, visitor_sequence, author, bot_session } => {
            let event = message_posted(conversation, (*sequence, *visitor_sequence), author, *bot_session);
            events.push(aggregate, &event, traceparent);
        }
        E::CommentPosted { sequence, author } => {
            events.push(aggregate, &comment_posted(conversation, *sequence, author), traceparent);
        }
        E::AssigneeChanged(changed) => events.push(aggregate, &assignee_changed(conversation, changed), traceparent),
        E::HandedOff { bot_session, bot, agent, at } => {
            let event = conversation_handed_off(conversation, *bot_session, *bot, *agent, *at);
            events.push(aggregate, &event, traceparent);
        }
        E::Closed(closed) => events.push(aggregate, &conversation_closed(conversation, closed), traceparent),
        E::Reopened { by, at } => {
            events.push(aggregate, &conversation_reopened(conversation, by, *at), traceparent);
        }
    }
}

fn conversation_started(conversation: &Conversation, to_routing: bool) -> pb::ConversationStarted {
    let session = conversation.bot_session.as_ref();
    pb::ConversationStarted {
        conversation_id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        contact_id: text(conversation.contact_id),
        bot_id: text(session.map(|session| session.bot)),
        bot_session_id: text(session.map(|session| session.id)),
        inactivity_timeout: session.and_then(|session| session.timeout?.try_into().ok()),
        start_time: Some(conversation.created_at.to_proto()),
        epoch: 1,
        to_routing,
    }
}

fn message_posted(
    conversation: &Conversation,
    (sequence, visitor_sequence): (i64, i64),
    author: &Actor,
    bot_session: Option<Uuid>,
) -> pb::MessagePosted {
    pb::MessagePosted {
        conversation_id: conversation.id.to_string(),
        sequence,
        visitor_sequence,
        author: Some(actor(author)),
        bot_session_id: text(bot_session),
    }
}

fn comment_posted(conversation: &Conversation, sequence: i64, author: &Actor) -> pb::CommentPosted {
    pb::CommentPosted { conversation_id: conversation.id.to_string(), sequence, author: Some(actor(author)) }
}

fn assignee_changed(conversation: &Conversation, changed: &AssigneeChanged) -> pb::AssigneeChanged {
    pb::AssigneeChanged {
        conversation_id: conversation.id.to_string(),
        epoch: changed.epoch,
        from: changed.from.map(owner),
        to: changed.to.map(owner),
        by: Some(actor(&changed.by)),
        ended_bot_session_id: text(changed.ended_session),
        change_time: Some(changed.at.to_proto()),
        cause: cause(changed.cause).into(),
    }
}

fn conversation_handed_off(
    conversation: &Conversation,
    bot_session: Uuid,
    bot: Uuid,
    agent: Option<Uuid>,
    at: Time,
) -> pb::ConversationHandedOff {
    pb::ConversationHandedOff {
        conversation_id: conversation.id.to_string(),
        epoch: conversation.epoch,
        bot_session_id: bot_session.to_string(),
        bot_id: bot.to_string(),
        agent_id: text(agent),
        change_time: Some(at.to_proto()),
    }
}

fn conversation_closed(conversation: &Conversation, closed: &Closed) -> pb::ConversationClosed {
    let reason = match closed.reason {
        CloseReason::Agent => pb::CloseReason::Agent,
        CloseReason::VisitorInactive => pb::CloseReason::VisitorInactive,
        CloseReason::BotCompleted => pb::CloseReason::BotCompleted,
    };
    let facts = &closed.facts;
    pb::ConversationClosed {
        conversation_id: conversation.id.to_string(),
        close_number: conversation.close_number,
        reason: reason.into(),
        by: Some(actor(&closed.by)),
        channel_id: conversation.channel_id.to_string(),
        contact_id: text(conversation.contact_id),
        address_usable: facts.recipient.is_some(),
        address_verified: facts.recipient_verified,
        had_bot_session: conversation.bot_session.is_some(),
        had_agent: conversation.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: text(facts.sender_id),
        last_sequence: conversation.last_sequence,
        bot_session_id: text(closed.bot_session),
        epoch: conversation.epoch,
        close_time: Some(closed.at.to_proto()),
    }
}

fn conversation_reopened(conversation: &Conversation, by: &Actor, at: Time) -> pb::ConversationReopened {
    pb::ConversationReopened {
        conversation_id: conversation.id.to_string(),
        epoch: conversation.epoch,
        by: Some(actor(by)),
        reopen_time: Some(at.to_proto()),
    }
}

pub(super) fn channel_created(channel: &Channel) -> pb::ChannelCreated {
    pb::ChannelCreated { channel_id: channel.id.to_string() }
}

pub(super) fn channel_updated(channel: &Channel) -> pb::ChannelUpdated {
    pb::ChannelUpdated { channel_id: channel.id.to_string() }
}

pub(super) fn contact_created(contact: &Contact) -> pb::ContactCreated {
    pb::ContactCreated { contact_id: contact.id.to_string() }
}

pub(super) fn contact_updated(contact: &Contact) -> pb::ContactUpdated {
    pb::ContactUpdated { contact_id: contact.id.to_string() }
}

pub(super) fn ticket_created(ticket: &Ticket) -> pb::TicketCreated {
    pb::TicketCreated {
        ticket_id: ticket.id.to_string(),
        conversation_id: ticket.conversation_id.to_string(),
        contact_id: ticket.contact_id.to_string(),
    }
}

pub(super) fn ticket_updated(ticket: &Ticket) -> pb::TicketUpdated {
    pb::TicketUpdated { ticket_id: ticket.id.to_string() }
}

/// The aggregate of a channel's events.
pub(super) fn channel(channel: &Channel) -> Aggregate {
    aggregate(channel.account, "channel", channel.id, channel.version)
}

/// The aggregate of a contact's events.
pub(super) fn contact(contact: &Contact) -> Aggregate {
    aggregate(contact.account, "contact", contact.id, contact.version)
}

/// The aggregate of a ticket's events.
pub(super) fn ticket(ticket: &Ticket) -> Aggregate {
    aggregate(ticket.account, "ticket", ticket.id, ticket.version)
}

fn aggregate(account: AccountId, kind: &'static str, id: Uuid, version: i64) -> Aggregate {
    Aggregate { source: NAME, account, kind, id, version }
}

fn actor(actor: &Actor) -> PbActor {
    let kind = match actor.kind {
        ActorKind::Visitor => PbActorKind::Visitor,
        ActorKind::Agent => PbActorKind::Agent,
        ActorKind::Bot => PbActorKind::Bot,
        ActorKind::System => PbActorKind::System,
    };
    PbActor { kind: kind.into(), id: actor.id.clone(), name: String::new() }
}

fn owner(owner: Owner) -> PbActor {
    let kind = match owner.kind {
        OwnerKind::Agent => PbActorKind::Agent,
        OwnerKind::Bot => PbActorKind::Bot,
    };
    PbActor { kind: kind.into(), id: owner.id.to_string(), name: String::new() }
}

fn cause(cause: AssignmentCause) -> PbCause {
    match cause {
        AssignmentCause::Started => PbCause::Started,
        AssignmentCause::ByHand => PbCause::ByHand,
        AssignmentCause::HandedOff => PbCause::HandedOff,
        AssignmentCause::Reopened => PbCause::Reopened,
    }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
