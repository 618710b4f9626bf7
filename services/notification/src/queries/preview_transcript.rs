//! The decision and the very mail, without sending (rule T9).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    composition::{self, Gathered, Wanted},
    conversation::{ClosingFacts, Conversation},
    domain::{Delivery, Facts, decide},
    error::NotificationError,
    mail::{self, Envelope},
    store::{self, decisions::Decision},
};

/// What is asked for. Empty: the usual.
#[derive(Clone, Debug)]
pub(crate) struct PreviewTranscript {
    pub(crate) conversation: Uuid,
    pub(crate) subject: String,
    pub(crate) time_zone: String,
}

/// The decision, and the mail in all its forms.
#[derive(Clone, Debug)]
pub(crate) struct Preview {
    pub(crate) decision: Decision,
    /// Empty: there is nobody to send it to, or no address to send it from.
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
    let conversation = app.conversations.conversation(caller.account, query.conversation).await?;
    // 0: what a close now would freeze.
    let close_number = if conversation.closed { conversation.close_number } else { 0 };
    let facts = app.conversations.closing_facts(caller.account, query.conversation, close_number).await?;
    let read = app.db.read_for(caller.account).await?;
    let decided = if conversation.closed {
        store::decisions::find(&read.conn(), caller.account, query.conversation, Some(close_number)).await?
    } else {
        None
    };
    let delivery = match decided.as_ref().and_then(|decision| decision.delivery_id) {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    drop(read);
    let wanted = Wanted {
        account: caller.account,
        conversation: query.conversation,
        contact: facts.contact_id,
        as_closed: true,
        until: facts.last_sequence,
        time_zone: &query.time_zone,
    };
    let gathered = composition::gather(app, &wanted).await?;
    let sender_id = match &delivery {
        Some(delivery) if delivery.sender_from_channel => gathered.channel.sender_id,
        _ => facts.sender_id,
    };
    let envelope =
        envelope(app, caller, &query, &gathered, facts.recipient.clone(), delivery.as_ref(), sender_id).await?;
    let decision = match decided {
        Some(decision) => decision,
        None => would_decide(app, caller, &conversation, query.conversation, facts).await?,
    };
    render(query, gathered, envelope, decision).await
}

async fn envelope(
    app: &App,
    caller: &Caller,
    query: &PreviewTranscript,
    gathered: &Gathered,
    recipient: Option<String>,
    delivery: Option<&Delivery>,
    sender_id: Option<Uuid>,
) -> Result<Option<Envelope>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let Ok(sender) = composition::sender(&read.conn(), caller.account, sender_id).await? else { return Ok(None) };
    drop(read);
    let Some((contact, to)) = gathered.contact.as_ref().zip(recipient) else { return Ok(None) };
    let date = match delivery.and_then(|delivery| delivery.composed_at) {
        Some(composed_at) => composed_at,
        None => app.db.now().await?,
    };
    Ok(Some(Envelope {
        delivery: delivery.map_or_else(|| app.db.new_id(), |delivery| delivery.id),
        date,
        from_name: sender.display_name,
        from: sender.address,
        to_name: contact.name.clone(),
        to,
        subject: gathered.subject(&query.subject),
    }))
}

/// What a close now would bring, or the last one will once its event has come.
async fn would_decide(
    app: &App,
    caller: &Caller,
    conversation: &Conversation,
    id: Uuid,
    closing: ClosingFacts,
) -> Result<Decision, NotificationError> {
    let now = app.db.now().await?;
    let facts = Facts {
        transcript_enabled: closing.transcript_enabled,
        had_bot_session: closing.had_bot_session,
        had_agent: closing.had_agent,
        had_ticket: closing.had_ticket,
        contact_known: closing.contact_id.is_some(),
        address_usable: closing.recipient.is_some(),
        address_verified: closing.recipient_verified,
    };
    let past_limit = match closing.contact_id.filter(|_| !facts.address_verified) {
        Some(contact) => {
            let read = app.db.read_for(caller.account).await?;
            store::limits::past_unverified(&read.conn(), &app.settings, caller.account, contact, now).await?
        }
        None => false,
    };
    Ok(Decision {
        id: Uuid::nil(),
        account_id: caller.account,
        conversation_id: id,
        close_number: if conversation.closed { conversation.close_number } else { conversation.close_number + 1 },
        skip_reason: decide(&facts, past_limit),
        delivery_id: None,
        channel_id: Some(conversation.channel_id),
        contact_id: closing.contact_id,
        sender_id: closing.sender_id,
        last_sequence: closing.last_sequence,
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        address_usable: facts.address_usable,
        address_verified: facts.address_verified,
        transcript_enabled: facts.transcript_enabled,
        closed_at: conversation.closed_at.unwrap_or(now),
        created_at: now,
        version: 0,
    })
}

async fn render(
    query: PreviewTranscript,
    gathered: Gathered,
    envelope: Option<Envelope>,
    decision: Decision,
) -> Result<Preview, NotificationError> {
    let rendering = move || {
        let subject = gathered.subject(&query.subject);
        let transcript = gathered.transcript;
        let (html, text) = mail::render(&transcript, &subject)?;
        let mail = match envelope {
            Some(envelope) => mail::compose(&transcript, &envelope)?.bytes,
            None => Vec::new(),
        };
        Ok(Preview { decision, mail, html, text, json: mail::json(&transcript) })
    };
    let internal = |error: String| NotificationError::Internal(error);
    tokio::task::spawn_blocking(rendering)
        .await
        .map_err(|error| internal(error.to_string()))?
        .map_err(|error: mail::ComposeError| internal(error.to_string()))
}
