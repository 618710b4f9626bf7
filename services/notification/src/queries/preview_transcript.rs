//! The decision about a transcript and a part of its mail, without sending it (rule T9).

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{sync::SemaphorePermit, time::timeout};
use uuid::Uuid;

use super::{LinkedPreview, TranscriptData, TranscriptQuery, foresee_decision, gather_transcript};
use crate::{
    App,
    conversation::{ClosingFacts, Conversation},
    domain::{Delivery, Sender, SenderUnavailable, TranscriptDecision},
    error::NotificationError,
    mail::{self, ComposeError, Envelope},
    store,
};

/// Maximum size of the content of one response (bytes).
const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// How long a preview waits for one of those that are being composed to end.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A part of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TranscriptPart {
    Html,
    Text,
    /// The whole mail.
    Mail,
    Json,
}

/// The request. Empty fields: the defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreviewTranscript {
    pub(crate) conversation: Uuid,
    /// None: the decision only.
    pub(crate) part: Option<TranscriptPart>,
    /// Offset of the first byte of the part to return.
    pub(crate) offset: i32,
    pub(crate) subject: String,
    pub(crate) time_zone: String,
}

/// The decision, and a range of the part.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    pub(crate) decision: TranscriptDecision,
    pub(crate) content: Vec<u8>,
    /// Size of the whole part (bytes).
    pub(crate) total_size: i32,
    /// SHA-256 of the whole part, in hexadecimal. Empty: the part is.
    pub(crate) sha256: String,
    /// Link to the whole part, and its end. None: the part fits into one response, or there is no address for links.
    pub(crate) link: Option<(String, Time)>,
    /// Why there is no mail. Empty: there is one.
    pub(crate) missing: String,
}

/// What a preview is composed from, besides the thread.
struct Basis<'a> {
    decision: &'a TranscriptDecision,
    delivery: Option<&'a Delivery>,
    facts: &'a ClosingFacts,
    /// The sender, or why there is none.
    sender: Result<Sender, SenderUnavailable>,
}

impl Basis<'_> {
    /// Returns why the delivery would have no mail. Empty: it has one.
    fn missing(&self) -> String {
        match (&self.facts.recipient, &self.sender) {
            (None, _) => "There is no address that mail may go to.".into(),
            (Some(_), Err(reason)) => reason.to_string(),
            (Some(_), Ok(_)) => String::new(),
        }
    }
}

/// What a preview is of.
struct Composed {
    decision: TranscriptDecision,
    /// The whole part.
    part: Vec<u8>,
    missing: String,
}

/// Previews the transcript of a conversation, open or closed.
pub(crate) async fn preview_transcript(
    app: &App,
    caller: &Caller,
    query: PreviewTranscript,
) -> Result<Preview, NotificationError> {
    let account = caller.account;
    let Composed { decision, part, missing } = compose_preview(app, account, &query).await?;
    let (content, total_size) = range(&part, query.offset)?;
    let link = if part.len() > MAX_CONTENT_BYTES {
        let linked = LinkedPreview { account, query: PreviewTranscript { offset: 0, ..query } };
        let link = app.links.preview(&linked).map_err(|error| NotificationError::Internal(error.to_string()))?;
        Some(link).filter(|(url, _)| !url.is_empty())
    } else {
        None
    };
    Ok(Preview { decision, content, total_size, sha256: sha256(&part), link, missing })
}

/// Returns the whole part that a link is for.
pub(crate) async fn preview_linked_part(app: &App, preview: &LinkedPreview) -> Result<Vec<u8>, NotificationError> {
    compose_preview(app, preview.account, &preview.query).await.map(|composed| composed.part)
}

