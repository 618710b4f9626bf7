//! Decides at a close whether its transcript is mailed automatically (rules T1 to T3).

use frontdesk_clock::Time;
use frontdesk_outbox::Events;
use frontdesk_proto::event::v1::Event;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    conversation::CallError,
    domain::{ConversationClose, Delivery, DeliveryKind, SkipReason, TranscriptDecision, decide},
    error::NotificationError,
    queries::reason_to_skip,
    store,
};

/// Decides about a close once; redelivered events and events in another order change nothing.
pub(crate) async fn decide_transcript(
    app: &App,
    consumer: &str,
    event: &Event,
    close: ConversationClose,
) -> Result<(), NotificationError> {
    let by_facts = decide(&close.facts, None);
    let mut recipient = if by_facts.is_none() { find_recipient(app, &close).await? } else { String::new() };
    let mut tx = app.db.begin().await?;
    if !frontdesk_outbox::mark_handled(&tx, consumer, event).await? {
        return Ok(());
    }
    let now = tx.now().await?;
    let skip_reason = match by_facts {
        None => {
            store::mail_counts::lock(&tx, close.account).await?;
            // The address was asked before the lock: an erasure since must not be undone. Without it the delivery fails.
            let ids = std::iter::once(close.conversation).chain(close.contact);
            if store::erased_ids::contains_any(&tx, close.account, ids).await? {
                recipient.clear();
            }
            let limits = app.settings.automatic_limits();
            reason_to_skip(tx.conn(), limits, &close, &recipient, now).await?
        }
        skipped => skipped,
    };
    let delivery = skip_reason.is_none().then(|| delivery(tx.new_id(), &close, recipient, now));
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

/// Decides about closes whose facts alone rule a transcript out, such as those of bots' chats, in one transaction. Each comes with its
/// event. Returns whether it did: not if an event was handled or a close was decided before.
pub(crate) async fn decide_by_facts(
    app: &App,
    consumer: &str,
    closes: Vec<(ConversationClose, SkipReason, &Event)>,
) -> Result<bool, DbErr> {
    if closes.is_empty() {
        return Ok(false);
    }
    let mut tx = app.db.begin().await?;
    if !frontdesk_outbox::mark_all_handled(&tx, consumer, closes.iter().map(|(_, _, event)| *event)).await? {
        return Ok(false);
    }
    let now = tx.now().await?;
    let (mut decisions, mut events) = (Vec::new(), Events::new(now));
    for (close, reason, event) in closes {
        let (id, skip_reason) = (tx.new_id(), Some(reason));
        let decision = TranscriptDecision { id, close, skip_reason, delivery: None, created_at: now };
        store::events::push_transcript_decided(&mut events, &decision, &event.traceparent);
        decisions.push(decision);
    }
    if !store::transcript_decisions::insert_all_once(&tx, &decisions).await? {
        return Ok(false);
    }
    events.insert(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// Returns the address that the close stored, by which mails are counted; events hold no address. Empty: the conversation
/// does not exist any more, or mail cannot go to the address, so that the delivery fails when it is composed.
async fn find_recipient(app: &App, close: &ConversationClose) -> Result<String, NotificationError> {
    match app.conversation.get_closing_facts(close.account, close.conversation, close.number).await {
        Ok(facts) => Ok(facts.recipient.unwrap_or_default()),
        Err(CallError::NotFound(_)) => Ok(String::new()),
        Err(error @ CallError::Unavailable(_)) => Err(error.into()),
    }
}

fn delivery(id: Uuid, close: &ConversationClose, recipient_email: String, now: Time) -> Delivery {
    Delivery {
        conversation: Some(close.conversation),
        close_number: close.number,
        contact: close.contact,
        sender: close.sender,
        until_sequence: close.last_sequence,
        unverified: !close.facts.email_verified,
        recipient_email,
        ..Delivery::new(id, close.account, DeliveryKind::Transcript, now)
    }
}
