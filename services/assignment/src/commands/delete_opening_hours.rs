//! Deleting opening hours (rule A4).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::require_active_caller;
use crate::{App, domain::OpeningHours, error::AssignmentError, store};

/// Deletes opening hours. Deleting deleted ones changes nothing.
pub(crate) async fn delete_opening_hours(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<OpeningHours, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    require_active_caller(tx.conn(), caller).await?;
    let mut hours = store::opening_hours::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(AssignmentError::NotFound("opening hours"))?;

    if hours.delete(tx.now().await?) {
        store::opening_hours::save(&tx, &hours).await?;
        store::events::append_opening_hours_changed(&mut tx, &hours).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    Ok(hours)
}
