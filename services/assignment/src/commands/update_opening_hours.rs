//! Editing opening hours (rule A4).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::require_active_caller;
use crate::{
    App,
    domain::{OpeningHours, OpeningHoursChange},
    error::AssignmentError,
    store,
};

/// An edit of opening hours.
#[derive(Debug)]
pub(crate) struct UpdateOpeningHours {
    pub(crate) id: Uuid,
    pub(crate) change: OpeningHoursChange,
    /// The etag that the caller read. Empty: edit unconditionally.
    pub(crate) etag: String,
}

/// Edits opening hours. An edit whose content is there already changes nothing and publishes no event, whatever its etag (rule C12).
pub(crate) async fn update_opening_hours(
    app: &App,
    caller: &Caller,
    command: UpdateOpeningHours,
) -> Result<OpeningHours, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    require_active_caller(tx.conn(), caller).await?;
    let mut hours = store::opening_hours::find_for_update(&tx, caller.account, command.id)
        .await?
        .ok_or(AssignmentError::NotFound("opening hours"))?;

    if hours.update(command.change, &command.etag, tx.now().await?)? {
        store::opening_hours::save(&tx, &hours).await?;
        store::events::append_opening_hours_changed(&mut tx, &hours).await?;
        store::routing_accounts::wake(&tx, caller.account).await?;
    }

    tx.commit().await?;
    Ok(hours)
}
