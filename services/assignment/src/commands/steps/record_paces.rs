//! How fast the queues move from which a decision takes conversations (rule A6).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;

use crate::{
    domain::{QueuePace, Routed, Waiting},
    queries::load_policies,
    store::queue_paces,
};

/// Counts the conversations that get an agent after they waited. The account is locked.
pub(crate) async fn record_paces(tx: &Tx, account: AccountId, routed: &[Routed], now: Time) -> Result<(), DbErr> {
    let waited =
        || routed.iter().map(|routed| &routed.waiting).filter(move |waiting| QueuePace::counts(waiting.since, now));
    if waited().next().is_none() {
        return Ok(());
    }
    let policies = load_policies(tx.conn(), account, waited().map(Waiting::queue).collect(), now).await?;
    let mut paces = queue_paces::list(tx.conn(), account).await?;
    for waiting in waited() {
        let queue = policies.queue(waiting.queue());
        let pace = QueuePace::after(paces.get(&queue).copied(), waiting.since, now);
        paces.insert(queue, pace);
        queue_paces::save(tx, account, queue, pace).await?;
    }
    Ok(())
}
