//! Changing the status of an agent (rule A7).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    domain::{AgentStatus, Availability, AwayReason, StatusChange},
    store,
};

/// Locks the status, lets the domain change it, and saves what follows. Returns the status, and the time of the change by the
/// database's clock.
pub(crate) async fn change_status(
    tx: &mut Tx,
    account: AccountId,
    agent: Uuid,
    change: impl FnOnce(&mut AgentStatus, Time) -> StatusChange,
) -> Result<(AgentStatus, Time), DbErr> {
    let new = AgentStatus::new(account, agent);
    let mut status = match store::agent_statuses::find_for_update(tx, account, agent).await? {
        Some(status) => status,
        None => {
            store::agent_statuses::insert_if_absent(tx, new.clone()).await?;
            // Another transaction may have inserted it meanwhile.
            store::agent_statuses::find_for_update(tx, account, agent).await?.unwrap_or(new)
        }
    };
    let now = tx.now().await?;
    let change = change(&mut status, now);
    save_status(tx, &status, change).await?;
    Ok((status, now))
}

/// Saves a locked status after a change.
pub(crate) async fn save_status(tx: &mut Tx, status: &AgentStatus, change: StatusChange) -> Result<(), DbErr> {
    if change != StatusChange::None {
        store::agent_statuses::save(tx, status).await?;
    }
    if change == StatusChange::Published {
        store::events::append_agent_availability_changed(tx, status).await?;
        // Nobody gets a conversation because an agent is away.
        if status.published == Availability::Available {
            store::routing_accounts::wake(tx, status.account).await?;
        }
        if status.away_reason() == Some(AwayReason::NoHeartbeat) {
            store::agent_returns::schedule(tx, status.account, status.agent).await?;
        }
    }
    Ok(())
}