fn sha256(part: &[u8]) -> String {
    if part.is_empty() {
        return String::new();
    }
    Sha256::digest(part).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn compose_preview(
    app: &App,
    account: AccountId,
    query: &PreviewTranscript,
) -> Result<Composed, NotificationError> {
    let conversation = app.conversation.get_conversation(account, query.conversation).await?;
    // 0: a close now.
    let close_number = if conversation.closed { conversation.close_number } else { 0 };
    let facts = app.conversation.get_closing_facts(account, query.conversation, close_number).await?;
    let (stored, delivery) = if conversation.closed {
        find_decision(app, account, query.conversation, close_number).await?
    } else {
        (None, None)
    };
    let decision = match stored {
        Some(decision) => decision,
        None => foresee_decision(app, account, &conversation, query.conversation, &facts).await?,
    };
    let sender = find_sender(app, account, &conversation, delivery.as_ref(), &facts).await?;
    let basis = Basis { decision: &decision, delivery: delivery.as_ref(), facts: &facts, sender };
    let missing = basis.missing();
    let part = match query.part {
        Some(part) => compose_part(app, part, query, basis).await?,
        None => Vec::new(),
    };
    Ok(Composed { decision, part, missing })
}

/// Returns the sender that the mail has: the one stored at the close, or the channel's after a retry.
async fn find_sender(
    app: &App,
    account: AccountId,
    conversation: &Conversation,
    delivery: Option<&Delivery>,
    facts: &ClosingFacts,
) -> Result<Result<Sender, SenderUnavailable>, NotificationError> {
    let chosen = match delivery {
        Some(delivery) if delivery.sender_from_channel => {
            app.conversation.get_channel(account, conversation.channel_id).await?.sender_id
        }
        _ => facts.sender_id,
    };
    let read = app.db.read_for(account).await?;
    let found = store::senders::find_chosen_or_fallback(&read.conn(), account, chosen).await?;
    Ok(Sender::require_usable(chosen, found))
}

/// Waits for a permit to compose a preview, each of which holds a whole transcript.
pub(super) async fn permit(app: &App) -> Result<SemaphorePermit<'_>, NotificationError> {
    match timeout(MAX_WAIT, app.previews.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(NotificationError::TooManyPreviews),
    }
}

