//! Composes a transcript's mail and stores its bytes: every attempt sends the same bytes (rule T8). The attempt is a claim of its own, so that
//! it takes its turn by the recipient that is known then.

use frontdesk_clock::Time;
use sea_orm::DbErr;

use super::steps::save_delivery;
use crate::{
    App,
    conversation::CallError,
    domain::{Claim, Delivery, DeliveryKind, Sender, SenderUnavailable},
    error::NotificationError,
    mail::{self, ComposeError, ComposedMail, Envelope, Notices, OptionalHeaders},
    queries::{TranscriptData, TranscriptQuery, gather_transcript},
    store,
};

/// Why a mail was not composed.
enum NotComposed {
    /// Another attempt to compose it may succeed.
    Retry(String),
    /// It cannot be composed until a person changes something; the text says what.
    Failed(String),
    Error(NotificationError),
}

/// Composes the mail, unless it is composed already and may be sent. It is due for an attempt then; otherwise it waits, has failed, or the
/// claim has ended.
pub(crate) async fn compose_delivery(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let Some(delivery) = store::deliveries::find(app.db.read(), claim.account, claim.delivery).await? else {
        return Ok(());
    };
    if !delivery.is_held_by(claim) {
        return Ok(());
    }
    let date = app.db.now().await?;
    let composed = match delivery.is_composed() && may_be_sent(app, &delivery).await? {
        true => Ok(None),
        false => compose(app, &delivery, date).await.map(Some),
    };

    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed_for_update(&tx, claim).await? else { return Ok(()) };
    let event = match composed {
        Ok(mail) => {
            if let Some(mail) = mail {
                delivery.set_composed(mail.from, mail.to, mail.message_id, date);
                store::deliveries::save_mail(&tx, &delivery, mail.bytes).await?;
            }
            delivery.release(date);
            tx.on_commit(app.wake());
            None
        }
        Err(NotComposed::Retry(reason)) => {
            delivery.compose_again();
            tracing::warn!(delivery = %delivery.id, reason, "a mail cannot be composed yet");
            let asked = if delivery.kind == DeliveryKind::AgentNotice { "assignment" } else { "conversation" };
            let reason = format!("The {asked} service cannot be reached; it is tried again.");
            delivery.retry_composing(reason, &app.settings.retry_policy(), tx.now().await?);
            None
        }
        Err(NotComposed::Failed(reason)) => {
            delivery.compose_again();
            Some(delivery.fail_composing(reason))
        }
        Err(NotComposed::Error(error)) => return Err(error),
    };
    save_delivery(app, &mut tx, &delivery, event).await?;
    tx.commit().await?;
    Ok(())
}

/// Why a mail with a code fails that is not stored any more.
const CODE_GONE: &str =
    "The mail is not stored any more. A new code is mailed by CreateSender, or when the visitor asks for one.";

/// Why a mail to a suppressed address fails.
const SUPPRESSED: &str = "The recipient's address is not mailed any more; ListSuppressions says why. An administrator can allow it again with \
                          DeleteSuppression, then retry.";

/// Returns whether the composed mail may still be sent: it is stored, its recipient is not suppressed, and its sender was neither deleted nor
/// changed since.
async fn may_be_sent(app: &App, delivery: &Delivery) -> Result<bool, NotificationError> {
    if is_suppressed(app, delivery, &delivery.recipient_email).await? {
        return Ok(false);
    }
    let sender = store::senders::find_by_email(app.db.read(), delivery.account, &delivery.mail_from).await?;
    if !delivery.may_come_from(sender.as_ref()) {
        return Ok(false);
    }
    Ok(store::deliveries::find_mail(app.db.read(), delivery.account, delivery.id).await?.is_some())
}

async fn is_suppressed(app: &App, delivery: &Delivery, recipient: &str) -> Result<bool, DbErr> {
    if !delivery.kind.heeds_suppressions() {
        return Ok(false);
    }
    store::suppressions::is_suppressed(app.db.read(), delivery.account, recipient).await
}

/// Fails the mail to a suppressed address.
async fn require_not_suppressed(app: &App, delivery: &Delivery, recipient: &str) -> Result<(), NotComposed> {
    if is_suppressed(app, delivery, recipient).await? { Err(NotComposed::Failed(SUPPRESSED.into())) } else { Ok(()) }
}

