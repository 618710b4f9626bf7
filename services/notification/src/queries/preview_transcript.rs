//! The decision and the very mail, without sending (rule T9).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    composition::{self, Gathered, Wanted},
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
    let decided = if conversation.closed {
        store::decisions::find(app.db.read(), caller.account, query.conversation, Some(conversation.close_number))
            .await?
    } else {
        None
    };
    let wanted = Wanted {
        account: caller.account,
        conversation: query.conversation,
        contact: conversation.contact_id,
        until: decided.as_ref().map_or(0, |decision| decision.last_sequence),
    };
    let gathered = composition::gather(app, &wanted).await?;
    let delivery = match decided.as_ref().and_then(|decision| decision.delivery_id) {
        Some(id) => store::deliveries::find(app.db.read(), caller.account, id).await?,
        None => None,
    };
    let sender_id = match (&decided, &delivery) {
        (Some(decision), Some(delivery)) if !delivery.sender_from_channel => decision.sender_id,
        _ => gathered.channel.sender_id,
    };
    let envelope = envelope(app, caller, &query, &gathered, delivery.as_ref(), sender_id).await?;
    let decision = decided.unwrap_or_else(|| would_decide(caller, &query, &gathered, app.clock.now()));
    render(query, gathered, envelope, decision).await
}

async fn envelope(
    app: &App,
    caller: &Caller,
    query: &PreviewTranscript,
    gathered: &Gathered,
    delivery: Option<&Delivery>,
    sender_id: Option<Uuid>,
) -> Result<Option<Envelope>, NotificationError> {
    let Ok(sender) = composition::sender(app.db.read(), caller.account, sender_id).await? else { return Ok(None) };
    let Some((contact, to)) = gathered.contact.as_ref().and_then(|contact| Some((contact, contact.address("")?)))
    else {
        return Ok(None);
    };
    Ok(Some(Envelope {
        delivery: delivery.map_or_else(Uuid::now_v7, |delivery| delivery.id),
        date: delivery.and_then(|delivery| delivery.composed_at).unwrap_or_else(|| app.clock.now()),
        from_name: sender.display_name,
        from: sender.address,
        to_name: contact.name.clone(),
        to,
        subject: gathered.subject(&query.subject),
    }))
}

/// What a close now would bring, as far as this service can know: whether an agent, a bot or a ticket was there is read from
/// the thread. A ticket of the contact from another conversation is not in it, nor are the limits for unverified addresses.
fn would_decide(caller: &Caller, query: &PreviewTranscript, gathered: &Gathered, now: Time) -> Decision {
    let Gathered { conversation, channel, contact, thread } = gathered;
    let facts = Facts {
        transcript_enabled: channel.transcript_enabled,
        had_bot_session: thread.had_bot || conversation.bot_in_charge,
        had_agent: thread.had_agent || conversation.assigned_to_agent,
        had_ticket: thread.had_ticket,
        contact_known: contact.is_some(),
        address_usable: contact.as_ref().is_some_and(|contact| contact.address("").is_some()),
        address_verified: contact
            .as_ref()
            .and_then(|contact| contact.emails.first())
            .is_some_and(|(_, verified)| *verified),
    };
    Decision {
        id: Uuid::nil(),
        account_id: caller.account,
        conversation_id: query.conversation,
        close_number: if conversation.closed { conversation.close_number } else { conversation.close_number + 1 },
        skip_reason: decide(&facts, false),
        delivery_id: None,
        channel_id: Some(conversation.channel_id),
        contact_id: conversation.contact_id,
        sender_id: channel.sender_id,
        last_sequence: conversation.last_sequence,
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        address_usable: facts.address_usable,
        address_verified: facts.address_verified,
        transcript_enabled: facts.transcript_enabled,
        closed_at: conversation.closed_at.unwrap_or(now),
        created_at: now,
        version: 0,
    }
}

async fn render(
    query: PreviewTranscript,
    gathered: Gathered,
    envelope: Option<Envelope>,
    decision: Decision,
) -> Result<Preview, NotificationError> {
    let rendering = move || {
        let transcript = gathered.transcript(&query.time_zone);
        let (html, text) = mail::render(&transcript, &gathered.subject(&query.subject))?;
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
