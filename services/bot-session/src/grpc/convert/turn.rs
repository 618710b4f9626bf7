//! Conversion of the turns of engines, and of their answers.

use std::collections::HashSet;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_proto::{
    botsession::v1::{self as proto, turn_part::Part},
    says_something,
};
use tonic::Status;

use crate::{
    commands::EndedLease,
    domain::{BotAction, Button, EngineTurn, HandOffTarget, LeaseEnd},
};

pub(in crate::grpc) fn turn_to_proto(turn: &EngineTurn) -> proto::Turn {
    proto::Turn {
        id: turn.id.to_string(),
        bot_session_id: turn.session.to_string(),
        conversation_id: turn.conversation.to_string(),
        number: number(turn.number),
        attempt: number(turn.attempt),
        sent_parts: number(turn.parts),
        deadline_time: turn.due_at.map(Time::to_proto),
        last_sequence: number(turn.last_sequence),
        previous_sequence: number(turn.previous_sequence),
    }
}

pub(in crate::grpc) fn turn_over_to_proto(lease: &EndedLease) -> proto::TurnOver {
    let reason = match lease.end {
        LeaseEnd::SessionEnded => proto::TurnOverReason::SessionEnded,
        LeaseEnd::Expired => proto::TurnOverReason::DeadlineExceeded,
        // Not sent: the engine knows.
        LeaseEnd::Answered => proto::TurnOverReason::Unspecified,
    };
    proto::TurnOver { turn_id: lease.turn.to_string(), attempt: number(lease.attempt), reason: reason.into() }
}

/// Returns the actions of an answer. INVALID_ARGUMENT names each part that cannot be one.
pub(in crate::grpc) fn actions_from_proto(parts: Vec<proto::TurnPart>) -> Result<Vec<BotAction>, Status> {
    let last = parts.len().saturating_sub(1);
    let fields: Vec<FieldError> =
        parts.iter().enumerate().filter_map(|(at, part)| problem(at, at == last, part)).collect();
    if !fields.is_empty() {
        return Err(ApiError::fields(fields).into());
    }
    Ok(parts.into_iter().filter_map(|part| part.part.map(action)).collect())
}

fn problem(at: usize, is_last: bool, part: &proto::TurnPart) -> Option<FieldError> {
    let error =
        |field: &str, description: &str| Some(FieldError::new(format!("parts[{at}].{field}"), description.to_owned()));
    match part.part.as_ref()? {
        Part::Message(message) if !says_something(&message.text) => {
            error("message.text", "the text has no visible character; write one")
        }
        Part::Message(message) => {
            let mut ids = HashSet::new();
            let repeated = message.buttons.iter().position(|button| !ids.insert(button.id.as_str()))?;
            let field = format!("message.buttons[{repeated}].id");
            error(&field, "another button of the message has this id; give each its own")
        }
        Part::SetProperty(property) if !says_something(&property.value) => {
            error("set_property.value", "the value has no visible character; write one")
        }
        Part::HandOff(_) if !is_last => error("hand_off", "must be the last part"),
        Part::Close(_) if !is_last => error("close", "must be the last part"),
        Part::SetProperty(_) | Part::HandOff(_) | Part::Close(_) => None,
    }
}

fn action(part: Part) -> BotAction {
    match part {
        Part::Message(message) => {
            let buttons = message.buttons.into_iter();
            let buttons = buttons.map(|button| Button { id: button.id, label: button.label, next: None }).collect();
            BotAction::Say { text: message.text, buttons }
        }
        Part::SetProperty(property) => BotAction::RecordAnswer { property: property.property, value: property.value },
        Part::HandOff(hand_off) => {
            let to = HandOffTarget {
                agent: hand_off.agent_id.parse().ok(),
                policy: hand_off.routing_policy_id.parse().ok(),
                team: hand_off.team_id.parse().ok(),
            };
            BotAction::HandOff { reason: hand_off.reason, to }
        }
        Part::Close(_) => BotAction::Close,
    }
}

fn number(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: Part) -> proto::TurnPart {
        proto::TurnPart { part: Some(part) }
    }

    fn say(text: &str) -> proto::TurnPart {
        part(Part::Message(proto::TurnMessage { text: text.into(), buttons: Vec::new() }))
    }

    #[test]
    fn b7_a_hand_off_or_close_is_the_last_part_and_each_text_is_visible() {
        let close = || part(Part::Close(proto::TurnClose {}));
        assert_eq!(actions_from_proto(vec![say("hi"), close()]).unwrap().len(), 2);
        for refused in [vec![close(), say("hi")], vec![say("\u{200b}")], vec![close(), close()]] {
            assert!(actions_from_proto(refused.clone()).is_err(), "{refused:?}");
        }
    }
}
