//! The thread of a turn.

use frontdesk_auth::Caller;
use frontdesk_proto::conversation::v1::ListEntriesResponse;
use uuid::Uuid;

use crate::{App, conversation, domain::TurnOver, error::BotSessionError, store};

/// Returns the page of the thread that begins after this sequence, as the team sees it. `TurnOver`: the session of the turn has ended,
/// so the chat is no concern of the bot any more.
pub(crate) async fn list_turn_entries(
    app: &App,
    caller: &Caller,
    turn: Uuid,
    after_sequence: i32,
    size: i32,
) -> Result<ListEntriesResponse, BotSessionError> {
    let bot = caller.bot_id().ok_or(BotSessionError::NotFound("turn"))?;
    let read = app.db.read_for(caller.account).await?;
    let found = store::engine_turns::find(&read.conn(), caller.account, bot, turn).await?;
    let turn = found.ok_or(BotSessionError::NotFound("turn"))?;
    let session = store::sessions::find(&read.conn(), caller.account, turn.session).await?;
    // The read ends before another service is asked.
    drop(read);
    let session = session.filter(|session| session.is_open()).ok_or(TurnOver)?;
    conversation::list_entries_for_engine(&app.conversation, &session, after_sequence, size).await
}
