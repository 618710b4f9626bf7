//! Bots, by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{
    App,
    domain::Bot,
    error::BotSessionError,
    store::{self, bots::BotCursor},
};

/// Returns one page of the bots that are not deleted, and one bot more when another page follows.
pub(crate) async fn list_bots(app: &App, caller: &Caller, page: &Page<BotCursor>) -> Result<Vec<Bot>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::bots::list(&read.conn(), caller.account, page.cursor.as_ref(), page.size).await?)
}
