//! The last steps of whatever changes a delivery: save it and tell others.

use frontdesk_db::Tx;
use frontdesk_outbox::Aggregate;
use frontdesk_proto::event::v1::{DeliveryFailed, DeliveryParked, DeliverySent};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    SOURCE,
    domain::{Changed, Delivery, Kind, State},
    store,
};

/// Saves the delivery with the event of the change. The composed mail of one that nothing will send any more is forgotten.
pub(super) async fn save_and_announce(
    tx: &mut Tx,
    delivery: &mut Delivery,
    changed: Option<Changed>,
) -> Result<(), DbErr> {
    if changed.is_some() {
        delivery.version += 1;
    }
    store::deliveries::save(tx, delivery).await?;
    if matches!(delivery.state, State::Sent | State::Cancelled) {
        store::deliveries::forget_mail(tx, delivery.account_id, delivery.id).await?;
    }
    let Some(changed) = changed else { return Ok(()) };
    let aggregate = Aggregate {
        source: SOURCE,
        account: delivery.account_id,
        kind: "delivery",
        id: delivery.id,
        version: delivery.version,
    };
    // A verification names its sender; only transcripts have a conversation and a contact.
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let (delivery_id, conversation_id) = (delivery.id.to_string(), id(delivery.conversation_id));
    match changed {
        Changed::Sent => {
            let manual = delivery.kind == Kind::ManualTranscript;
            let sent = DeliverySent { delivery_id, conversation_id, contact_id: id(delivery.contact_id), manual };
            frontdesk_outbox::append(tx, aggregate, &sent).await
        }
        Changed::Failed => {
            frontdesk_outbox::append(tx, aggregate, &DeliveryFailed { delivery_id, conversation_id }).await
        }
        Changed::Parked => {
            frontdesk_outbox::append(tx, aggregate, &DeliveryParked { delivery_id, conversation_id }).await
        }
    }
}
