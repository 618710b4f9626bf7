//! Claims deliveries that are due, and begins the attempts of those whose mail is composed.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use super::Attempt;
use crate::{
    App,
    domain::{Claim, Delivery, DeliveryStatus, MailQueue, Sender, recipient_domain},
    error::NotificationError,
    store::{self, due_deliveries::Due},
    transport::Mail,
};

/// A claimed delivery.
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    /// The queue that it was taken from.
    pub(crate) queue: MailQueue,
    /// The domain of its recipient, as far as it is known.
    pub(crate) domain: String,
    pub(crate) work: Work,
}

/// What the holder of a claim does.
pub(crate) enum Work {
    /// Its last attempt was interrupted: records the outcome.
    Settle,
    /// Composes its mail.
    Compose,
    /// Sends its mail, which is composed. The beginning of the attempt is committed.
    Send(Attempt),
}

/// Claims due deliveries of these queues, up to the number of each, for the duration of a claim, but none of those that this worker still
/// processes. Of those that are composed and may be sent, the attempt is counted and committed with the claim; a crash after that is
/// detected when the claim ends.
pub(crate) async fn claim_deliveries(
    app: &App,
    duration: Duration,
    running: &HashSet<Uuid>,
    places: &[(MailQueue, usize)],
) -> Result<Vec<Claimed>, NotificationError> {
    let claimed_until = Instant::now() + duration;
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let mut due = store::due_deliveries::list_due_for_update(&tx, now, places).await?;
    due.retain(|due| !running.contains(&due.delivery.id));
    let mut mails = list_sendable(&tx, &due).await?;
    let until = now.plus(duration);
    let (mut claimed, mut begun, mut held) = (Vec::with_capacity(due.len()), Vec::new(), Vec::new());
    for Due { mut delivery, queue } in due {
        let claim = delivery.claim(until);
        let work = match mails.remove(&delivery.id) {
            Some(bytes) => {
                delivery.begin_attempt(until);
                begun.push(delivery.id);
                Work::Send(Attempt { mail: mail(&delivery, bytes), claimed_until })
            }
            None => {
                held.push(delivery.id);
                if claim.interrupted { Work::Settle } else { Work::Compose }
            }
        };
        claimed.push(Claimed { claim, queue, domain: recipient_domain(&delivery.recipient_email), work });
    }
    let begins = !begun.is_empty();
    store::due_deliveries::save_claims(&tx, begun, true, until).await?;
    store::due_deliveries::save_claims(&tx, held, false, until).await?;
    tx.commit().await?;
    if !claimed.is_empty() {
        fail::fail_point!("deliveries-claimed", |_| std::process::abort());
    }
    if begins {
        fail::fail_point!("attempt-begun", |_| std::process::abort());
    }
    Ok(claimed)
}

fn mail(delivery: &Delivery, bytes: Vec<u8>) -> Mail {
    Mail {
        account: delivery.account,
        delivery: delivery.id,
        from: delivery.mail_from.clone(),
        to: delivery.recipient_email.clone(),
        bytes,
    }
}

/// Returns the mails of those that are composed and may be sent. The others are composed first, or fail there, and those whose attempt was
/// interrupted are settled.
async fn list_sendable(tx: &Tx, due: &[Due]) -> Result<HashMap<Uuid, Vec<u8>>, DbErr> {
    let is_ready = |one: &&Delivery| one.is_composed() && one.status == DeliveryStatus::Queued;
    let composed: Vec<&Delivery> = due.iter().map(|due| &due.delivery).filter(is_ready).collect();
    let heeding: Vec<(AccountId, &str)> = composed
        .iter()
        .filter(|one| one.kind.heeds_suppressions() && !one.recipient_email.is_empty())
        .map(|one| (one.account, one.recipient_email.as_str()))
        .collect();
    let suppressed = store::suppressions::list_suppressed(tx.conn(), &heeding).await?;
    let of_account = composed.iter().filter(|one| !one.kind.is_from_installation());
    let emails: HashSet<(AccountId, String)> =
        of_account.map(|one| (one.account, one.mail_from.to_lowercase())).collect();
    let senders = store::senders::list_by_emails(tx.conn(), &emails).await?;
    let is_suppressed = |one: &Delivery| {
        one.kind.heeds_suppressions() && suppressed.contains(&(one.account, one.recipient_email.clone()))
    };
    let sender = |one: &Delivery| -> Option<&Sender> { senders.get(&(one.account, one.mail_from.to_lowercase())) };
    let sendable = composed.into_iter().filter(|one| !is_suppressed(one) && one.may_come_from(sender(one)));
    store::due_deliveries::list_mails(tx, sendable.map(|one| one.id).collect()).await
}
