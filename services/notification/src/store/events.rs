//! Events of the service, appended to the outbox in the transaction of the change.

use frontdesk_db::Tx;
use frontdesk_outbox::Aggregate;
use frontdesk_proto::event::v1::{DeliveryFailed, DeliveryParked, DeliverySent, TranscriptDecided};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    NAME,
    domain::{Delivery, DeliveryEvent, DeliveryKind, SkipReason, TranscriptDecision},
};

/// Appends `TranscriptDecided`.
pub(crate) async fn append_transcript_decided(tx: &mut Tx, decision: &TranscriptDecision) -> Result<(), DbErr> {
    let aggregate = Aggregate {
        source: NAME,
        account: decision.close.account,
        kind: "transcript_decision",
        id: decision.id,
        version: 1,
    };
    let decided = TranscriptDecided {
        decision_id: decision.id.to_string(),
        conversation_id: decision.close.conversation.to_string(),
        close_number: decision.close.number,
        send: decision.skip_reason.is_none(),
        skip_reason: decision.skip_reason.map(SkipReason::as_str).unwrap_or_default().to_owned(),
        delivery_id: text(decision.delivery),
    };
    frontdesk_outbox::append(tx, aggregate, &decided).await
}

/// Appends `DeliverySent`, `DeliveryFailed` or `DeliveryParked`.
pub(crate) async fn append_delivery_event(tx: &mut Tx, delivery: &Delivery, event: DeliveryEvent) -> Result<(), DbErr> {
    let aggregate = Aggregate {
        source: NAME,
        account: delivery.account,
        kind: "delivery",
        id: delivery.id,
        version: delivery.version,
    };
    // Only transcripts have a conversation and a contact.
    let (delivery_id, conversation_id) = (delivery.id.to_string(), text(delivery.conversation));
    match event {
        DeliveryEvent::Sent => {
            let manual = delivery.kind == DeliveryKind::ManualTranscript;
            let sent = DeliverySent { delivery_id, conversation_id, contact_id: text(delivery.contact), manual };
            frontdesk_outbox::append(tx, aggregate, &sent).await
        }
        DeliveryEvent::Failed => {
            frontdesk_outbox::append(tx, aggregate, &DeliveryFailed { delivery_id, conversation_id }).await
        }
        DeliveryEvent::Parked => {
            frontdesk_outbox::append(tx, aggregate, &DeliveryParked { delivery_id, conversation_id }).await
        }
    }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