/// Returns the stored decision of the close and its delivery, if there are any.
async fn find_decision(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    close_number: i32,
) -> Result<(Option<TranscriptDecision>, Option<Delivery>), NotificationError> {
    let read = app.db.read_for(account).await?;
    let decision = store::transcript_decisions::find(&read.conn(), account, conversation, Some(close_number)).await?;
    let delivery = match decision.as_ref().and_then(|decision| decision.delivery) {
        Some(id) => store::deliveries::find(&read.conn(), account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}

/// Returns the whole part. Of a closed conversation it is the same in every call, so that a caller can read it range by range.
async fn compose_part(
    app: &App,
    part: TranscriptPart,
    query: &PreviewTranscript,
    basis: Basis<'_>,
) -> Result<Vec<u8>, NotificationError> {
    let _permit = permit(app).await?;
    let account = basis.decision.close.account;
    // The mail that is about to be sent, as long as it is stored.
    if let (TranscriptPart::Mail, Some(delivery)) = (part, basis.delivery)
        && delivery.is_composed()
        && query.subject.is_empty()
        && query.time_zone.is_empty()
    {
        let read = app.db.read_for(account).await?;
        if let Some(bytes) = store::deliveries::find_mail(&read.conn(), account, delivery.id).await? {
            return Ok(bytes);
        }
    }
    let date = basis.delivery.and_then(|delivery| delivery.composed_at).unwrap_or(basis.decision.close.closed_at);
    let transcript_query = TranscriptQuery {
        account,
        conversation: query.conversation,
        contact: basis.facts.contact_id,
        as_closed: true,
        visitor_name: &basis.facts.visitor_name,
        languages: basis.facts.languages(),
        until: basis.facts.last_sequence,
        time_zone: &query.time_zone,
        max_bytes: basis.delivery.and_then(|delivery| delivery.max_transcript_bytes),
        delivery: basis.delivery.map(|delivery| delivery.id),
        date,
        renders: part == TranscriptPart::Mail,
    };
    let data = gather_transcript(app, &transcript_query).await?;
    let envelope = match part {
        TranscriptPart::Mail => envelope(app, &query.subject, date, &data, basis),
        TranscriptPart::Html | TranscriptPart::Text | TranscriptPart::Json => None,
    };
    let subject = data.subject(&query.subject);
    let has_own_template = data.language.has_own_template();
    // Rendering a long transcript takes tens of milliseconds and must not block the threads that serve calls.
    tokio::task::spawn_blocking(move || render(part, data, &subject, envelope))
        .await
        .map_err(|error| NotificationError::Internal(error.to_string()))?
        .map_err(|error| match has_own_template {
            true => NotificationError::TemplateUnusable(error.to_string()),
            false => NotificationError::Internal(error.to_string()),
        })
}

/// Returns the headers of the mail; those of its delivery, if there is one. None: there is no recipient or no sender.
fn envelope(app: &App, subject: &str, date: Time, data: &TranscriptData, basis: Basis<'_>) -> Option<Envelope> {
    let Basis { decision, delivery, facts, sender } = basis;
    let recipient = facts.recipient.clone().filter(|_| data.contact.is_some())?;
    let id = match delivery {
        Some(delivery) => delivery.id,
        None if decision.id.is_nil() => app.db.new_id(),
        None => decision.id,
    };
    let mut envelope = data.envelope(id, date, sender.ok()?, recipient, subject, &app.dkim);
    if let Some(delivery) = delivery.filter(|delivery| !delivery.mail_message_id.is_empty()) {
        envelope.message_id.clone_from(&delivery.mail_message_id);
    }
    Some(envelope)
}

fn render(
    part: TranscriptPart,
    data: TranscriptData,
    subject: &str,
    envelope: Option<Envelope>,
) -> Result<Vec<u8>, ComposeError> {
    Ok(match part {
        TranscriptPart::Html => mail::html(&data.transcript, &data.language, subject)?.into_bytes(),
        TranscriptPart::Text => mail::text(&data.transcript, &data.language, subject)?.into_bytes(),
        TranscriptPart::Json => mail::json(&data.transcript, &data.language).into_bytes(),
        TranscriptPart::Mail => match envelope {
            Some(envelope) => data.compose(&envelope)?.bytes,
            None => Vec::new(),
        },
    })
}

/// Returns the bytes of the part from `offset` on that fit into one response, and the size of the whole part.
fn range(part: &[u8], offset: i32) -> Result<(Vec<u8>, i32), NotificationError> {
    let total_size = i32::try_from(part.len())
        .map_err(|_| NotificationError::Internal(format!("a part of a transcript has {} bytes", part.len())))?;
    let from = usize::try_from(offset).ok().filter(|from| *from <= part.len());
    let from = from.ok_or_else(|| NotificationError::Field {
        field: "offset",
        description: format!("must be at most {total_size}, the size of the part (bytes)"),
    })?;
    let until = part.len().min(from + MAX_CONTENT_BYTES);
    Ok((part[from..until].to_vec(), total_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t9_a_part_is_read_to_its_end_by_offsets() {
        let part: Vec<u8> = (0..MAX_CONTENT_BYTES * 2 + 5).map(|number| number.to_le_bytes()[0]).collect();
        let mut read = Vec::new();
        for size in [MAX_CONTENT_BYTES, MAX_CONTENT_BYTES, 5, 0] {
            let (content, total_size) = range(&part, read.len().try_into().unwrap()).unwrap();
            assert_eq!((content.len(), usize::try_from(total_size).unwrap()), (size, part.len()));
            read.extend(content);
        }
        assert_eq!(read, part);
        let beyond = range(&part, i32::try_from(read.len()).unwrap() + 1).unwrap_err();
        assert!(matches!(beyond, NotificationError::Field { field: "offset", .. }));
    }
}
