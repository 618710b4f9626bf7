//! Applying an agent's state to the copy by which the conversation service accepts their messages (rule A2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, conversation, domain::Agent, error::AssignmentError, store};

/// Maximum number of attempts. One is enough, except while others change the agent and after a restore.
const MAX_ATTEMPTS: usize = 5;

/// Returns the agent after their state is in force at the conversation service.
///
/// The copy there is newer than the agent when they were changed meanwhile: then the state of now is applied. It is newer than the
/// roster itself after the roster was restored to an older point in time: then the agent first gets a version above the copy's.
pub(crate) async fn apply_to_conversations(
    app: &App,
    caller: &Caller,
    mut agent: Agent,
) -> Result<Agent, AssignmentError> {
    for _ in 0..MAX_ATTEMPTS {
        let in_force = conversation::apply_agent(app, &agent).await?;
        if in_force <= agent.version {
            return Ok(agent);
        }
        agent = overtake(app, caller, agent.id, in_force).await?;
    }
    Err(AssignmentError::NotAppliedToConversations)
}

/// Returns the agent as they are now, under a version that is not below the copy's.
async fn overtake(app: &App, caller: &Caller, id: Uuid, copy: i64) -> Result<Agent, AssignmentError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let mut agent =
        store::agents::find_for_update(&tx, caller.account, id).await?.ok_or(AssignmentError::NotFound("agent"))?;
    if agent.version < copy {
        tracing::warn!(agent_id = %id, version = agent.version, copy, "the conversation service knows a newer version of an agent, as after a restore");
        agent.overtake(copy, tx.now().await?);
        store::agents::save(&tx, &agent).await?;
        match agent.is_active() {
            true => store::events::append_agent_reactivated(&mut tx, &agent).await?,
            false => store::events::append_agent_deactivated(&mut tx, &agent).await?,
        }
        tx.commit().await?;
    }
    Ok(agent)
}
