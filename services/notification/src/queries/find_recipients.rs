//! The addresses of suppressions, which only deliveries name.

use std::collections::HashMap;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Suppression, error::NotificationError, store};

/// Returns the recipients of the deliveries that the suppressions are about, as far as they are known.
pub(crate) async fn find_recipients(
    app: &App,
    caller: &Caller,
    suppressions: &[Suppression],
) -> Result<HashMap<Uuid, String>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let deliveries = suppressions.iter().filter_map(|suppression| suppression.delivery);
    Ok(store::deliveries::list_recipients(&read.conn(), caller.account, deliveries).await?)
}
