//! Conversion between domain types and messages.

use frontdesk_proto::notification::v1 as proto;
use uuid::Uuid;

use crate::domain::{Delivery, DeliveryKind, DeliveryState, Sender, SkipReason, TranscriptDecision, explain};

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) fn delivery(delivery: Delivery) -> proto::Delivery {
    let kind = match delivery.kind {
        DeliveryKind::Transcript => proto::DeliveryKind::Transcript,
        DeliveryKind::ManualTranscript => proto::DeliveryKind::ManualTranscript,
        DeliveryKind::SenderVerification => proto::DeliveryKind::SenderVerification,
    };
    let state = match delivery.state {
        DeliveryState::Queued => proto::DeliveryState::Queued,
        DeliveryState::Sending => proto::DeliveryState::Sending,
        DeliveryState::Sent => proto::DeliveryState::Sent,
        DeliveryState::Failed => proto::DeliveryState::Failed,
        DeliveryState::Parked => proto::DeliveryState::Parked,
        DeliveryState::Cancelled => proto::DeliveryState::Cancelled,
    };
    proto::Delivery {
        id: delivery.id.to_string(),
        kind: kind.into(),
        state: state.into(),
        conversation_id: id_or_empty(delivery.conversation),
        contact_id: id_or_empty(delivery.contact),
        recipient: delivery.recipient,
        message_id: delivery.message_id,
        attempts: delivery.attempts,
        last_response: delivery.last_response,
        failure: delivery.failure,
        create_time: Some(delivery.created_at.to_proto()),
        next_attempt_time: (delivery.state == DeliveryState::Queued).then(|| delivery.due_at.to_proto()),
        send_time: delivery.sent_at.map(|at| at.to_proto()),
    }
}

/// Returns the state to filter by. None: any state.
pub(super) fn state(state: proto::DeliveryState) -> Option<DeliveryState> {
    match state {
        proto::DeliveryState::Unspecified => None,
        proto::DeliveryState::Queued => Some(DeliveryState::Queued),
        proto::DeliveryState::Sending => Some(DeliveryState::Sending),
        proto::DeliveryState::Sent => Some(DeliveryState::Sent),
        proto::DeliveryState::Failed => Some(DeliveryState::Failed),
        proto::DeliveryState::Parked => Some(DeliveryState::Parked),
        proto::DeliveryState::Cancelled => Some(DeliveryState::Cancelled),
    }
}

pub(super) fn decision(decision: TranscriptDecision) -> proto::TranscriptDecision {
    let skip_reason = match decision.skip_reason {
        None => proto::SkipReason::Unspecified,
        Some(SkipReason::Disabled) => proto::SkipReason::Disabled,
        Some(SkipReason::BotConversation) => proto::SkipReason::BotConversation,
        Some(SkipReason::Ticket) => proto::SkipReason::Ticket,
        Some(SkipReason::NoAddress) => proto::SkipReason::NoAddress,
        Some(SkipReason::UnverifiedLimit) => proto::SkipReason::UnverifiedLimit,
    };
    let facts = decision.close.facts;
    proto::TranscriptDecision {
        // A foreseen decision is not stored and has no id.
        id: if decision.id.is_nil() { String::new() } else { decision.id.to_string() },
        conversation_id: decision.close.conversation.to_string(),
        close_number: decision.close.number,
        send: decision.skip_reason.is_none(),
        skip_reason: skip_reason.into(),
        explanation: explain(decision.skip_reason, &facts),
        delivery_id: id_or_empty(decision.delivery),
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
    fn t3_skip_reasons_have_the_same_names_in_rows_events_and_the_contract() {
        for reason in [
            SkipReason::Disabled,
            SkipReason::BotConversation,
            SkipReason::Ticket,
            SkipReason::NoAddress,
            SkipReason::UnverifiedLimit,
        ] {
            let name = format!("SKIP_REASON_{}", reason.as_str());
            assert!(proto::SkipReason::from_str_name(&name).is_some(), "{name}");
            assert_eq!(SkipReason::parse(reason.as_str()), Some(reason));
        }
    }
}
