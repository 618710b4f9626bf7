//! The teams of an account, sorted by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use super::TeamFilter;
use crate::{App, domain::Team, error::AssignmentError, store, store::teams::Cursor};

/// Returns teams by name, deleted ones only when they are asked for: one page, and one more team when there is a next page.
pub(crate) async fn list_teams(
    app: &App,
    caller: &Caller,
    filter: &TeamFilter,
    page: &Page<Cursor>,
) -> Result<Vec<Team>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::teams::list(&read.conn(), caller.account, filter, page.cursor.as_ref(), page.size).await?)
}
