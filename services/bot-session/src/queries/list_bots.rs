//! Bots, by name.

use frontdesk_api::Page;
use frontdesk_auth::Caller;

use crate::{
    App,
    domain::BotSummary,
    error::BotSessionError,
    store::{self, bots::BotCursor},
};

/// Returns one page of the bots, deleted ones only with `show_deleted`, and one bot more when another page follows.
pub(crate) async fn list_bots(
    app: &App,
    caller: &Caller,
    show_deleted: bool,
    page: &Page<BotCursor>,
) -> Result<Vec<BotSummary>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::bots::list(&read.conn(), caller.account, show_deleted, page.cursor.as_ref(), page.size).await?)
}
