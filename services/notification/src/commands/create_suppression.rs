//! Adds an address that is not mailed any more (rule S4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Cause, suppress};
use crate::{
    App,
    domain::{Suppression, SuppressionReason},
    error::NotificationError,
    store,
};

/// Adds the address, or returns the suppression that it has already.
pub(crate) async fn create_suppression(
    app: &App,
    caller: &Caller,
    key: &Key,
    email: &str,
) -> Result<Suppression, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    if let Some(first) = key.claim::<Uuid>(&tx).await? {
        return store::suppressions::find_also_removed_for_update(&tx, caller.account, first)
            .await?
            .ok_or(NotificationError::NotFound("suppression"));
    }
    let cause = Cause { reason: SuppressionReason::Added, status_code: String::new(), delivery: None };
    let now = tx.now().await?;
    let suppression = suppress(&tx, caller.account, email, cause, now).await?;
    key.store_result(&tx, &suppression.id).await?;
    tx.commit().await?;
    Ok(suppression)
}
