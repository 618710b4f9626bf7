//! Changing the owner by hand: the conversation's row decides, then the history records it.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use frontdesk_idempotency::Key;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::administrator_name;
use crate::{
    App,
    conversation::{self, ChangeAssignee},
    domain::{Actor, Agent, Assignment, AssignmentCause, AssignmentView},
    error::AssignmentError,
    queries::find_actor_names,
    store,
};

/// Which conversation changes its owner, and in which state.
#[derive(Debug)]
pub(crate) struct OwnerChange {
    pub(crate) conversation: Uuid,
    /// The ownership epoch that the caller saw.
    pub(crate) expected_epoch: i32,
    pub(crate) request_id: String,
    /// Its result is the epoch that the first request led to.
    pub(crate) key: Key,
}

/// Returns the first answer to a repeated request (rule C12). A command asks for it before it checks anything that may have
/// changed since the first request.
pub(crate) async fn first_answer(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    change: &OwnerChange,
    owner: Option<Actor>,
) -> Result<Option<AssignmentView>, AssignmentError> {
    match change.key.find::<i64>(conn).await? {
        Some(epoch) => Ok(Some(find_view(conn, caller.account, change.conversation, epoch, owner).await?)),
        None => Ok(None),
    }
}

/// Changes the owner to an agent, or leaves the conversation unassigned. If the process stops between the answer of the row and
/// the commit, the event of the change still completes the history.
pub(crate) async fn change_owner(
    app: &App,
    caller: &Caller,
    change: OwnerChange,
    to: Option<Agent>,
) -> Result<AssignmentView, AssignmentError> {
    let OwnerChange { conversation, expected_epoch, request_id, key } = change;
    let owner = to.as_ref().map(|agent| Actor::agent(agent.id));
    let administrator_name = administrator_name(caller);
    let request = ChangeAssignee {
        account: caller.account,
        by: caller.actor.clone(),
        conversation,
        expected_epoch,
        to,
        cause: AssignmentCause::ByHand,
        request_id: derive_request_id(caller, &request_id),
        only_if_waiting: false,
        administrator_name: administrator_name.clone(),
    };
    let epoch = conversation::change_assignee(app, &request).await?;
    fail::fail_point!("owner-changed", |_| std::process::abort());

    let tx = app.db.begin_for(caller.account).await?;
    // Claimed after the row has answered, so that a rejected request may be repeated. The row gives concurrent repeats the
    // same epoch.
    if key.claim::<i64>(&tx).await?.is_none() {
        key.store_result(&tx, &epoch.number).await?;
    }
    // Without a time the owner stays the same: the event that began the current epoch records it, with its actor and cause.
    if let Some(started_at) = epoch.began_at {
        let assignment = Assignment {
            conversation,
            epoch: epoch.number,
            owner: owner.clone(),
            by: Some(Actor::from(&caller.actor)),
            cause: Some(AssignmentCause::ByHand),
            started_at,
        };
        let agent = owner.as_ref().and_then(Actor::agent_id);
        // First the account, as everything that changes its conversations.
        store::routing_accounts::wake(&tx, caller.account).await?;
        store::assignments::record(&tx, caller.account, assignment).await?;
        store::conversation_owners::record_owner(&tx, caller.account, conversation, epoch.number, agent).await?;
        store::routing_queue::remove_if_over(&tx, caller.account, [conversation]).await?;
    }
    if !administrator_name.is_empty() {
        store::administrators::save(&tx, caller.account, &caller.actor.id, &administrator_name).await?;
    }
    let view = find_view(tx.conn(), caller.account, conversation, epoch.number, owner).await?;
    tx.commit().await?;
    Ok(view)
}

async fn find_view(
    conn: &impl ConnectionTrait,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    owner: Option<Actor>,
) -> Result<AssignmentView, DbErr> {
    let recorded = store::assignments::find(conn, account, conversation, epoch).await?;
    let actors = [recorded.as_ref().and_then(|assignment| assignment.by.as_ref()), owner.as_ref()];
    let actors: Vec<&Actor> = actors.into_iter().flatten().collect();
    let names = find_actor_names(conn, account, &actors).await?;
    Ok(match recorded {
        Some(assignment) => AssignmentView::new(assignment, &names),
        None => AssignmentView::unrecorded(conversation, epoch, owner, &names),
    })
}

/// Returns the request id at the conversation service. It is derived, because the caller may use the original one there for
/// another request.
fn derive_request_id(caller: &Caller, request_id: &str) -> String {
    let name = format!("{}/{request_id}", caller.actor);
    format!("assign-{}", Uuid::new_v5(&caller.account.0, name.as_bytes()))
}
