//! What happened to a conversation, as the public events tell it.

use frontdesk_db::Tx;
use frontdesk_outbox::{self as outbox, Aggregate};
use frontdesk_proto::event::v1 as events;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{SOURCE, closes, entity::conversations::Model};
use crate::domain::{Author, AuthorKind, CloseReason, Happened, Owner, OwnerKind};

fn event_actor(author: &Author) -> events::Actor {
    let kind = match author.kind {
        AuthorKind::Visitor => events::ActorKind::Visitor,
        AuthorKind::Agent => events::ActorKind::Agent,
        AuthorKind::Bot => events::ActorKind::Bot,
        AuthorKind::System => events::ActorKind::System,
    };
    events::Actor { kind: kind.into(), id: author.id.clone() }
}

fn event_owner(owner: Owner) -> events::Actor {
    let kind = match owner.kind {
        OwnerKind::Agent => events::ActorKind::Agent,
        OwnerKind::Bot => events::ActorKind::Bot,
    };
    events::Actor { kind: kind.into(), id: owner.id.to_string() }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Appends what happened to the outbox, with what the row knows.
pub(super) async fn append(tx: &mut Tx, row: &Model, version: i64, event: Happened) -> Result<(), DbErr> {
    let aggregate = Aggregate { source: SOURCE, account: row.account_id, kind: "conversation", id: row.id, version };
    let conversation_id = row.id.to_string();
    match event {
        Happened::Started { to_routing } => {
            let event = events::ConversationStarted {
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
            outbox::append(tx, aggregate, &event).await
        }
        Happened::MessagePosted { sequence, visitor_sequence, author, bot_session } => {
            let author = Some(event_actor(&author));
            let bot_session_id = text(bot_session);
            outbox::append(
                tx,
                aggregate,
                &events::MessagePosted { conversation_id, sequence, visitor_sequence, author, bot_session_id },
            )
            .await
        }
        Happened::CommentPosted { sequence, author } => {
            let author = Some(event_actor(&author));
            outbox::append(tx, aggregate, &events::CommentPosted { conversation_id, sequence, author }).await
        }
        Happened::AssigneeChanged { epoch, from, to, by, ended_session, at } => {
            let event = events::AssigneeChanged {
                conversation_id,
                epoch,
                from: from.map(event_owner),
                to: to.map(event_owner),
                by: Some(event_actor(&by)),
                ended_bot_session_id: text(ended_session),
                change_time: Some(at.to_proto()),
            };
            outbox::append(tx, aggregate, &event).await
        }
        Happened::HandedOff { bot_session, bot, agent, at } => {
            let event = events::ConversationHandedOff {
                conversation_id,
                epoch: row.epoch,
                bot_session_id: bot_session.to_string(),
                bot_id: bot.to_string(),
                agent_id: text(agent),
                change_time: Some(at.to_proto()),
            };
            outbox::append(tx, aggregate, &event).await
        }
        Happened::Closed { reason, by, facts, bot_session, at } => {
            let reason = match reason {
                CloseReason::Agent => events::CloseReason::Agent,
                CloseReason::VisitorInactive => events::CloseReason::VisitorInactive,
                CloseReason::BotCompleted => events::CloseReason::BotCompleted,
            };
            let event = events::ConversationClosed {
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
            closes::insert(tx, row, facts).await?;
            outbox::append(tx, aggregate, &event).await
        }
        Happened::Reopened { by, at } => {
            let event = events::ConversationReopened {
                conversation_id,
                epoch: row.epoch,
                by: Some(event_actor(&by)),
                reopen_time: Some(at.to_proto()),
            };
            outbox::append(tx, aggregate, &event).await
        }
    }
}
