//! Adds a sender address and mails it a code (rule T5).

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use rand::Rng;
use uuid::Uuid;

use crate::{
    App,
    domain::{Delivery, Kind, Sender},
    error::NotificationError,
    mail::{self, Envelope},
    store::{self, limits::Whose},
};

const HOUR: Duration = Duration::from_secs(3600);

/// The address, which is one that mail may come from, and the name beside it.
#[derive(Clone, Debug)]
pub(crate) struct CreateSender {
    pub(crate) address: String,
    pub(crate) display_name: String,
}

/// The sender, and the delivery of its code unless it is verified already.
pub(crate) async fn create_sender(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateSender,
) -> Result<(Sender, Option<Uuid>), NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    store::limits::lock(&tx, caller.account).await?;
    if let Some((sender, delivery)) = key.claim::<(Uuid, Option<Uuid>)>(&tx).await? {
        let sender = store::senders::find_for_update(&tx, caller.account, sender)
            .await?
            .ok_or(NotificationError::NotFound("sender"))?;
        return Ok((sender, delivery));
    }
    let now = tx.now().await?;
    let mut sender = find_or_insert(&tx, caller, &command, now).await?;
    sender.display_name = command.display_name;
    sender.version += 1;
    let delivery = if sender.verified { None } else { Some(mail_code(app, &mut tx, caller, &mut sender, now).await?) };
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
    // The account's row is locked, so nobody adds the address between these two.
    if let Some(sender) = store::senders::find_by_address_for_update(tx, caller.account, &command.address).await? {
        return Ok(sender);
    }
    let sender = Sender {
        id: tx.new_id(),
        account_id: caller.account,
        address: command.address.clone(),
        display_name: command.display_name.clone(),
        verified: false,
        fallback: false,
        code_hash: None,
        code_expires_at: now,
        code_tries: 0,
        created_at: now,
        deleted_at: None,
        version: 0,
    };
    store::senders::insert(tx, &sender).await?;
    Ok(sender)
}

/// The code is in the mail alone, and the mail is forgotten when it is sent; the sender keeps its hash.
async fn mail_code(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    sender: &mut Sender,
    now: Time,
) -> Result<Uuid, NotificationError> {
    let requested_by = caller.actor.to_string();
    check_limits(app, tx, sender, &requested_by, now).await?;
    let code = format!("{:08}", rand::rng().random_range(0..100_000_000_u32));
    sender.expect_code(&code, now);

    let (from_name, from) = app.installation_sender.clone();
    let mut delivery = Delivery {
        sender_id: Some(sender.id),
        requested_by,
        ..Delivery::new(sender.account_id, Kind::SenderVerification, now)
    };
    let envelope = Envelope {
        delivery: delivery.id,
        date: now,
        from_name,
        from,
        to_name: String::new(),
        to: sender.address.clone(),
        subject: "Your code to verify this address".into(),
    };
    let composed =
        mail::compose_verification(&envelope, &code).map_err(|error| NotificationError::Internal(error.to_string()))?;
    delivery.recipient = composed.to;
    delivery.mail_from = composed.from;
    delivery.message_id = composed.message_id;
    delivery.composed_at = Some(now);
    store::deliveries::insert(tx, &delivery).await?;
    store::deliveries::keep_mail(tx, &delivery, composed.bytes).await?;
    tx.on_commit(app.wake());
    Ok(delivery.id)
}

/// A code goes to an address that nobody confirmed yet, so whoever asks for many is stopped (rule S4).
async fn check_limits(
    app: &App,
    tx: &Tx,
    sender: &Sender,
    requested_by: &str,
    now: Time,
) -> Result<(), NotificationError> {
    let settings = &app.settings;
    let limits = [
        (Whose::Account, settings.codes_per_account_per_hour, "with codes of this account"),
        (Whose::RequestedBy(requested_by), settings.codes_per_caller_per_hour, "with codes of this administrator"),
        (Whose::Recipient(&sender.address), settings.codes_per_sender_per_hour, "with codes to this address"),
    ];
    for (whose, limit, which) in limits {
        let (kind, since) = (Kind::SenderVerification, now.minus(HOUR));
        let found = store::limits::in_the_way(tx, sender.account_id, kind, whose, since, limit).await?;
        if let Some(made_at) = found {
            return Err(NotificationError::MailLimit { which, retry_after: made_at.plus(HOUR).since(now) });
        }
    }
    Ok(())
}
