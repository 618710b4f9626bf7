//! Decides at a close whether its transcript is mailed automatically (rules T1 to T3).

use frontdesk_clock::Time;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::{
    App,
    domain::{ConversationClose, Delivery, DeliveryKind, TranscriptDecision, decide},
    error::NotificationError,
    queries::unverified_limit_reached,
    store,
};

/// Decides about a close once; redelivered events and events in another order change nothing.
pub(crate) async fn decide_transcript(
    app: &App,
    consumer: &str,
    event: &Event,
    close: ConversationClose,
) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    if !frontdesk_outbox::mark_handled(&tx, consumer, event).await? {
        return Ok(());
    }
    if close.unverified_contact().is_some() {
        store::mail_counts::lock(&tx, close.account).await?;
    }
    let now = tx.now().await?;
    let limit_reached = unverified_limit_reached(tx.conn(), app.settings.unverified_limits(), &close, now).await?;
    let skip_reason = decide(&close.facts, limit_reached);
    let delivery = skip_reason.is_none().then(|| delivery(tx.new_id(), &close, now));
    let decision = TranscriptDecision {
        id: tx.new_id(),
        close,
        skip_reason,
        delivery: delivery.as_ref().map(|delivery| delivery.id),
        created_at: now,
    };

    // The unique constraint decides: marks of handled events are deleted after some days, this row stays.
    if store::transcript_decisions::insert_once(&tx, &decision).await? {
        if let Some(delivery) = &delivery {
            store::deliveries::insert(&tx, delivery).await?;
            tx.on_commit(app.wake());
        }
        store::events::append_transcript_decided(&mut tx, &decision).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn delivery(id: Uuid, close: &ConversationClose, now: Time) -> Delivery {
    Delivery {
        conversation: Some(close.conversation),
        close_number: close.number,
        contact: close.contact,
        sender: close.sender,
        until_sequence: close.last_sequence,
        unverified: !close.facts.email_verified,
        ..Delivery::new(id, close.account, DeliveryKind::Transcript, now)
    }
}
