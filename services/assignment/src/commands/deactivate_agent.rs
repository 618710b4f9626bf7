//! Deactivating an agent (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{apply_to_conversations, save_status};
use crate::{
    App,
    domain::{Agent, Availability},
    error::AssignmentError,
    store,
};

/// Deactivates an agent, who is away from then on (rule A7), and whose open conversations are given back afterwards. It returns after the
/// conversation service refuses their messages; when that service cannot be reached, the agent is deactivated all the same, and a repeat of
/// the call, which changes nothing else, asks it again.
pub(crate) async fn deactivate_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent =
        store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;

    if agent.deactivate(tx.now().await?) {
        store::agents::save(&tx, &agent).await?;
        store::events::append_agent_deactivated(&mut tx, &agent).await?;
        if let Some(mut status) = store::agent_statuses::find_for_update(&tx, caller.account, id).await? {
            let change = status.set(Availability::Away, tx.now().await?, app.heartbeats);
            save_status(&mut tx, &status, change).await?;
        }
    }
    // By a repeat too: it gives back what was left by a release that gave nothing back.
    store::agent_returns::schedule(&tx, caller.account, id).await?;

    tx.commit().await?;
    apply_to_conversations(app, caller, agent).await
}
