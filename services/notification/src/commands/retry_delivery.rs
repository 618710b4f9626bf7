//! Retries a failed or parked delivery.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::save_delivery;
use crate::{App, domain::Delivery, error::NotificationError, store};

/// Queues a failed or parked delivery again: a transcript is composed anew, a code is sent again. A queued delivery stays as it
/// is.
pub(crate) async fn retry_delivery(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery, NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut delivery = store::deliveries::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("delivery"))?;
    let now = tx.now().await?;
    if delivery.retry(now).map_err(NotificationError::DeliveryStatus)? {
        save_delivery(&mut tx, &delivery, None).await?;
        tx.on_commit(app.wake());
    }
    tx.commit().await?;
    Ok(delivery)
}
