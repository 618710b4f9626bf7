//! Decodes events of the outboxes into the fields that the checker compares.

use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    event::v1 as events,
};
use prost::Message;

use super::{Event, Fact};
use crate::cluster::Failure;

/// Decodes an event of an outbox.
pub(super) fn decode_event(bytes: &[u8], published: bool) -> Result<Event, Failure> {
    let event = events::Event::decode(bytes)?;
    let kind = event.r#type.rsplit('.').next().unwrap_or_default().to_owned();
    let fact = fact(&kind, &event.data.unwrap_or_default().value)?;
    Ok(Event {
        source: event.source,
        id: event.id,
        account: event.account_id,
        aggregate: event.aggregate_id,
        version: i64::from(event.version),
        kind,
        at: micros(event.create_time),
        fact,
        published,
    })
}

fn fact(kind: &str, data: &[u8]) -> Result<Fact, prost::DecodeError> {
    Ok(match kind {
        "ConversationStarted" => {
            let event = events::ConversationStarted::decode(data)?;
            let owner = if event.bot_id.is_empty() { String::new() } else { format!("BOT:{}", event.bot_id) };
            let timeout = event.inactivity_timeout.map_or(0, |timeout| timeout.seconds * 1_000_000);
            let (at, policy) = (micros(event.start_time), event.routing_policy_id);
            Fact::Started { session: event.bot_session_id, timeout, at, owner, policy }
        }
        "MessagePosted" => Fact::Message { sequence: i64::from(events::MessagePosted::decode(data)?.sequence) },
        "CommentPosted" => Fact::Comment { sequence: i64::from(events::CommentPosted::decode(data)?.sequence) },
        "AssigneeChanged" => {
            let event = events::AssigneeChanged::decode(data)?;
            let cause = event.cause().as_str_name().trim_start_matches("ASSIGNMENT_CAUSE_").to_owned();
            let (from, to) = (owner(event.previous_owner), owner(event.new_owner));
            Fact::Assignee { epoch: event.epoch.into(), from, to, ended: event.ended_bot_session_id, cause }
        }
        "ConversationHandedOff" => {
            let event = events::ConversationHandedOff::decode(data)?;
            Fact::HandedOff { epoch: event.epoch.into(), session: event.bot_session_id, agent: event.agent_id }
        }
        "ConversationClosed" => closed(events::ConversationClosed::decode(data)?),
        "ConversationReopened" => {
            let event = events::ConversationReopened::decode(data)?;
            Fact::Reopened { epoch: event.epoch.into(), by: owner(event.by), routed: event.routed }
        }
        "BotSessionEnded" => {
            let event = events::BotSessionEnded::decode(data)?;
            let outcome = event.status().as_str_name().trim_start_matches("BOT_SESSION_STATUS_").to_owned();
            Fact::SessionEnded { session: event.bot_session_id, outcome }
        }
        "TranscriptDecided" => {
            let event = events::TranscriptDecided::decode(data)?;
            Fact::Decided { conversation: event.conversation_id, number: i64::from(event.close_number) }
        }
        "DeliverySent" => {
            let event = events::DeliverySent::decode(data)?;
            Fact::Sent { delivery: event.delivery_id, conversation: event.conversation_id }
        }
        _ => Fact::Other,
    })
}

/// A second implementation of the rules T1 and T2: the facts in the event decide whether a transcript is mailed.
fn closed(event: events::ConversationClosed) -> Fact {
    let bots_alone = event.had_bot_session && !event.had_agent;
    let mailable = !event.contact_id.is_empty() && event.email_usable;
    Fact::Closed {
        number: i64::from(event.close_number),
        reason: event.reason().as_str_name().trim_start_matches("CLOSE_REASON_").to_owned(),
        session: event.bot_session_id,
        sequence: event.last_sequence.into(),
        at: micros(event.close_time),
        eligible: event.transcript_enabled && !bots_alone && !event.had_ticket && mailable,
        unverified: !event.email_verified,
    }
}

fn owner(actor: Option<Actor>) -> String {
    let Some(actor) = actor else { return String::new() };
    match actor.kind() {
        ActorKind::Agent => format!("AGENT:{}", actor.id),
        ActorKind::Bot => format!("BOT:{}", actor.id),
        ActorKind::Visitor | ActorKind::System | ActorKind::Admin | ActorKind::Unspecified => String::new(),
    }
}

fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    time.map_or(0, |time| frontdesk_clock::Time::from_proto(&time).0)
}
