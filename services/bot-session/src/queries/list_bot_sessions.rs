//! Sessions, newest first.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

pub(crate) use crate::store::sessions::SessionFilter;
use crate::{
    App,
    domain::Session,
    error::BotSessionError,
    store::{self, sessions::SessionCursor},
};

/// Returns one page of the sessions that match the filter, and one session more when another page follows.
pub(crate) async fn list_bot_sessions(
    app: &App,
    caller: &Caller,
    filter: &SessionFilter,
    page: &Page<SessionCursor>,
) -> Result<Vec<Session>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::sessions::list(&read.conn(), caller.account, filter, page.cursor.as_ref(), page.size).await?)
}
