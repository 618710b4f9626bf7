//! Opening hours of one id.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::OpeningHours, error::AssignmentError, store};

/// Returns the opening hours, deleted or not.
pub(crate) async fn get_opening_hours(app: &App, caller: &Caller, id: Uuid) -> Result<OpeningHours, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let hours = store::opening_hours::find(&read.conn(), caller.account, id).await?;
    hours.ok_or(AssignmentError::NotFound("opening hours"))
}
