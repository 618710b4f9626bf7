//! The agents, teams and opening hours that a routing policy names (rule A4).

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    domain::RoutingRules,
    error::{AssignmentError, RoutingTarget},
    store,
};

/// Requires that everything the rules name exists, and is neither deactivated nor deleted.
pub(crate) async fn require_targets(
    conn: &impl ConnectionTrait,
    account: AccountId,
    rules: &RoutingRules,
) -> Result<(), AssignmentError> {
    let agents: BTreeSet<Uuid> = rules.steps.iter().flat_map(|step| step.agents.iter().copied()).collect();
    let known = store::agents::find_many(conn, account, agents.clone()).await?;
    for id in agents {
        let agent = known.get(&id);
        if agent.is_none_or(|agent| !agent.is_active()) {
            let name = agent.map(|agent| agent.name.clone()).unwrap_or_default();
            return Err(AssignmentError::RoutingTargetUnknown { target: RoutingTarget::Agent, id, name });
        }
    }
    let teams: BTreeSet<Uuid> = rules.steps.iter().flat_map(|step| step.teams.iter().copied()).collect();
    let known = store::teams::find_many(conn, account, teams.clone()).await?;
    for id in teams {
        let team = known.get(&id);
        if team.is_none_or(|team| team.deleted_at.is_some()) {
            let name = team.map(|team| team.name.clone()).unwrap_or_default();
            return Err(AssignmentError::RoutingTargetUnknown { target: RoutingTarget::Team, id, name });
        }
    }
    if let Some(id) = rules.opening_hours {
        let hours = store::opening_hours::find(conn, account, id).await?;
        if hours.as_ref().is_none_or(|hours| hours.deleted_at.is_some()) {
            let name = hours.map(|hours| hours.name).unwrap_or_default();
            return Err(AssignmentError::RoutingTargetUnknown { target: RoutingTarget::OpeningHours, id, name });
        }
    }
    Ok(())
}
