//! The places of conversations in their queues (rule A6).

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use tonic::Status;
use uuid::Uuid;

use super::{load_policies, load_queues::recent_queues};
use crate::{
    App,
    domain::QueuePlace,
    error::AssignmentError,
    store::{conversation_owners, queue_paces, routing_queue, routing_queues},
};

/// Returns the place of a conversation as it is now. The database counts those before it: its queue is not read.
pub(crate) async fn get_queue_place(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<QueuePlace, AssignmentError> {
    // Before the read, which holds a connection.
    let now = app.db.now().await?;
    let (account, read) = (caller.account, app.db.read_for(caller.account).await?);
    let conn = read.conn();
    if conversation_owners::find(&conn, account, conversation).await?.is_none() {
        return Err(AssignmentError::NotFound("conversation"));
    }
    let Some(waiting) = routing_queue::find_queued(&conn, account, conversation).await? else {
        return Ok(QueuePlace::default());
    };
    let lengths = routing_queues::list_lengths(&conn, account, &waiting).await?;
    let queues = lengths.iter().map(|(queue, _)| *queue).chain([waiting.queue()]).collect();
    let policies = load_policies(&conn, account, queues, now).await?;
    let paces = queue_paces::list(&conn, account).await?;
    Ok(QueuePlace::counted(waiting.queue(), &lengths, &policies, &paces, now))
}

/// Returns the places of those of these conversations that wait, as they were at most a second ago.
pub(crate) async fn get_queue_places(
    app: &App,
    caller: &Caller,
    conversations: BTreeSet<Uuid>,
) -> Result<Vec<(Uuid, QueuePlace)>, Status> {
    let queues = recent_queues(app, caller.account).await?;
    let places = conversations.into_iter().map(|conversation| (conversation, queues.place(conversation)));
    Ok(places.filter(|(_, place)| place.place > 0).collect())
}

/// Requires that the account has the conversation.
pub(crate) async fn require_conversation(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<(), AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let found = conversation_owners::find(&read.conn(), caller.account, conversation).await?;
    found.map(drop).ok_or(AssignmentError::NotFound("conversation"))
}
