//! The agents and policies of an account, as a decision of routing sees them.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    domain::{AgentStatus, Candidate, Desk, HeartbeatPolicy, PolicyNow, Queue},
    store,
};

/// Reads the agents, for decisions by these policies of the queues in which conversations wait.
pub(crate) async fn load_desk(
    conn: &impl ConnectionTrait,
    account: AccountId,
    policies: BTreeMap<Queue, PolicyNow>,
    now: Time,
    heartbeats: HeartbeatPolicy,
) -> Result<Desk, DbErr> {
    let teams = teams_of_agents(conn, account, &policies).await?;
    let agents = load_candidates(conn, account, teams, now, heartbeats).await?;
    let last_turn = store::routing_accounts::find_last_turn(conn, account).await?;
    Ok(Desk { now, agents, policies, last_turn })
}

/// The teams of each agent, as far as policies name them and they are not deleted.
async fn teams_of_agents(
    conn: &impl ConnectionTrait,
    account: AccountId,
    policies: &BTreeMap<Queue, PolicyNow>,
) -> Result<BTreeMap<Uuid, BTreeSet<Uuid>>, DbErr> {
    let steps = policies.values().flat_map(|policy| &policy.rules.steps);
    let named: BTreeSet<Uuid> = steps.flat_map(|step| step.teams.iter().copied()).collect();
    let mut teams_of_agents: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for (id, team) in store::teams::find_many(conn, account, named).await? {
        if team.deleted_at.is_none() {
            for agent in store::team_members::list(conn, account, id).await? {
                teams_of_agents.entry(agent).or_default().insert(id);
            }
        }
    }
    Ok(teams_of_agents)
}

async fn load_candidates(
    conn: &impl ConnectionTrait,
    account: AccountId,
    mut teams: BTreeMap<Uuid, BTreeSet<Uuid>>,
    now: Time,
    heartbeats: HeartbeatPolicy,
) -> Result<BTreeMap<Uuid, Candidate>, DbErr> {
    let agents = store::agents::list_all(conn, account).await?;
    let ids: BTreeSet<Uuid> = agents.iter().map(|agent| agent.id).collect();
    let mut statuses = store::agent_statuses::find_many(conn, account, ids.clone()).await?;
    let open = store::conversation_owners::count_open(conn, account, ids).await?;
    let reserved = store::routing_queue::count_reserved(conn, account).await?;
    let turns = store::routing_turns::list(conn, account).await?;
    let count = |counts: &BTreeMap<Uuid, i64>, agent: Uuid| counts.get(&agent).copied().unwrap_or(0);
    let mut candidates = BTreeMap::new();
    for agent in agents {
        let status = statuses.remove(&agent.id).unwrap_or_else(|| AgentStatus::new(account, agent.id));
        let candidate = Candidate {
            agent: agent.id,
            active: agent.is_active(),
            availability: status.view(now, heartbeats, 0).availability,
            teams: teams.remove(&agent.id).unwrap_or_default(),
            capacity: agent.capacity,
            load: count(&open, agent.id) + count(&reserved, agent.id),
            last_turn: count(&turns, agent.id),
        };
        candidates.insert(agent.id, candidate);
    }
    Ok(candidates)
}
