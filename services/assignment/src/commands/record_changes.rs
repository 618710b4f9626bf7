//! Records what events say of conversations: who owns them, which are open, and which wait (rules A6, A7).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{Absence, AgentStatus, ConversationChange, newest_waits, period_ends},
    store::{
        agent_returns, agent_statuses, agents, assignment_closes, conversation_owners, routing_accounts, routing_queue,
    },
};

/// Maximum time that changes which are recorded together wait for a lock (seconds): other accounts wait for them.
const SHORT_LOCK_WAIT: Duration = Duration::from_secs(1);

/// How long a lock may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockWait {
    /// A second: then the changes can be recorded one by one.
    Short,
    /// As long as in any transaction.
    Long,
}

/// Records changes of conversations of this account in one transaction, in any order and repeatedly with the same result. Routing decides once
/// after it. What is recorded already takes no lock, above all the assignments by routing, which their confirmation recorded.
pub(crate) async fn record_changes(
    app: &App,
    account: AccountId,
    changes: Vec<&ConversationChange>,
    lock_wait: LockWait,
) -> Result<(), DbErr> {
    let agents: BTreeSet<Uuid> = changes.iter().filter_map(|change| change.agent()).collect();
    let news = without_known(app, account, changes).await?;
    if !news.is_empty() {
        record_news(app, account, &news, lock_wait).await?;
    }
    give_back_if_absent(app, account, agents).await
}

/// The changes without those of owners that are recorded. Epochs only rise, and the owner of one is recorded with all that follows from it:
/// a later look would find the same.
async fn without_known<'a>(
    app: &App,
    account: AccountId,
    changes: Vec<&'a ConversationChange>,
) -> Result<Vec<&'a ConversationChange>, DbErr> {
    let of_owners = changes.iter().filter(|change| change.is_only_of_owner());
    let conversations: BTreeSet<Uuid> = of_owners.map(|change| change.conversation).collect();
    if conversations.is_empty() {
        return Ok(changes);
    }
    let read = app.db.read_for(account).await?;
    let epochs = conversation_owners::find_epochs(&read.conn(), account, conversations).await?;
    // The read ends before the account is locked.
    drop(read);
    let is_known =
        |change: &ConversationChange| epochs.get(&change.conversation).is_some_and(|epoch| change.is_known_at(*epoch));
    Ok(changes.into_iter().filter(|change| !is_known(change)).collect())
}

async fn record_news(
    app: &App,
    account: AccountId,
    changes: &[&ConversationChange],
    lock_wait: LockWait,
) -> Result<(), DbErr> {
    let mut tx = app.db.begin_for(account).await?;
    if lock_wait == LockWait::Short {
        tx.limit_lock_waits(Some(SHORT_LOCK_WAIT)).await?;
    }
    let waits = newest_waits(changes);
    let asks_for_decision = changes.iter().any(|change| change.asks_for_decision());
    // The account before rows of the queue: an owner's change or a close may free a place.
    if !waits.is_empty() {
        routing_accounts::wake_or_insert(&tx, account).await?;
    } else if asks_for_decision {
        routing_accounts::wake(&tx, account).await?;
    } else {
        routing_accounts::lock(&tx, account).await?;
    }
    conversation_owners::record_changes(&tx, changes).await?;
    assignment_closes::record(&tx, period_ends(changes)).await?;
    routing_queue::insert(&tx, account, waits.into_values()).await?;
    // Looked at with each event: the one that says how a conversation is routed may come after the one that says that it goes back.
    let conversations: BTreeSet<Uuid> = changes.iter().map(|change| change.conversation).collect();
    let given_back = conversation_owners::list_given_back(&tx, account, conversations.clone()).await?;
    if !given_back.is_empty() {
        routing_accounts::wake_or_insert(&tx, account).await?;
        routing_queue::insert(&tx, account, given_back).await?;
    }
    routing_queue::remove_if_over(&tx, account, conversations).await?;
    if asks_for_decision {
        tx.on_commit(app.wake_router());
    }
    tx.commit().await
}

/// Schedules a look at the conversations of those of the agents who are deactivated or vanished. Called after the changes are committed: an
/// agent who is read here as present, and is deactivated or vanishes afterwards, has a look scheduled by that, which finds the conversations.
async fn give_back_if_absent(app: &App, account: AccountId, agents: BTreeSet<Uuid>) -> Result<(), DbErr> {
    if agents.is_empty() {
        return Ok(());
    }
    for agent in list_absent(app, account, agents).await? {
        // Each in a transaction: others schedule several agents in another order.
        let tx = app.db.begin_for(account).await?;
        agent_returns::schedule(&tx, account, agent).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Those of the agents who are deactivated, or whose heartbeats have stopped.
async fn list_absent(app: &App, account: AccountId, ids: BTreeSet<Uuid>) -> Result<Vec<Uuid>, DbErr> {
    let read = app.db.read_for(account).await?;
    let agents = agents::find_many(&read.conn(), account, ids.clone()).await?;
    let mut statuses: BTreeMap<Uuid, AgentStatus> = agent_statuses::find_many(&read.conn(), account, ids).await?;
    drop(read);
    let now = app.db.now().await?;
    let mut absent = Vec::new();
    for (id, agent) in agents {
        let status = statuses.remove(&id).unwrap_or_else(|| AgentStatus::new(account, id));
        if Absence::of(&agent, &status.view(now, app.heartbeats, 0)).is_some() {
            absent.push(id);
        }
    }
    Ok(absent)
}
