//! The whole transcript of a delivery, for the link in its mail (rule T6).

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{TranscriptData, TranscriptQuery, open_transcript};
use crate::{
    App,
    conversation::ThreadPages,
    domain::{DeliveryKind, DeliveryStatus},
    error::NotificationError,
    store,
};

/// Returns the transcript of a delivery without its lines, and the pages of its lines. None: the mail was cancelled, or its contact was erased.
pub(crate) async fn open_whole_transcript(
    app: &App,
    account: AccountId,
    delivery: Uuid,
) -> Result<Option<(TranscriptData, ThreadPages)>, NotificationError> {
    let read = app.db.read_for(account).await?;
    let found = store::deliveries::find(&read.conn(), account, delivery).await?;
    drop(read);
    let is_open = |status| status != DeliveryStatus::Cancelled;
    // An erased one has no recipient (rule X2).
    let found = found.filter(|found| is_open(found.status) && !found.recipient_email.is_empty());
    let Some(delivery) = found else { return Ok(None) };
    let (Some(conversation), Some(date)) = (delivery.conversation, delivery.composed_at) else { return Ok(None) };
    let facts = app.conversation.get_closing_facts(account, conversation, delivery.close_number).await?;
    let query = TranscriptQuery {
        account,
        conversation,
        contact: delivery.contact,
        as_closed: delivery.kind == DeliveryKind::Transcript,
        visitor_name: &facts.visitor_name,
        languages: facts.languages(),
        until: delivery.until_sequence,
        time_zone: &delivery.time_zone,
        max_bytes: None,
        delivery: None,
        date,
        renders: false,
    };
    Ok(Some(open_transcript(app, &query).await?))
}
