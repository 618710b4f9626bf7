//! The queues of an account, read with one statement for all conversations that wait (rule A6).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use moka::future::Cache;
use sea_orm::{ConnectionTrait, DbErr};
use tonic::Status;

use super::load_policies;
use crate::{
    App,
    domain::{PoliciesNow, Queues},
    error::AssignmentError,
    store::{queue_paces, routing_queue},
};

/// How long queues that were read answer further questions (seconds).
const RECENT_FOR: Duration = Duration::from_secs(1);
/// Maximum number of accounts whose queues are kept.
const CAPACITY: u64 = 1_000;

/// The queues that were read within the last second, by account: however many places are asked for and watched at this replica, each account's
/// queue is read once a second.
#[derive(Clone)]
pub(crate) struct RecentQueues(Cache<AccountId, Arc<Queues>>);

impl Default for RecentQueues {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(RECENT_FOR).build())
    }
}

/// Returns the queues of the account as they were at most a second ago.
pub(crate) async fn recent_queues(app: &App, account: AccountId) -> Result<Arc<Queues>, Status> {
    let queues = app.recent_queues.0.try_get_with(account, read_queues(app, account)).await;
    // Callers that wait for one read share its error.
    queues.map_err(|status| (*status).clone())
}

async fn read_queues(app: &App, account: AccountId) -> Result<Arc<Queues>, Status> {
    let read = async {
        // Before the read, which holds a connection.
        let now = app.db.now().await?;
        let read = app.db.read_for(account).await?;
        load_queues(&read.conn(), account, now).await
    };
    Ok(Arc::new(read.await.map_err(AssignmentError::from)?))
}

/// Reads the queues of the account.
async fn load_queues(conn: &impl ConnectionTrait, account: AccountId, now: Time) -> Result<Queues, DbErr> {
    let oldest_first = routing_queue::list_queued(conn, account).await?;
    if oldest_first.is_empty() {
        return Ok(Queues::new(oldest_first, &PoliciesNow::default(), BTreeMap::new(), now));
    }
    let queues = oldest_first.iter().map(|(_, queue)| *queue).collect();
    let policies = load_policies(conn, account, queues, now).await?;
    let paces = queue_paces::list(conn, account).await?;
    Ok(Queues::new(oldest_first, &policies, paces, now))
}
