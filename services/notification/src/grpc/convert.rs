//! From our words to the contract's.

use frontdesk_proto::notification::v1 as proto;
use uuid::Uuid;

use crate::{
    domain::{Delivery, Facts, Kind, Sender, Skip, State, explain},
    store::decisions::Decision,
};

fn id(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) fn delivery(delivery: Delivery) -> proto::Delivery {
    let kind = match delivery.kind {
        Kind::Transcript => proto::DeliveryKind::Transcript,
        Kind::ManualTranscript => proto::DeliveryKind::ManualTranscript,
        Kind::SenderVerification => proto::DeliveryKind::SenderVerification,
    };
    let state = match delivery.state {
        State::Queued => proto::DeliveryState::Queued,
        State::Sending => proto::DeliveryState::Sending,
        State::Sent => proto::DeliveryState::Sent,
        State::Failed => proto::DeliveryState::Failed,
        State::Parked => proto::DeliveryState::Parked,
        State::Cancelled => proto::DeliveryState::Cancelled,
    };
    proto::Delivery {
        id: delivery.id.to_string(),
        kind: kind.into(),
        state: state.into(),
        conversation_id: id(delivery.conversation_id),
        contact_id: id(delivery.contact_id),
        recipient: delivery.recipient,
        message_id: delivery.message_id,
        attempts: delivery.attempts,
        last_response: delivery.last_response,
        failure: delivery.failure,
        create_time: Some(delivery.created_at.to_proto()),
        next_attempt_time: (delivery.state == State::Queued).then(|| delivery.due_at.to_proto()),
        send_time: delivery.sent_at.map(|at| at.to_proto()),
    }
}

/// The state to filter by. None: any.
pub(super) fn state(state: proto::DeliveryState) -> Option<State> {
    match state {
        proto::DeliveryState::Unspecified => None,
        proto::DeliveryState::Queued => Some(State::Queued),
        proto::DeliveryState::Sending => Some(State::Sending),
        proto::DeliveryState::Sent => Some(State::Sent),
        proto::DeliveryState::Failed => Some(State::Failed),
        proto::DeliveryState::Parked => Some(State::Parked),
        proto::DeliveryState::Cancelled => Some(State::Cancelled),
    }
}

pub(super) fn decision(decision: Decision) -> proto::TranscriptDecision {
    let facts = Facts {
        transcript_enabled: decision.transcript_enabled,
        had_bot_session: decision.had_bot_session,
        had_agent: decision.had_agent,
        had_ticket: decision.had_ticket,
        contact_known: decision.contact_id.is_some(),
        address_usable: decision.address_usable,
        address_verified: decision.address_verified,
    };
    let skip_reason = match decision.skip_reason {
        None => proto::SkipReason::Unspecified,
        Some(Skip::Disabled) => proto::SkipReason::Disabled,
        Some(Skip::BotConversation) => proto::SkipReason::BotConversation,
        Some(Skip::Ticket) => proto::SkipReason::Ticket,
        Some(Skip::NoAddress) => proto::SkipReason::NoAddress,
        Some(Skip::UnverifiedLimit) => proto::SkipReason::UnverifiedLimit,
    };
    proto::TranscriptDecision {
        // One that is only foreseen has no id yet.
        id: if decision.id.is_nil() { String::new() } else { decision.id.to_string() },
        conversation_id: decision.conversation_id.to_string(),
        close_number: decision.close_number,
        send: decision.skip_reason.is_none(),
        skip_reason: skip_reason.into(),
        explanation: explain(decision.skip_reason, &facts),
        delivery_id: id(decision.delivery_id),
        create_time: Some(decision.created_at.to_proto()),
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        address_usable: facts.address_usable,
        address_verified: facts.address_verified,
        transcript_enabled: facts.transcript_enabled,
    }
}

pub(super) fn sender(sender: Sender) -> proto::Sender {
    proto::Sender {
        id: sender.id.to_string(),
        address: sender.address,
        display_name: sender.display_name,
        verified: sender.verified,
        fallback: sender.fallback,
        create_time: Some(sender.created_at.to_proto()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_reasons_have_the_same_names_in_events_and_in_the_contract() {
        for skip in [Skip::Disabled, Skip::BotConversation, Skip::Ticket, Skip::NoAddress, Skip::UnverifiedLimit] {
            let name = format!("SKIP_REASON_{}", skip.as_str());
            assert!(proto::SkipReason::from_str_name(&name).is_some(), "{name}");
        }
    }
}
