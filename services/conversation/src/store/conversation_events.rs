//! What happened to a conversation, as the public events tell it.

use frontdesk_outbox::{Aggregate, Events};
use frontdesk_proto::event::v1 as pb;
use uuid::Uuid;

use super::{
    SOURCE, closes,
    entity::{self, conversations::Model},
};
use crate::domain::{Author, AuthorKind, CloseReason, Happened, Owner, OwnerKind};

fn event_actor(author: &Author) -> pb::Actor {
    let kind = match author.kind {
        AuthorKind::Visitor => pb::ActorKind::Visitor,
        AuthorKind::Agent => pb::ActorKind::Agent,
        AuthorKind::Bot => pb::ActorKind::Bot,
        AuthorKind::System => pb::ActorKind::System,
    };
    pb::Actor { kind: kind.into(), id: author.id.clone() }
}

fn event_owner(owner: Owner) -> pb::Actor {
    let kind = match owner.kind {
        OwnerKind::Agent => pb::ActorKind::Agent,
        OwnerKind::Bot => pb::ActorKind::Bot,
    };
    pb::Actor { kind: kind.into(), id: owner.id.to_string() }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Adds what happened to the events, with what the row knows now. Gives what a close froze.
pub(super) fn push(
    events: &mut Events,
    row: &Model,
    version: i64,
    event: Happened,
    traceparent: &str,
) -> Option<entity::closes::Model> {
    let aggregate = Aggregate { source: SOURCE, account: row.account_id, kind: "conversation", id: row.id, version };
    let conversation_id = row.id.to_string();
    match event {
        Happened::Started { to_routing } => {
            let event = pb::ConversationStarted {
                conversation_id,
                channel_id: row.channel_id.to_string(),
                contact_id: text(row.contact_id),
                bot_id: text(row.bot_id),
                bot_session_id: text(row.bot_session_id),
                inactivity_timeout: row.bot_timeout_us.map(crate::grpc::duration),
                start_time: Some(row.created_at.to_proto()),
                epoch: 1,
                to_routing,
            };
            events.push(aggregate, &event, traceparent);
        }
        Happened::MessagePosted { sequence, visitor_sequence, author, bot_session } => {
            let author = Some(event_actor(&author));
            let bot_session_id = text(bot_session);
            let event = pb::MessagePosted { conversation_id, sequence, visitor_sequence, author, bot_session_id };
            events.push(aggregate, &event, traceparent);
        }
        Happened::CommentPosted { sequence, author } => {
            let author = Some(event_actor(&author));
            events.push(aggregate, &pb::CommentPosted { conversation_id, sequence, author }, traceparent);
        }
        Happened::AssigneeChanged { epoch, from, to, by, ended_session, at } => {
            let event = pb::AssigneeChanged {
                conversation_id,
                epoch,
                from: from.map(event_owner),
                to: to.map(event_owner),
                by: Some(event_actor(&by)),
                ended_bot_session_id: text(ended_session),
                change_time: Some(at.to_proto()),
            };
            events.push(aggregate, &event, traceparent);
        }
        Happened::HandedOff { bot_session, bot, agent, at } => {
            let event = pb::ConversationHandedOff {
                conversation_id,
                epoch: row.epoch,
                bot_session_id: bot_session.to_string(),
                bot_id: bot.to_string(),
                agent_id: text(agent),
                change_time: Some(at.to_proto()),
            };
            events.push(aggregate, &event, traceparent);
        }
        Happened::Closed { reason, by, facts, bot_session, at } => {
            let reason = match reason {
                CloseReason::Agent => pb::CloseReason::Agent,
                CloseReason::VisitorInactive => pb::CloseReason::VisitorInactive,
                CloseReason::BotCompleted => pb::CloseReason::BotCompleted,
            };
            let event = pb::ConversationClosed {
                conversation_id,
                close_number: row.close_number,
                reason: reason.into(),
                by: Some(event_actor(&by)),
                channel_id: row.channel_id.to_string(),
                contact_id: text(row.contact_id),
                address_usable: facts.recipient.is_some(),
                address_verified: facts.recipient_verified,
                had_bot_session: row.bot_session_id.is_some(),
                had_agent: row.had_agent,
                had_ticket: facts.had_ticket,
                transcript_enabled: facts.transcript_enabled,
                sender_id: text(facts.sender_id),
                last_sequence: row.last_sequence,
                bot_session_id: text(bot_session),
                epoch: row.epoch,
                close_time: Some(at.to_proto()),
            };
            events.push(aggregate, &event, traceparent);
            return Some(closes::frozen(row, facts));
        }
        Happened::Reopened { by, at } => {
            let event = pb::ConversationReopened {
                conversation_id,
                epoch: row.epoch,
                by: Some(event_actor(&by)),
                reopen_time: Some(at.to_proto()),
            };
            events.push(aggregate, &event, traceparent);
        }
    }
    None
}
