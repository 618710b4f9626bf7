//! Deliveries, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::{Delivery, DeliveryFilter},
    error::NotificationError,
    store,
};

/// Returns up to `limit` deliveries after a cursor.
pub(crate) async fn list_deliveries(
    app: &App,
    caller: &Caller,
    filter: &DeliveryFilter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Delivery>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::deliveries::list(&read.conn(), caller.account, filter, after, limit).await?)
}
