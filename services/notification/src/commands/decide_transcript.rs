//! Decides at a close whether its transcript is mailed by itself (rules T1 to T3).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::Aggregate;
use frontdesk_proto::event::v1::{Event, TranscriptDecided};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{Delivery, Facts, Kind, decide},
    error::NotificationError,
    store::{self, decisions::Decision},
};

/// A close with the facts of its moment.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) close_number: i32,
    pub(crate) channel: Option<Uuid>,
    pub(crate) contact: Option<Uuid>,
    pub(crate) sender: Option<Uuid>,
    pub(crate) last_sequence: i64,
    pub(crate) closed_at: Time,
    pub(crate) facts: Facts,
}

/// Decides once, however often and in whatever order the event comes.
pub(crate) async fn decide_transcript(
    app: &App,
    consumer: &str,
    event: &Event,
    close: &Close,
) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    if !frontdesk_outbox::mark_handled(&tx, consumer, event).await? {
        return Ok(());
    }
    let now = tx.now().await?;
    let skip = decide(&close.facts, past_unverified_limit(app, &tx, close, now).await?);
    let delivery = skip.is_none().then(|| delivery(close, now));
    let decision = decision(close, skip, delivery.as_ref().map(|delivery| delivery.id), now);

    // The unique close is the arbiter: the mark above ends with its age, this row stays.
    if store::decisions::insert_once(&tx, &decision).await? {
        if let Some(delivery) = &delivery {
            store::deliveries::insert(&tx, delivery).await?;
            tx.on_commit(app.wake());
        }
        announce(&mut tx, &decision).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn past_unverified_limit(app: &App, tx: &Tx, close: &Close, now: Time) -> Result<bool, DbErr> {
    let Some(contact) = close.contact.filter(|_| !close.facts.address_verified) else { return Ok(false) };
    store::limits::lock(tx, close.account).await?;
    store::limits::past_unverified(tx.conn(), &app.settings, close.account, contact, now).await
}

fn decision(close: &Close, skip: Option<crate::domain::Skip>, delivery_id: Option<Uuid>, now: Time) -> Decision {
    let facts = close.facts;
    Decision {
        id: tx.new_id(),
        account_id: close.account,
        conversation_id: close.conversation,
        close_number: close.close_number,
        skip_reason: skip,
        delivery_id,
        channel_id: close.channel,
        contact_id: close.contact,
        sender_id: close.sender,
        last_sequence: close.last_sequence,
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        address_usable: facts.address_usable,
        address_verified: facts.address_verified,
        transcript_enabled: facts.transcript_enabled,
        closed_at: close.closed_at,
        created_at: now,
        version: 1,
    }
}

fn delivery(close: &Close, now: Time) -> Delivery {
    Delivery {
        conversation_id: Some(close.conversation),
        close_number: close.close_number,
        contact_id: close.contact,
        sender_id: close.sender,
        until_sequence: close.last_sequence,
        unverified: !close.facts.address_verified,
        ..Delivery::new(close.account, Kind::Transcript, now)
    }
}

async fn announce(tx: &mut Tx, decision: &Decision) -> Result<(), DbErr> {
    let aggregate = Aggregate {
        source: "notification",
        account: decision.account_id,
        kind: "transcript_decision",
        id: decision.id,
        version: decision.version,
    };
    let decided = TranscriptDecided {
        decision_id: decision.id.to_string(),
        conversation_id: decision.conversation_id.to_string(),
        close_number: decision.close_number,
        send: decision.skip_reason.is_none(),
        skip_reason: decision.skip_reason.map(|skip| skip.as_str().to_owned()).unwrap_or_default(),
        delivery_id: decision.delivery_id.map(|id| id.to_string()).unwrap_or_default(),
    };
    frontdesk_outbox::append(tx, aggregate, &decided).await
}
