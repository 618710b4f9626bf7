//! The roster, sorted by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use super::AgentFilter;
use crate::{App, domain::Agent, error::AssignmentError, store, store::agents::Cursor};

/// Returns agents by name, deactivated ones only when they are asked for: one page, and one more agent when there is a next page.
pub(crate) async fn list_agents(
    app: &App,
    caller: &Caller,
    filter: AgentFilter,
    page: &Page<Cursor>,
) -> Result<Vec<Agent>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let after = page.cursor.as_ref();
    Ok(store::agents::list(&read.conn(), caller.account, filter, after, page.size).await?)
}
