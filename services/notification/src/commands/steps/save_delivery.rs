//! The last step of each change of a delivery.

use frontdesk_db::Tx;
use sea_orm::DbErr;

use crate::{
    App,
    domain::{Delivery, DeliveryEvent},
    store,
};

/// Saves the delivery, deletes a mail that is not needed any more, and appends the event of the change. One that ends is counted.
pub(crate) async fn save_delivery(
    app: &App,
    tx: &mut Tx,
    delivery: &Delivery,
    event: Option<DeliveryEvent>,
) -> Result<(), DbErr> {
    store::deliveries::save(tx, delivery).await?;
    if !delivery.needs_mail() {
        store::deliveries::delete_mail(tx, delivery.account, delivery.id).await?;
    }
    let (counter, status) = (app.deliveries.clone(), delivery.status);
    tx.on_commit(move || counter.count(status, 1));
    match event {
        Some(DeliveryEvent::Sent) => store::events::append_delivery_sent(tx, delivery).await,
        Some(DeliveryEvent::Failed) => store::events::append_delivery_failed(tx, delivery).await,
        Some(DeliveryEvent::Parked) => store::events::append_delivery_parked(tx, delivery).await,
        None => Ok(()),
    }
}
