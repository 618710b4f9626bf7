//! Deletes an endpoint of webhooks.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, error::NotificationError, store};

/// Maximum number of deliveries that the call ends. A worker ends the others.
const MAX_ENDED: u64 = 10_000;

/// Deletes the endpoint; its deliveries that wait fail. A deleted one stays as it is.
pub(crate) async fn delete_webhook_endpoint(app: &App, caller: &Caller, id: Uuid) -> Result<(), NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let mut endpoint = store::webhook_endpoints::find_also_deleted_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("webhook endpoint"))?;
    if endpoint.deleted_at.is_none() {
        endpoint.delete(tx.now().await?);
        store::webhook_endpoints::save(&tx, &endpoint).await?;
        store::webhook_deliveries::fail_some(&tx, caller.account, id, MAX_ENDED).await?;
    }
    tx.commit().await?;
    Ok(())
}
