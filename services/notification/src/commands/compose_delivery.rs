//! Composes a transcript's mail and keeps its bytes: from then on every attempt sends the same.

use super::announce::save_and_announce;
use crate::{
    App,
    composition::{self, Gathered, Wanted},
    conversation::NoAnswer,
    domain::{Delivery, Kind},
    error::NotificationError,
    mail::{self, Composed, Envelope},
    store::{self, deliveries::Claim},
};

/// How composing ended.
enum Attempt {
    Composed(Box<Composed>),
    Later(String),
    Failed(String),
}

/// True: it is composed and may be sent. False: it waits, has failed, or is somebody else's now.
pub(crate) async fn compose_delivery(app: &App, claim: &Claim) -> Result<bool, NotificationError> {
    let Some(delivery) = store::deliveries::find(app.db.read(), claim.account, claim.delivery).await? else {
        return Ok(false);
    };
    if delivery.claim != claim.number || delivery.is_composed() {
        return Ok(delivery.claim == claim.number);
    }
    let date = app.db.now().await?;
    let attempt = compose(app, &delivery, date).await?;

    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed(&tx, claim).await? else { return Ok(false) };
    let mut changed = None;
    let composed = match attempt {
        Attempt::Composed(composed) => {
            delivery.recipient = composed.to;
            delivery.mail_from = composed.from;
            delivery.message_id = composed.message_id;
            delivery.composed_at = Some(date);
            delivery.failure = String::new();
            store::deliveries::keep_mail(&tx, &delivery, composed.bytes).await?;
            true
        }
        Attempt::Later(why) => {
            tracing::warn!(delivery = %delivery.id, why, "a mail cannot be composed yet");
            let why = "The conversation service cannot be asked yet; it is tried again.".into();
            delivery.compose_later(why, &app.pauses(), tx.now().await?);
            false
        }
        Attempt::Failed(why) => {
            changed = Some(delivery.compose_failed(why));
            false
        }
    };
    save_and_announce(&mut tx, &mut delivery, changed).await?;
    tx.commit().await?;
    Ok(composed)
}

async fn compose(app: &App, delivery: &Delivery, date: frontdesk_clock::Time) -> Result<Attempt, NotificationError> {
    let (Some(conversation), Some(contact)) = (delivery.conversation_id, delivery.contact_id) else {
        return Ok(Attempt::Failed("It has no conversation or no contact.".into()));
    };
    let wanted = Wanted {
        account: delivery.account_id,
        conversation,
        contact: Some(contact),
        as_closed: delivery.kind == Kind::Transcript,
        until: delivery.until_sequence,
        time_zone: &delivery.time_zone,
    };
    let (gathered, to) = match ask(app, delivery, &wanted).await {
        Ok(answers) => answers,
        Err(NoAnswer::NotFound(what)) => return Ok(Attempt::Failed(format!("The {what} is not there any more."))),
        Err(NoAnswer::Later(why)) => return Ok(Attempt::Later(why)),
    };
    match to {
        Ok(to) => build(app, delivery, gathered, to, date).await,
        Err(why) => Ok(Attempt::Failed(why.into())),
    }
}

/// What the mail is made of, and where it goes or why nowhere. One that is sent by itself goes where the close froze it
/// (rule T2); one by hand where it was asked for, checked once more to be the contact's (rule S4).
async fn ask(
    app: &App,
    delivery: &Delivery,
    wanted: &Wanted<'_>,
) -> Result<(Gathered, Result<String, &'static str>), NoAnswer> {
    if !wanted.as_closed {
        let gathered = composition::gather(app, wanted).await?;
        let to = gathered.contact.as_ref().and_then(|contact| contact.address(&delivery.recipient));
        return Ok((
            gathered,
            to.ok_or("The contact does not have the address any more, or none that mail may go to."),
        ));
    }
    let facts = app.conversations.closing_facts(wanted.account, wanted.conversation, delivery.close_number).await?;
    let gathered = composition::gather(app, wanted).await?;
    Ok((gathered, facts.recipient.ok_or("The visitor had no address that mail may go to when the chat ended.")))
}

async fn build(
    app: &App,
    delivery: &Delivery,
    gathered: Gathered,
    to: String,
    date: frontdesk_clock::Time,
) -> Result<Attempt, NotificationError> {
    let chosen = if delivery.sender_from_channel { gathered.channel.sender_id } else { delivery.sender_id };
    let sender = match composition::sender(app.db.read(), delivery.account_id, chosen).await? {
        Ok(sender) => sender,
        Err(why) => return Ok(Attempt::Failed(why.into())),
    };
    let envelope = Envelope {
        delivery: delivery.id,
        date,
        from_name: sender.display_name,
        from: sender.address,
        to_name: gathered.contact.as_ref().map(|contact| contact.name.clone()).unwrap_or_default(),
        to,
        subject: gathered.subject(&delivery.subject),
    };
    let transcript = gathered.transcript;
    // A long transcript takes tens of milliseconds: not on a thread that serves calls.
    let composed = tokio::task::spawn_blocking(move || mail::compose(&transcript, &envelope))
        .await
        .map_err(|error| NotificationError::Internal(error.to_string()))?;
    Ok(match composed {
        Ok(composed) => Attempt::Composed(Box::new(composed)),
        Err(error) => Attempt::Failed(format!("The mail cannot be composed: {error}.")),
    })
}
