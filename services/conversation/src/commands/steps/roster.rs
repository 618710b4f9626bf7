//! The roster of agents, as commands use it: an agent who changes anything must be on it and active. Tokens are not revoked: the
//! deactivation of an agent is what ends their writes.
//!
//! The roster belongs to the assignment service. This service has a local copy, which events keep up to date, and asks the
//! assignment service only about an agent whom the copy lacks.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_auth::{Caller, CallerKind};
use frontdesk_db::{AccountId, Tx};
use moka::future::Cache;
use sea_orm::DbErr;
use tonic::Code;
use uuid::Uuid;

use super::administrators::store_administrator;
use crate::{
    App, assignment,
    domain::{Agent, Rejection},
    error::ConversationError,
    store::{agents, conversation_batch::BatchContext},
};

/// Maximum number of cached agents.
const MAX_CACHED_AGENTS: u64 = 100_000;

/// Caches which agents of the roster are in the local copy. No agent is deleted from the copy, so the cache never expires;
/// whether an agent is active is read from the copy each time.
#[derive(Clone)]
pub(crate) struct RosterKnowledge(Cache<(AccountId, Uuid), ()>);

impl Default for RosterKnowledge {
    fn default() -> Self {
        Self(Cache::new(MAX_CACHED_AGENTS))
    }
}

/// Requires that the agent is on the roster. Whether they are active is decided with the message, under the row's lock.
pub(crate) async fn require_known_agent(app: &App, caller: &Caller, id: Uuid) -> Result<(), ConversationError> {
    if app.roster_knowledge.0.contains_key(&(caller.account, id)) {
        return Ok(());
    }
    find_agent(app, caller, id).await.map(drop)
}

/// The same by the local copy alone, inside of a transaction and after [`require_known_agent`]: a repeat is answered before it
/// (rule C12).
pub(crate) async fn require_active(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), ConversationError> {
    let agent = agents::find(tx.conn(), account, id).await?;
    Agent::require_active(agent.as_ref()).map_err(ConversationError::rejected)
}

/// Requires of a calling agent that they are on the roster ([`require_known_agent`]). Other callers are not on a roster.
pub(crate) async fn require_known_caller(app: &App, caller: &Caller) -> Result<(), ConversationError> {
    match acting_agent(caller)? {
        Some(id) => require_known_agent(app, caller, id).await,
        None => Ok(()),
    }
}

/// The same of a caller whose entry shows their name: that of an administrator is stored.
pub(crate) async fn require_known_author(app: &App, caller: &Caller) -> Result<(), ConversationError> {
    store_administrator(app, caller).await?;
    require_known_caller(app, caller).await
}

/// Requires of a calling agent that they are active ([`require_active`]).
pub(crate) async fn require_active_caller(tx: &Tx, caller: &Caller) -> Result<(), ConversationError> {
    match acting_agent(caller)? {
        Some(id) => require_active(tx, caller.account, id).await,
        None => Ok(()),
    }
}

/// The agent who calls, or for whom a service calls. None: the actor is no agent.
fn acting_agent(caller: &Caller) -> Result<Option<Uuid>, ConversationError> {
    match caller.actor.kind {
        CallerKind::Agent => {
            caller.agent_id().map(Some).ok_or_else(|| ConversationError::rejected(Rejection::AgentUnknown))
        }
        _ => Ok(None),
    }
}

/// The agent from the local copy, or otherwise from the roster.
async fn find_agent(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let copy = agents::find(&read.conn(), caller.account, id).await?;
    // The read ends before another service is asked.
    drop(read);
    let agent = match copy.filter(|agent| agent.roster.is_some()) {
        Some(agent) => agent,
        None => ask_roster(app, caller, id).await?,
    };
    app.roster_knowledge.0.insert((caller.account, id), ()).await;
    Ok(agent)
}

async fn ask_roster(app: &App, caller: &Caller, id: Uuid) -> Result<Agent, ConversationError> {
    let agent = match assignment::get_agent(app, caller.account, id).await {
        Ok(agent) => agent,
        Err(status) if status.code() == Code::NotFound => {
            return Err(ConversationError::rejected(Rejection::AgentUnknown));
        }
        Err(_) => return Err(ConversationError::Unreachable("assignment")),
    };
    let tx = app.db.begin_for(caller.account).await?;
    agents::save(&tx, agent.clone()).await?;
    tx.commit().await?;
    Ok(agent)
}

/// Stores the name in a calling agent's token, until the roster's answer or event replaces it. An agent who is known already stays
/// as they are, and their row is not locked.
pub(crate) async fn mention_caller(tx: &Tx, caller: &Caller) -> Result<(), DbErr> {
    let Some(id) = caller.agent_id() else { return Ok(()) };
    let name = caller.name.as_deref().unwrap_or_default();
    agents::insert_if_absent(tx, Agent::mentioned(caller.account, id, name)).await
}

/// Takes over the agent as the roster's caller read them, and requires that they were not deactivated since.
pub(crate) async fn require_still_active(tx: &Tx, agent: Agent) -> Result<Result<(), Rejection>, DbErr> {
    let copy = agents::find(tx.conn(), agent.account, agent.id).await?;
    match copy.filter(|copy| !agent.is_newer_than(copy)) {
        Some(copy) => Ok(copy.require_not_deactivated_since(&agent)),
        None => agents::save(tx, agent).await.map(Ok),
    }
}

/// The same for the agents of a batch, whose copies its context has. Returns those who were deactivated since.
pub(crate) async fn take_over_agents(
    tx: &Tx,
    context: &mut BatchContext,
    read: Vec<Agent>,
) -> Result<BTreeSet<Uuid>, DbErr> {
    let mut newest: BTreeMap<Uuid, Agent> = BTreeMap::new();
    for agent in read {
        if newest.get(&agent.id).is_none_or(|known| agent.is_newer_than(known)) {
            newest.insert(agent.id, agent);
        }
    }
    let mut deactivated = BTreeSet::new();
    // In the order of their ids: two batches that write the same agents wait for each other, and never in a circle.
    for (id, agent) in newest {
        let copy = context.agent((agent.account, id)).filter(|copy| !agent.is_newer_than(copy));
        match copy.map(|copy| copy.require_not_deactivated_since(&agent)) {
            Some(Ok(())) => {}
            Some(Err(_)) => {
                deactivated.insert(id);
            }
            None => {
                agents::save(tx, agent.clone()).await?;
                context.add_agent(agent);
            }
        }
    }
    Ok(deactivated)
}
