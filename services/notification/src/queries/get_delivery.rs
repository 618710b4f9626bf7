//! One delivery.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Delivery, error::NotificationError, store};

/// Returns the delivery.
pub(crate) async fn get_delivery(app: &App, caller: &Caller, id: Uuid) -> Result<Delivery, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    store::deliveries::find(&read.conn(), caller.account, id).await?.ok_or(NotificationError::NotFound("delivery"))
}
