//! The decision and the mail of a transcript, without sending it (rule T9).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::{TranscriptData, TranscriptQuery, gather_transcript, unverified_limit_reached};
use crate::{
    App,
    conversation::{ClosingFacts, Conversation},
    domain::{ConversationClose, Delivery, Sender, TranscriptDecision, decide},
    error::NotificationError,
    mail::{self, ComposeError, Envelope},
    store,
};

/// The request. Empty fields: the defaults.
#[derive(Clone, Debug)]
pub(crate) struct PreviewTranscript {
    pub(crate) conversation: Uuid,
    pub(crate) subject: String,
    pub(crate) time_zone: String,
}

/// The decision, and the mail in all its forms.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    pub(crate) decision: TranscriptDecision,
    /// Empty: there is no recipient or no sender.
    pub(crate) mail: Vec<u8>,
    pub(crate) html: String,
    pub(crate) text: String,
    pub(crate) json: String,
}

/// Previews the transcript of a conversation, open or closed.
pub(crate) async fn preview_transcript(
    app: &App,
    caller: &Caller,
    query: PreviewTranscript,
) -> Result<Preview, NotificationError> {
    let conversation = app.conversation.get_conversation(caller.account, query.conversation).await?;
    // 0: a close now.
    let close_number = if conversation.closed { conversation.close_number } else { 0 };
    let facts = app.conversation.get_closing_facts(caller.account, query.conversation, close_number).await?;
    let (decision, delivery) = if conversation.closed {
        find_decision(app, caller, query.conversation, close_number).await?
    } else {
        (None, None)
    };
    let transcript_query = TranscriptQuery {
        account: caller.account,
        conversation: query.conversation,
        contact: facts.contact_id,
        as_closed: true,
        visitor_name: &facts.visitor_name,
        until: facts.last_sequence,
        time_zone: &query.time_zone,
    };
    let data = gather_transcript(app, &transcript_query).await?;
    let envelope = envelope(app, caller, &query.subject, &data, &facts, delivery.as_ref()).await?;
    let decision = match decision {
        Some(decision) => decision,
        None => foresee_decision(app, caller, &conversation, query.conversation, &facts).await?,
    };
    // Rendering a long transcript takes tens of milliseconds and must not block the threads that serve calls.
    tokio::task::spawn_blocking(move || render(&query.subject, &data, envelope, decision))
        .await
        .map_err(|error| NotificationError::Internal(error.to_string()))?
        .map_err(|error| NotificationError::Internal(error.to_string()))
}

/// Returns the stored decision of the close and its delivery, if there are any.
async fn find_decision(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    close_number: i32,
) -> Result<(Option<TranscriptDecision>, Option<Delivery>), NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let decision =
        store::transcript_decisions::find(&read.conn(), caller.account, conversation, Some(close_number)).await?;
    let delivery = match decision.as_ref().and_then(|decision| decision.delivery) {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}

/// Returns the headers of the mail; those of its delivery, if there is one. None: there is no recipient or no sender.
async fn envelope(
    app: &App,
    caller: &Caller,
    subject: &str,
    data: &TranscriptData,
    facts: &ClosingFacts,
    delivery: Option<&Delivery>,
) -> Result<Option<Envelope>, NotificationError> {
    let chosen = match delivery {
        Some(delivery) if delivery.sender_from_channel => data.channel.sender_id,
        _ => facts.sender_id,
    };
    let read = app.db.read_for(caller.account).await?;
    let found = store::senders::find_chosen_or_fallback(&read.conn(), caller.account, chosen).await?;
    drop(read);
    let Ok(sender) = Sender::require_usable(chosen, found) else { return Ok(None) };
    let Some(recipient) = facts.recipient.clone().filter(|_| data.contact.is_some()) else { return Ok(None) };
    let date = match delivery.and_then(|delivery| delivery.composed_at) {
        Some(composed_at) => composed_at,
        None => app.db.now().await?,
    };
    let id = delivery.map_or_else(|| app.db.new_id(), |delivery| delivery.id);
    Ok(Some(data.envelope(id, date, sender, recipient, subject)))
}

/// Returns the decision that a close now would bring, or that the last close will bring when its event arrives.
async fn foresee_decision(
    app: &App,
    caller: &Caller,
    conversation: &Conversation,
    id: Uuid,
    facts: &ClosingFacts,
) -> Result<TranscriptDecision, NotificationError> {
    let now = app.db.now().await?;
    let close = ConversationClose {
        account: caller.account,
        conversation: id,
        number: if conversation.closed { conversation.close_number } else { conversation.close_number + 1 },
        channel: Some(conversation.channel_id),
        contact: facts.contact_id,
        sender: facts.sender_id,
        last_sequence: facts.last_sequence,
        closed_at: conversation.closed_at.unwrap_or(now),
        facts: facts.decision_facts,
    };
    let read = app.db.read_for(caller.account).await?;
    let limits = app.settings.unverified_limits();
    let limit_reached = unverified_limit_reached(&read.conn(), limits, &close, now).await?;
    let skip_reason = decide(&close.facts, limit_reached);
    Ok(TranscriptDecision { id: Uuid::nil(), close, skip_reason, delivery: None, created_at: now })
}

fn render(
    subject: &str,
    data: &TranscriptData,
    envelope: Option<Envelope>,
    decision: TranscriptDecision,
) -> Result<Preview, ComposeError> {
    let (html, text) = mail::render(&data.transcript, &data.subject(subject))?;
    let mail = match envelope {
        Some(envelope) => mail::compose(&data.transcript, &envelope)?.bytes,
        None => Vec::new(),
    };
    Ok(Preview { decision, mail, html, text, json: mail::json(&data.transcript) })
}
