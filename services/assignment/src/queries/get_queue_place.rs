//! The place of a conversation in its queue (rule A6).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    error::AssignmentError,
    store::{conversation_owners, routing_queue},
};

/// Returns the place, and the number of conversations in the queue; both 0 where the conversation does not wait.
pub(crate) async fn get_queue_place(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<(i64, i64), AssignmentError> {
    let (account, read) = (caller.account, app.db.read_for(caller.account).await?);
    let conn = read.conn();
    if conversation_owners::find(&conn, account, conversation).await?.is_none() {
        return Err(AssignmentError::NotFound("conversation"));
    }
    let Some(waiting) = routing_queue::find(&conn, account, conversation).await? else { return Ok((0, 0)) };
    let (longer, all) = routing_queue::count_before(&conn, account, &waiting).await?;
    Ok((longer + 1, all))
}
