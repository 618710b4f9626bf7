//! The owners of several conversations change in one transaction, each at its epoch (rules A1, A2, A3). The assignment service is the
//! only caller.

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Tx, is_connection_lost};
use frontdesk_idempotency::ClaimError;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    ChangeAssignee,
    steps::{ChangedAssignee, StoredChange, require_active_caller, require_known_author, take_over_agents},
};
use crate::{
    App,
    domain::{Agent, Conversation},
    error::ConversationError,
    store::{
        NewRows,
        conversation_batch::{self, BatchContext, BatchRequest, BatchRows, Locking, RowKey, conversation_batch},
    },
};

/// The outcome of one change.
#[derive(Clone, Debug)]
pub(crate) enum ChangeOutcome {
    /// The change is made, by this request or by the first one with its id.
    Changed(ChangedAssignee),
    Refused,
    /// The agent was deactivated since the caller read them.
    AgentNotActive,
    /// It could not be decided now.
    Failed,
}

/// Returns the outcome of each change, in their order. One that cannot be made affects no other one, and none waits for a lock.
pub(crate) async fn change_assignees(
    app: &App,
    caller: &Caller,
    changes: &[ChangeAssignee],
) -> Result<Vec<ChangeOutcome>, ConversationError> {
    require_known_author(app, caller).await?;
    match change_batch(app, caller, changes).await {
        Err(ConversationError::Db(error)) if !is_connection_lost(&error) => {
            tracing::warn!(%error, members = changes.len(), "owners are changed one by one");
            Ok(vec![ChangeOutcome::Failed; changes.len()])
        }
        outcomes => outcomes,
    }
}

async fn change_batch(
    app: &App,
    caller: &Caller,
    changes: &[ChangeAssignee],
) -> Result<Vec<ChangeOutcome>, ConversationError> {
    let store = conversation_batch(&app.db);
    let mut tx = app.db.begin_batch().await?;
    require_active_caller(&tx, caller).await?;
    let account = caller.account;
    let agents: Vec<Agent> = changes.iter().filter_map(|change| change.agent.clone()).collect();
    let wanted = BatchRequest {
        conversations: distinct(account, changes.iter().map(|change| change.conversation)),
        keys: changes.iter().map(|change| &change.key).collect(),
        agents: distinct(account, agents.iter().map(|agent| agent.id)),
    };
    let (BatchRows { mut conversations, busy, unreadable }, mut context) =
        store.load(&tx, &wanted, Locking::Lock).await?;
    let deactivated = take_over_agents(&tx, &mut context, agents).await?;
    let mut rows = NewRows::new(context.now);
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        let key = (account, change.conversation);
        outcomes.push(match conversations.get_mut(&key) {
            Some(conversation) => decide(&tx, change, conversation, &deactivated, &mut context, &mut rows).await?,
            None if busy.contains(&key) || unreadable.contains_key(&key) => ChangeOutcome::Failed,
            None => ChangeOutcome::Refused,
        });
    }
    let saved = conversation_batch::save(&*store, &mut tx, &app.notifier, &conversations, rows, context).await?;
    tx.commit().await?;
    // Nothing is saved while another transaction changes one of the agents.
    for (change, outcome) in changes.iter().zip(&mut outcomes) {
        if saved.unsaved.contains(&(account, change.conversation)) {
            *outcome = ChangeOutcome::Failed;
        }
    }
    Ok(outcomes)
}

/// Decides one change, on what the changes before it left.
async fn decide(
    tx: &Tx,
    change: &ChangeAssignee,
    conversation: &mut Conversation,
    deactivated: &BTreeSet<Uuid>,
    context: &mut BatchContext,
    rows: &mut NewRows,
) -> Result<ChangeOutcome, DbErr> {
    match context.requests.result::<StoredChange>(&change.key) {
        Ok(None) => {}
        Ok(Some(stored)) => return Ok(ChangeOutcome::Changed(stored.into())),
        Err(ClaimError::Reused) => return Ok(ChangeOutcome::Refused),
        Err(ClaimError::Db(error)) => return Err(error),
    }
    if change.agent.as_ref().is_some_and(|agent| deactivated.contains(&agent.id)) {
        return Ok(ChangeOutcome::AgentNotActive);
    }
    let (key, epoch_before) = (&change.key, conversation.epoch);
    let Ok(from) = conversation.change_owner(change.change.clone(), context.now) else {
        return Ok(ChangeOutcome::Refused);
    };
    let epoch = conversation.epoch;
    let at = (epoch > epoch_before).then_some(context.now);
    let changed = ChangedAssignee { from, epoch, at };
    if at.is_some() {
        rows.take_from(conversation, &frontdesk_telemetry::traceparent())?;
        context.requests.store_result(key, &changed, conversation.id, context.now)?;
        return Ok(ChangeOutcome::Changed(changed));
    }
    // The batch stores the results of conversations that it changes.
    match key.claim::<StoredChange>(tx).await {
        Ok(None) => key.store_result(tx, &changed).await.map(|()| ChangeOutcome::Changed(changed)),
        Ok(Some(stored)) => Ok(ChangeOutcome::Changed(stored.into())),
        Err(ClaimError::Reused) => Ok(ChangeOutcome::Refused),
        Err(ClaimError::Db(error)) => Err(error),
    }
}

/// Each row once.
fn distinct(account: AccountId, ids: impl Iterator<Item = Uuid>) -> Vec<RowKey> {
    let ids: BTreeSet<Uuid> = ids.collect();
    ids.into_iter().map(|id| (account, id)).collect()
}
