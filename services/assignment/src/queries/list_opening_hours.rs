//! All opening hours, sorted by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{App, domain::OpeningHours, error::AssignmentError, store, store::opening_hours::Cursor};

/// Returns opening hours by name, deleted ones only when they are asked for: one page, and one more when there is a next page.
pub(crate) async fn list_opening_hours(
    app: &App,
    caller: &Caller,
    show_deleted: bool,
    page: &Page<Cursor>,
) -> Result<Vec<OpeningHours>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let after = page.cursor.as_ref();
    Ok(store::opening_hours::list(&read.conn(), caller.account, show_deleted, after, page.size).await?)
}
