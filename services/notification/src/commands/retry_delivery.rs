//! Retries a failed or parked delivery.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{check_mail_limits, require_active_caller, save_delivery};
use crate::{
    App,
    domain::{Counted, Delivery, LimitScope, MailLimit},
    error::NotificationError,
    settings::NotificationSettings,
    store,
};

/// Queues a failed or parked delivery again: a transcript is composed anew, a code is sent again. A queued delivery stays as it
/// is. Retries are limited like mails that are sent by hand (rule S4).
pub(crate) async fn retry_delivery(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery, NotificationError> {
    require_active_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    let mut delivery = store::deliveries::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("delivery"))?;
    let now = tx.now().await?;
    if delivery.retry(now).map_err(NotificationError::DeliveryStatus)? {
        let requested_by = caller.actor.to_string();
        let limits = limits(&app.settings, &requested_by, &delivery.recipient_email);
        check_mail_limits(&tx, caller.account, &limits, now).await?;
        store::mail_counts::insert_retry(&tx, &delivery, requested_by, now).await?;
        save_delivery(app, &mut tx, &delivery, None).await?;
        tx.on_commit(app.wake());
    }
    tx.commit().await?;
    Ok(delivery)
}

fn limits(settings: &NotificationSettings, requested_by: &str, recipient: &str) -> [MailLimit; 3] {
    let limit = |scope, max, description| MailLimit { counted: Counted::Retries, scope, max, description };
    [
        limit(LimitScope::Account, settings.manual_per_account_per_hour, "retried in this account"),
        limit(LimitScope::RequestedBy(requested_by.to_owned()), settings.manual_per_agent_per_hour, "retried by you"),
        limit(
            LimitScope::Recipient(recipient.to_owned()),
            settings.manual_per_recipient_per_hour,
            "retried to this address",
        ),
    ]
}
