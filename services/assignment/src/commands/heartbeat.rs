//! A heartbeat of an agent's client (rule A7).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;

use super::steps::{add_unknown_caller, change_status, find_active_caller};
use crate::{App, domain::StatusChange, error::AssignmentError, store};

/// Takes a heartbeat of the calling agent's client. Returns when the agent is away unless another one comes; None: they are away.
///
/// Shortly after another heartbeat it is not stored: it begins no transaction that writes, and locks nothing.
pub(crate) async fn heartbeat(app: &App, caller: &Caller) -> Result<Option<Time>, AssignmentError> {
    add_unknown_caller(app, caller).await?;
    let policy = app.heartbeats;
    let read = app.db.read_for(caller.account).await?;
    let agent = find_active_caller(&read.conn(), caller).await?;
    let stored = store::agent_statuses::find(&read.conn(), caller.account, agent.id).await?;
    drop(read);
    if let Some(mut status) = stored {
        let now = app.db.now().await?;
        if status.heartbeat(now, policy) == StatusChange::None {
            return Ok(status.away_at(now, policy));
        }
    }

    let mut tx = app.db.begin_for(caller.account).await?;
    let beat = change_status(&mut tx, caller.account, agent.id, |status, now| status.heartbeat(now, policy));
    let (status, now) = beat.await?;
    tx.commit().await?;
    Ok(status.away_at(now, policy))
}
