//! Records that a mail came back, or that its recipient complained (rule T8).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{Cause, suppress};
use crate::{
    App,
    domain::{Bounce, BounceKind, Suppression, SuppressionReason},
    error::NotificationError,
    mail, store,
};

/// Which mail a report is about.
#[derive(Clone, Debug)]
pub(crate) enum ReportedMail {
    Delivery(Uuid),
    /// Its Message-ID, in angle brackets.
    MessageId(String),
}

/// A report of the account's inbound mail.
#[derive(Clone, Debug)]
pub(crate) struct ReportBounce {
    pub(crate) mail: ReportedMail,
    pub(crate) kind: BounceKind,
    /// Empty: the report has none.
    pub(crate) status_code: String,
}

/// Records the report at the delivery, and suppresses the recipient if the report blames them. Returns their suppression. A report that
/// says nothing new changes nothing, also after the suppression was removed.
pub(crate) async fn report_bounce(
    app: &App,
    caller: &Caller,
    command: ReportBounce,
) -> Result<Option<Suppression>, NotificationError> {
    let account = caller.account;
    let tx = app.db.begin_for(account).await?;
    store::mail_counts::lock(&tx, account).await?;
    let found = match &command.mail {
        ReportedMail::Delivery(id) => store::deliveries::find_for_update(&tx, account, *id).await?,
        ReportedMail::MessageId(message_id) => match mail::delivery_of(message_id) {
            Some(id) => store::deliveries::find_for_update(&tx, account, id)
                .await?
                .filter(|delivery| delivery.mail_message_id == *message_id),
            None => None,
        },
    };
    let mut delivery = found.ok_or(NotificationError::NotFound("delivery"))?;
    let now = tx.now().await?;
    let bounce = Bounce { kind: command.kind, status_code: command.status_code, reported_at: now };
    let reason = SuppressionReason::of_bounce(&bounce)
        // Without the address: the contact was erased.
        .filter(|_| delivery.kind.heeds_suppressions() && !delivery.recipient_email.is_empty());
    let Some(reason) = reason else {
        if delivery.report(bounce) {
            store::deliveries::save(&tx, &delivery).await?;
        }
        tx.commit().await?;
        return Ok(None);
    };
    let cause = Cause { reason, status_code: bounce.status_code.clone(), delivery: Some(delivery.id) };
    let suppression = if delivery.report(bounce) {
        store::deliveries::save(&tx, &delivery).await?;
        Some(suppress(&tx, account, &delivery.recipient_email, cause, now).await?)
    } else {
        store::suppressions::find_by_address(tx.conn(), account, &delivery.recipient_email).await?
    };
    tx.commit().await?;
    Ok(suppression)
}
