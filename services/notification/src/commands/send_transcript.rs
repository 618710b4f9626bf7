//! Sends a transcript by hand (rules T4, S4).

use frontdesk_auth::Caller;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{check_mail_limits, require_active_caller};
use crate::{
    App,
    domain::{Counted, Delivery, DeliveryKind, LimitScope, MailLimit},
    error::NotificationError,
    settings::NotificationSettings,
    store,
};

/// An agent's request. Empty fields: the defaults.
#[derive(Clone, Debug)]
pub(crate) struct SendTranscript {
    pub(crate) conversation: Uuid,
    pub(crate) contact: Uuid,
    pub(crate) email: String,
    pub(crate) subject: String,
    pub(crate) time_zone: String,
}

/// Queues the mail of a closed conversation to an address of a contact. Returns its delivery.
pub(crate) async fn send_transcript(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: SendTranscript,
) -> Result<Delivery, NotificationError> {
    // A repeat gets the first delivery, even if the conversation was reopened since: look it up before any other check.
    let tx = app.db.begin_for(caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        return get(&tx, caller, first).await;
    }
    drop(tx);

    require_active_caller(app, caller).await?;
    let Recipient { contact, email: recipient, until_sequence } = find_recipient(app, caller, &command).await?;

    let mut tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        return get(&tx, caller, first).await;
    }
    // The address was asked before the lock: an erasure since must not be undone.
    if store::erased_ids::contains_any(&tx, caller.account, [contact]).await? {
        return Err(NotificationError::NotFound("contact"));
    }
    if store::suppressions::is_suppressed(tx.conn(), caller.account, &recipient).await? {
        return Err(NotificationError::RecipientSuppressed);
    }
    let now = tx.now().await?;
    let requested_by = caller.actor.to_string();
    check_mail_limits(&tx, caller.account, &limits(&app.settings, &requested_by, &recipient), now).await?;
    let delivery = Delivery {
        conversation: Some(command.conversation),
        contact: Some(contact),
        sender_from_channel: true,
        until_sequence,
        requested_by,
        recipient_email: recipient,
        subject: command.subject,
        time_zone: command.time_zone,
        ..Delivery::new(tx.new_id(), caller.account, DeliveryKind::ManualTranscript, now)
    };
    store::deliveries::insert(&tx, &delivery).await?;
    key.store_result(&tx, &delivery.id).await?;
    tx.on_commit(app.wake());
    tx.commit().await?;
    Ok(delivery)
}

async fn get(tx: &Tx, caller: &Caller, id: Uuid) -> Result<Delivery, NotificationError> {
    store::deliveries::find(tx.conn(), caller.account, id).await?.ok_or(NotificationError::NotFound("delivery"))
}

/// Whom the mail goes to.
struct Recipient {
    contact: Uuid,
    email: String,
    /// Sequence of the last entry to send.
    until_sequence: i32,
}

async fn find_recipient(app: &App, caller: &Caller, command: &SendTranscript) -> Result<Recipient, NotificationError> {
    let conversation = app.conversation.get_conversation(caller.account, command.conversation).await?;
    if !conversation.closed {
        return Err(NotificationError::ConversationOpen);
    }
    let contact = app.conversation.get_contact(caller.account, command.contact).await?;
    // The visitor's own transcript goes to the address that a close would store: another visitor may have added the
    // contact's first address.
    let to_visitor = command.email.is_empty() && conversation.contact_id == Some(contact.id);
    let recipient = if to_visitor {
        app.conversation.get_closing_facts(caller.account, command.conversation, 0).await?.recipient
    } else {
        contact.address(&command.email)
    };
    let email = recipient.ok_or(NotificationError::EmailNotOfContact)?;
    Ok(Recipient { contact: contact.id, email, until_sequence: conversation.last_sequence })
}

fn limits(settings: &NotificationSettings, requested_by: &str, recipient: &str) -> [MailLimit; 3] {
    let counted = Counted::Mails(DeliveryKind::ManualTranscript);
    let limit = |scope, max, description| MailLimit { counted, scope, max, description };
    [
        limit(LimitScope::Account, settings.manual_per_account_per_hour, "of this account"),
        limit(LimitScope::RequestedBy(requested_by.to_owned()), settings.manual_per_agent_per_hour, "of this agent"),
        limit(LimitScope::Recipient(recipient.to_owned()), settings.manual_per_recipient_per_hour, "to this address"),
    ]
}
