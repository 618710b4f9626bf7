//! The policies by which conversations wait.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    domain::{PoliciesNow, PolicyNow, RoutingRules},
    store,
};

/// Reads these policies as they are now. One that is deleted or absent counts as the default one.
pub(crate) async fn load_policies(
    conn: &impl ConnectionTrait,
    account: AccountId,
    policies: BTreeSet<Option<Uuid>>,
    now: Time,
) -> Result<PoliciesNow, DbErr> {
    let ids = policies.iter().flatten().copied().collect();
    let found = store::routing_policies::find_many(conn, account, ids).await?.into_iter();
    let found: BTreeMap<Uuid, RoutingRules> =
        found.filter(|policy| policy.deleted_at.is_none()).map(|policy| (policy.id, policy.rules)).collect();
    let mut by_id = BTreeMap::new();
    for id in policies {
        let rules = id.and_then(|id| found.get(&id)).cloned().unwrap_or_else(RoutingRules::of_default_policy);
        let hours = match rules.opening_hours {
            Some(hours) => store::opening_hours::find(conn, account, hours).await?,
            None => None,
        };
        let (open, changes_at) = hours.map_or((true, None), |hours| hours.state(now));
        by_id.insert(id, PolicyNow { rules, open, changes_at });
    }
    Ok(PoliciesNow { by_id, existing: found.into_keys().collect() })
}
