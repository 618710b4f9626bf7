//! The bots by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{App, domain::Bot, error::BotSessionError, store, store::bots::Cursor};

/// Bots that are not deleted by name, and one more when there are more.
pub(crate) async fn list_bots(app: &App, caller: &Caller, page: &Page<Cursor>) -> Result<Vec<Bot>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::bots::list(&read.conn(), caller.account, page.cursor.as_ref(), page.size).await?)
}
