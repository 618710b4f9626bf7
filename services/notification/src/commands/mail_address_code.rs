//! Mails a code to an address that a visitor typed (rules X1, S4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{check_mail_limits, mail_code};
use crate::{
    App,
    domain::{AddressCode, Counted, Delivery, DeliveryKind, LimitScope, MailLimit},
    error::NotificationError,
    mail::CodeMail,
    settings::NotificationSettings,
    store,
};

pub(crate) struct MailAddressCode {
    pub(crate) key: Key,
    /// The chat in which the visitor asks. None: the calling service is of an earlier release.
    pub(crate) conversation: Option<Uuid>,
    /// In its canonical spelling.
    pub(crate) email: String,
    /// Of the visitor.
    pub(crate) language: String,
}

/// Mails a code to the address for the visitor on whose behalf the service calls, in their language.
pub(crate) async fn mail_address_code(
    app: &App,
    caller: &Caller,
    command: MailAddressCode,
) -> Result<(), NotificationError> {
    let MailAddressCode { key, conversation, email, language } = command;
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    store::mail_counts::lock(&tx, account).await?;
    if key.claim::<Uuid>(&tx).await?.is_some() {
        return Ok(());
    }
    // The chat was read before the lock: an erasure since must not be undone.
    if store::erased_ids::contains_any(&tx, account, conversation).await? {
        return Err(NotificationError::NotFound("conversation"));
    }
    if store::suppressions::is_suppressed(tx.conn(), account, &email).await? {
        return Err(NotificationError::RecipientSuppressed);
    }
    let now = tx.now().await?;
    let visitor = caller.actor.to_string();
    check_mail_limits(&tx, account, &limits(&app.settings, &visitor, &email), now).await?;
    let delivery = Delivery {
        conversation,
        requested_by: visitor.clone(),
        ..Delivery::new(tx.new_id(), account, DeliveryKind::AddressVerification, now)
    };
    let id = delivery.id;
    let code = mail_code(app, &mut tx, delivery, &email, CodeMail::Visitor, &[language.as_str()], now).await?;
    store::address_codes::delete_expired(&tx, account, now).await?;
    store::address_codes::save(&tx, &AddressCode::new(account, &visitor, &email, &code, now)).await?;
    key.store_result(&tx, &id).await?;
    tx.commit().await?;
    Ok(())
}

/// Codes are mailed to addresses that anybody can type, so their number is limited (rule S4).
fn limits(settings: &NotificationSettings, visitor: &str, address: &str) -> [MailLimit; 3] {
    let counted = Counted::Mails(DeliveryKind::AddressVerification);
    let limit = |scope, max, description| MailLimit { counted, scope, max, description };
    [
        limit(LimitScope::Account, settings.address_codes_per_account_per_hour, "with codes of this account"),
        limit(
            LimitScope::RequestedBy(visitor.to_owned()),
            settings.address_codes_per_visitor_per_hour,
            "with codes of this visitor",
        ),
        limit(
            LimitScope::Recipient(address.to_owned()),
            settings.address_codes_per_recipient_per_hour,
            "with codes to this address",
        ),
    ]
}
