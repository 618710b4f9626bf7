//! The policies of the queues in which conversations wait.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    domain::{PoliciesNow, PolicyNow, Queue, RoutingRules},
    store,
};

/// Reads the policies of these queues as they are now. One that is deleted or absent counts as the default one, and such a team as none.
pub(crate) async fn load_policies(
    conn: &impl ConnectionTrait,
    account: AccountId,
    queues: BTreeSet<Queue>,
    now: Time,
) -> Result<PoliciesNow, DbErr> {
    let ids = queues.iter().filter_map(|queue| queue.policy).collect();
    let found = store::routing_policies::find_many(conn, account, ids).await?.into_iter();
    let found: BTreeMap<Uuid, RoutingRules> =
        found.filter(|policy| policy.deleted_at.is_none()).map(|policy| (policy.id, policy.rules)).collect();
    let teams = store::teams::find_many(conn, account, queues.iter().filter_map(|queue| queue.team).collect()).await?;
    let teams = teams.into_iter().filter(|(_, team)| team.deleted_at.is_none()).map(|(id, _)| id);
    let existing = found.keys().copied().chain(teams).collect();
    let mut policies = PoliciesNow { by_queue: BTreeMap::new(), existing };
    for queue in queues {
        let Queue { policy, team } = policies.queue(queue);
        let mut rules = policy.and_then(|id| found.get(&id)).cloned().unwrap_or_else(RoutingRules::of_default_policy);
        if let Some(team) = team {
            rules = rules.of_team(team);
        }
        let hours = match rules.opening_hours {
            Some(hours) => store::opening_hours::find(conn, account, hours).await?,
            None => None,
        };
        let (open, changes_at) = hours.map_or((true, None), |hours| hours.state(now));
        policies.by_queue.insert(queue, PolicyNow { rules, open, changes_at });
    }
    Ok(policies)
}
