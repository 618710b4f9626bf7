//! Sends a transcript by hand (rules T4, S4).

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Delivery, Kind},
    error::NotificationError,
    store::{self, limits::Whose},
};

const HOUR: Duration = Duration::from_secs(3600);

/// What an agent asks for. Empty: the usual.
#[derive(Clone, Debug)]
pub(crate) struct SendTranscript {
    pub(crate) conversation: Uuid,
    pub(crate) contact: Uuid,
    pub(crate) email: String,
    pub(crate) subject: String,
    pub(crate) time_zone: String,
}

/// Queues the mail of a closed conversation to an address of a contact.
pub(crate) async fn send_transcript(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: SendTranscript,
) -> Result<Delivery, NotificationError> {
    // A repeat gets the first delivery, whatever became of the conversation: so it is looked for before anything is asked.
    let tx = app.db.begin_for(caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        return get(&tx, caller, first).await;
    }
    drop(tx);

    let (recipient, until_sequence) = ask(app, caller, &command).await?;

    let mut tx = app.db.begin_for(caller.account).await?;
    store::limits::lock(&tx, caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        return get(&tx, caller, first).await;
    }
    let now = tx.now().await?;
    let requested_by = caller.actor.to_string();
    check_limits(app, &tx, caller, &requested_by, &recipient, now).await?;
    let delivery = Delivery {
        conversation_id: Some(command.conversation),
        contact_id: Some(command.contact),
        sender_from_channel: true,
        until_sequence,
        requested_by,
        recipient,
        subject: command.subject,
        time_zone: command.time_zone,
        ..Delivery::new(caller.account, Kind::ManualTranscript, now)
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

/// To whom, and up to which entry.
async fn ask(app: &App, caller: &Caller, command: &SendTranscript) -> Result<(String, i64), NotificationError> {
    let conversation = app.conversations.conversation(caller.account, command.conversation).await?;
    if !conversation.closed {
        return Err(NotificationError::ConversationOpen);
    }
    let contact = app.conversations.contact(caller.account, command.contact).await?;
    // The visitor's own transcript goes where the close would send it: a contact's first address may be somebody else's doing.
    let own = command.email.is_empty() && conversation.contact_id == Some(command.contact);
    let recipient = if own {
        app.conversations.closing_facts(caller.account, command.conversation, 0).await?.recipient
    } else {
        contact.address(&command.email)
    };
    let recipient = recipient.ok_or(NotificationError::AddressNotOfContact)?;
    Ok((recipient, conversation.last_sequence))
}

async fn check_limits(
    app: &App,
    tx: &Tx,
    caller: &Caller,
    requested_by: &str,
    recipient: &str,
    now: Time,
) -> Result<(), NotificationError> {
    let settings = &app.settings;
    let limits = [
        (Whose::Account, settings.manual_per_account_per_hour, "of this account"),
        (Whose::RequestedBy(requested_by), settings.manual_per_agent_per_hour, "of this agent"),
        (Whose::Recipient(recipient), settings.manual_per_recipient_per_hour, "to this address"),
    ];
    for (whose, limit, which) in limits {
        let since = now.minus(HOUR);
        let found = store::limits::in_the_way(tx, caller.account, Kind::ManualTranscript, whose, since, limit).await?;
        if let Some(made_at) = found {
            return Err(NotificationError::MailLimit { which, retry_after: made_at.plus(HOUR).since(now) });
        }
    }
    Ok(())
}
