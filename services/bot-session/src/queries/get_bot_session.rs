//! One session.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Session, error::BotSessionError, store};

/// Returns the session, open or ended. `NotFound`: the account has none with this id.
pub(crate) async fn get_bot_session(app: &App, caller: &Caller, id: Uuid) -> Result<Session, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    store::sessions::find(&read.conn(), caller.account, id).await?.ok_or(BotSessionError::NotFound("bot session"))
}