async fn compose(app: &App, delivery: &Delivery, date: Time) -> Result<ComposedMail, NotComposed> {
    if delivery.kind.has_code() {
        // It is composed when it is queued. Without that mail, or with a recipient who was suppressed since, there is none to send.
        require_not_suppressed(app, delivery, &delivery.recipient_email).await?;
        return Err(NotComposed::Failed(CODE_GONE.into()));
    }
    if delivery.kind == DeliveryKind::AgentNotice {
        return compose_agent_mail(app, delivery, date).await;
    }
    let (data, recipient) = gather(app, delivery, date).await?;
    require_not_suppressed(app, delivery, &recipient).await?;
    let chosen = if delivery.sender_from_channel { data.channel.sender_id } else { delivery.sender };
    let found = store::senders::find_chosen_or_fallback(app.db.read(), delivery.account, chosen).await?;
    let sender = Sender::require_usable(chosen, found)?;
    let mut envelope = data.envelope(delivery.id, date, sender, recipient, &delivery.subject, &app.dkim);
    if !delivery.mail_message_id.is_empty() {
        envelope.message_id.clone_from(&delivery.mail_message_id);
    }
    // Rendering a long transcript takes tens of milliseconds and must not block the threads that serve calls.
    tokio::task::spawn_blocking(move || data.compose(&envelope))
        .await
        .map_err(|error| NotComposed::Error(NotificationError::Internal(error.to_string())))?
        .map_err(|error| NotComposed::Failed(format!("The mail cannot be composed: {error}.")))
}

/// Composes the mail to an agent (rule N4). What happens in the conversation from now on is in a further mail.
async fn compose_agent_mail(app: &App, delivery: &Delivery, date: Time) -> Result<ComposedMail, NotComposed> {
    let tx = app.db.begin().await?;
    let about = store::agent_mails::find_for_update(&tx, delivery.account, delivery.id).await?;
    let mut about = about.ok_or_else(|| NotComposed::Failed("What it is about is not known any more.".into()))?;
    about.takes_more = false;
    store::agent_mails::save(&tx, &about).await?;
    tx.commit().await?;
    let email = app.assignment.get_agent_email(delivery.account, about.agent).await;
    let email = email.map_err(|status| NotComposed::Retry(status.message().to_owned()))?;
    let to = email.ok_or_else(|| {
        NotComposed::Failed("The agent is not active any more, or has no address that mail may go to.".into())
    })?;
    require_not_suppressed(app, delivery, &to).await?;
    let failed = |error: ComposeError| NotComposed::Failed(format!("The mail cannot be composed: {error}."));
    let language = mail::language(&[&app.settings.language]).map_err(failed)?;
    let (from_name, from) = app.installation_sender.clone();
    let optional = OptionalHeaders { dkim: app.dkim.find(&from), ..OptionalHeaders::default() };
    let envelope = Envelope {
        delivery: delivery.id,
        message_id: mail::message_id(delivery.id, &from),
        date,
        from_name,
        from,
        to_name: String::new(),
        to,
        subject: mail::agent_mail_subject(language).into(),
        optional,
    };
    let url = app.settings.inbox_url_of(about.conversation);
    let notices = Notices { mentions: about.mentions, assignments: about.assignments, url };
    mail::compose_agent_mail(&envelope, &notices, language).map_err(failed)
}

/// Returns the content of the mail and its recipient. An automatic transcript goes to the address that the close stored (rule
/// T2); one sent by hand goes to the requested address, if it still is the contact's (rule S4).
async fn gather(app: &App, delivery: &Delivery, date: Time) -> Result<(TranscriptData, String), NotComposed> {
    let (Some(conversation), Some(contact)) = (delivery.conversation, delivery.contact) else {
        return Err(NotComposed::Failed("It has no conversation or no contact.".into()));
    };
    // 0 for a transcript sent by hand: a close now.
    let facts = app.conversation.get_closing_facts(delivery.account, conversation, delivery.close_number).await?;
    let as_closed = delivery.kind == DeliveryKind::Transcript;
    let query = TranscriptQuery {
        account: delivery.account,
        conversation,
        contact: Some(contact),
        as_closed,
        visitor_name: &facts.visitor_name,
        languages: facts.languages(),
        until: delivery.until_sequence,
        time_zone: &delivery.time_zone,
        max_bytes: delivery.max_transcript_bytes,
        delivery: Some(delivery.id),
        date,
        renders: true,
    };
    let data = gather_transcript(app, &query).await?;
    let (recipient, missing) = if as_closed {
        // A decision without an address stays so: the contact was erased since the close.
        (
            facts.recipient.filter(|_| !delivery.recipient_email.is_empty()),
            "The visitor had no address that mail may go to when the chat ended.",
        )
    } else {
        let recipient = data.contact.as_ref().and_then(|contact| contact.address(&delivery.recipient_email));
        (recipient, "The contact does not have the address any more, or none that mail may go to.")
    };
    match recipient {
        Some(recipient) => Ok((data, recipient)),
        None => Err(NotComposed::Failed(missing.into())),
    }
}

impl From<CallError> for NotComposed {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotFound(resource) => Self::Failed(format!("The {resource} does not exist any more.")),
            CallError::Unavailable(reason) => Self::Retry(reason),
        }
    }
}

impl From<SenderUnavailable> for NotComposed {
    fn from(reason: SenderUnavailable) -> Self {
        Self::Failed(reason.to_string())
    }
}

impl From<DbErr> for NotComposed {
    fn from(error: DbErr) -> Self {
        Self::Error(error.into())
    }
}
