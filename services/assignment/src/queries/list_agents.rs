//! The roster, sorted by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{App, domain::Agent, error::AssignmentError, store, store::agents::Cursor};

/// Returns active agents by name: one page, and one more agent when there is a next page.
pub(crate) async fn list_agents(
    app: &App,
    caller: &Caller,
    page: &Page<Cursor>,
) -> Result<Vec<Agent>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::agents::list(&read.conn(), caller.account, page.cursor.as_ref(), page.size).await?)
}
