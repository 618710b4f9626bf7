//! Who would get a conversation that waits (rules A4 to A6).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use super::{load_desk, load_policies};
use crate::{
    App,
    domain::{Candidate, NotRouted, Waiting},
    error::AssignmentError,
    store::{conversation_owners, routing_queue},
};

/// What routing would decide about one conversation.
pub(crate) struct Explanation {
    pub(crate) as_of: Time,
    /// None: the default policy, also in the place of one that is deleted.
    pub(crate) policy: Option<Uuid>,
    /// Every agent, with every reason why they do not get it.
    pub(crate) candidates: Vec<(Candidate, Vec<NotRouted>)>,
}

/// Decides as routing does, and changes nothing.
pub(crate) async fn explain_routing(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<Explanation, AssignmentError> {
    // Before the read, which holds a connection.
    let now = app.db.now().await?;
    let (account, read) = (caller.account, app.db.read_for(caller.account).await?);
    let conn = read.conn();
    if conversation_owners::find(&conn, account, conversation).await?.is_none() {
        return Err(AssignmentError::NotFound("conversation"));
    }
    let waiting = routing_queue::find_waiting(&conn, account, conversation).await?.ok_or(AssignmentError::NotQueued)?;
    let before = routing_queue::list_before(&conn, account, &waiting).await?;
    let queues = before.iter().map(Waiting::queue).chain([waiting.queue()]).collect();
    let policies = load_policies(&conn, account, queues, now).await?;
    let policy = policies.queue(waiting.queue()).policy;
    let desk = load_desk(&conn, account, policies.by_queue, now, app.heartbeats).await?;
    Ok(Explanation { as_of: now, policy, candidates: desk.explain(before, &waiting) })
}
