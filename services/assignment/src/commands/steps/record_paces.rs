//! How fast the queues move from which a decision takes conversations (rule A6).

use std::collections::BTreeSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;

use crate::{
    domain::{PoliciesNow, Queue, QueuePace, Routed},
    store::queue_paces,
};

/// Counts the conversations that get an agent after they waited, by these policies. The account is locked.
pub(crate) async fn record_paces(
    tx: &Tx,
    account: AccountId,
    routed: &[Routed],
    policies: &PoliciesNow,
    now: Time,
) -> Result<(), DbErr> {
    let waited =
        || routed.iter().map(|routed| &routed.waiting).filter(move |waiting| QueuePace::counts(waiting.since, now));
    if waited().next().is_none() {
        return Ok(());
    }
    let mut paces = queue_paces::list(tx.conn(), account).await?;
    let queues: BTreeSet<Queue> = waited().map(|waiting| policies.queue(waiting.queue())).collect();
    for waiting in waited() {
        let queue = policies.queue(waiting.queue());
        paces.insert(queue, QueuePace::after(paces.get(&queue).copied(), waiting.since, now));
    }
    for (queue, pace) in paces.into_iter().filter(|(queue, _)| queues.contains(queue)) {
        queue_paces::save(tx, account, queue, pace).await?;
    }
    Ok(())
}
