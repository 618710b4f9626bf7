//! Cancels a delivery that was not sent.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{require_active_caller, save_delivery};
use crate::{App, domain::Delivery, error::NotificationError, store};

/// Cancels the delivery and ends the claim of a worker that holds it. A cancelled one stays as it is.
pub(crate) async fn cancel_delivery(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery, NotificationError> {
    require_active_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut delivery = store::deliveries::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("delivery"))?;
    if delivery.cancel().map_err(NotificationError::DeliveryStatus)? {
        save_delivery(app, &mut tx, &delivery, None).await?;
    }
    tx.commit().await?;
    Ok(delivery)
}
