//! Adds a sender address and mails it a code (rule T5).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{check_mail_limits, mail_code};
use crate::{
    App,
    domain::{Counted, Delivery, DeliveryKind, LimitScope, MailLimit, Sender, SenderChange},
    error::NotificationError,
    mail::CodeMail,
    settings::NotificationSettings,
    store,
};

/// The sender to add: a plain address and the display name for it.
#[derive(Clone, Debug)]
pub(crate) struct CreateSender {
    pub(crate) email: String,
    pub(crate) display_name: String,
}

/// Adds the sender, or finds the one with its address. Returns it, and the delivery of its code unless it is verified already.
pub(crate) async fn create_sender(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateSender,
) -> Result<(Sender, Option<Uuid>), NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    if let Some((sender, delivery)) = key.claim::<(Uuid, Option<Uuid>)>(&tx).await? {
        let sender = store::senders::find_also_deleted_for_update(&tx, caller.account, sender)
            .await?
            .ok_or(NotificationError::NotFound("sender"))?;
        return Ok((sender, delivery));
    }
    let now = tx.now().await?;
    let mut sender = find_or_insert(&tx, caller, &command, now).await?;
    let named = SenderChange { display_name: Some(command.display_name), ..SenderChange::default() };
    sender.update(named, "", now)?;
    let delivery =
        if sender.verified { None } else { Some(mail_new_code(app, &mut tx, caller, &mut sender, now).await?) };
    store::senders::save(&tx, &sender).await?;
    key.store_result(&tx, &(sender.id, delivery)).await?;
    tx.commit().await?;
    Ok((sender, delivery))
}

async fn find_or_insert(
    tx: &Tx,
    caller: &Caller,
    command: &CreateSender,
    now: Time,
) -> Result<Sender, NotificationError> {
    // The account's row is locked, so no concurrent call adds the address between these two statements.
    if let Some(sender) = store::senders::find_by_email_for_update(tx, caller.account, &command.email).await? {
        return Ok(sender);
    }
    let (email, display_name) = (command.email.clone(), command.display_name.clone());
    let sender = Sender::new(tx.new_id(), caller.account, email, display_name, now);
    store::senders::insert(tx, &sender).await?;
    Ok(sender)
}

/// Queues a mail with a new code, of which the sender has the hash.
async fn mail_new_code(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    sender: &mut Sender,
    now: Time,
) -> Result<Uuid, NotificationError> {
    let requested_by = caller.actor.to_string();
    check_mail_limits(tx, caller.account, &limits(&app.settings, &requested_by, &sender.email), now).await?;
    let delivery = Delivery {
        sender: Some(sender.id),
        requested_by,
        ..Delivery::new(tx.new_id(), sender.account, DeliveryKind::SenderVerification, now)
    };
    let id = delivery.id;
    let code = mail_code(app, tx, delivery, &sender.email, CodeMail::Sender, &[], now).await?;
    sender.set_code(&code, now);
    Ok(id)
}

/// Codes are mailed to addresses that are not confirmed yet, so their number is limited (rule S4).
fn limits(settings: &NotificationSettings, requested_by: &str, address: &str) -> [MailLimit; 3] {
    let counted = Counted::Mails(DeliveryKind::SenderVerification);
    let limit = |scope, max, description| MailLimit { counted, scope, max, description };
    [
        limit(LimitScope::Account, settings.codes_per_account_per_hour, "with codes of this account"),
        limit(
            LimitScope::RequestedBy(requested_by.to_owned()),
            settings.codes_per_caller_per_hour,
            "with codes of this administrator",
        ),
        limit(
            LimitScope::Recipient(address.to_owned()),
            settings.codes_per_sender_per_hour,
            "with codes to this address",
        ),
    ]
}
