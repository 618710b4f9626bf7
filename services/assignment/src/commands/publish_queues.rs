//! Publishes how conversations wait in the queues of an account (rules A6, C9), so that other services know it.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    App,
    domain::Queued,
    queries::load_policies,
    store::{self, conversation_owners, queue_publications, routing_accounts},
};

/// Maximum number of conversations in one transaction.
const BATCH: u64 = 100;

/// How long the publications of an account are put off that fail: the others have their turn.
const PUT_OFF: Duration = Duration::from_secs(30);

/// Publishes what is due of one account.
pub(crate) async fn publish_queues(app: &App, account: AccountId) -> Result<(), DbErr> {
    let Err(error) = publish(app, account).await else { return Ok(()) };
    tracing::error!(%error, account_id = %account, "queues of an account cannot be published; they are put off");
    let tx = app.db.begin_for(account).await?;
    let now = tx.now().await?;
    routing_accounts::lock(&tx, account).await?;
    queue_publications::put_off(&tx, account, now, now.plus(PUT_OFF)).await?;
    tx.commit().await
}

/// What was published already is not published again: the edit of a policy may leave the teams as they are.
async fn publish(app: &App, account: AccountId) -> Result<(), DbErr> {
    let mut tx = app.db.begin_for(account).await?;
    routing_accounts::lock(&tx, account).await?;
    let now = tx.now().await?;
    let due = queue_publications::list_due(&tx, account, now, BATCH).await?;
    let queues = due.iter().map(|publication| publication.waiting.queue()).collect();
    let policies = load_policies(tx.conn(), account, queues, now).await?;
    let teams = not_deleted(tx.conn(), account, policies.named_teams()).await?;
    for publication in due {
        let waiting = &publication.waiting;
        let (queued, next) = match publication.ended {
            true => (Queued::over(waiting.epoch), None),
            false => policies.queued(waiting, &teams, now),
        };
        let text = serde_json::to_string(&queued).map_err(|error| DbErr::Type(error.to_string()))?;
        let is_news = queued.waiting || publication.published.is_some();
        if is_news && publication.published.as_ref() != Some(&text) {
            append(&mut tx, account, waiting.conversation, &queued).await?;
        }
        if publication.over {
            queue_publications::remove(&tx, account, waiting).await?;
        } else {
            let published = Some(text).filter(|_| is_news);
            queue_publications::save(&tx, account, waiting, published, next).await?;
        }
    }
    tx.commit().await
}

async fn append(tx: &mut Tx, account: AccountId, conversation: Uuid, queued: &Queued) -> Result<(), DbErr> {
    let version = conversation_owners::next_queue_version(tx, account, conversation).await?;
    store::events::append_conversation_queue_changed(tx, account, conversation, version, queued).await
}

async fn not_deleted(
    conn: &impl ConnectionTrait,
    account: AccountId,
    teams: BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>, DbErr> {
    let found = store::teams::find_many(conn, account, teams).await?;
    Ok(found.into_iter().filter(|(_, team)| team.deleted_at.is_none()).map(|(id, _)| id).collect())
}
