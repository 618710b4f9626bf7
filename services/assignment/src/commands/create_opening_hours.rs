//! Creating opening hours (rule A4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_opening_hours::Schedule;
use uuid::Uuid;

use super::steps::require_active_caller;
use crate::{App, domain::OpeningHours, error::AssignmentError, store};

/// The new opening hours.
#[derive(Debug)]
pub(crate) struct CreateOpeningHours {
    pub(crate) name: String,
    /// A schedule that compiles.
    pub(crate) schedule: Schedule,
}

/// Creates opening hours. A repeated request returns those that the first one created (rule C12).
pub(crate) async fn create_opening_hours(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateOpeningHours,
) -> Result<OpeningHours, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = key.claim::<Uuid>(&tx).await? {
        let hours = store::opening_hours::find(tx.conn(), caller.account, id).await?;
        return hours.ok_or(AssignmentError::NotFound("opening hours"));
    }

    require_active_caller(tx.conn(), caller).await?;
    let now = tx.now().await?;
    let hours = OpeningHours {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        schedule: command.schedule,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    store::opening_hours::insert(&tx, &hours).await?;
    store::events::append_opening_hours_changed(&mut tx, &hours).await?;
    key.store_result(&tx, &hours.id).await?;

    tx.commit().await?;
    Ok(hours)
}
