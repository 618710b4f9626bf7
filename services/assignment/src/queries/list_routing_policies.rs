//! All routing policies, sorted by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{App, domain::RoutingPolicy, error::AssignmentError, store, store::routing_policies::Cursor};

/// Returns routing policies by name, deleted ones only when they are asked for: one page, and one more when there is a next page.
pub(crate) async fn list_routing_policies(
    app: &App,
    caller: &Caller,
    show_deleted: bool,
    page: &Page<Cursor>,
) -> Result<Vec<RoutingPolicy>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let after = page.cursor.as_ref();
    Ok(store::routing_policies::list(&read.conn(), caller.account, show_deleted, after, page.size).await?)
}
