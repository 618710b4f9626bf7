//! Sessions, newest first.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{
    App,
    domain::Session,
    error::BotSessionError,
    store::{
        self,
        sessions::{Cursor, Filter},
    },
};

/// Sessions that the filter lets through, and one more when there are more.
pub(crate) async fn list_bot_sessions(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    page: &Page<Cursor>,
) -> Result<Vec<Session>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::sessions::list(&read.conn(), caller.account, filter, page.cursor.as_ref(), page.size).await?)
}
