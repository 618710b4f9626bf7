//! What a group reads in the statement after the one that locked its conversations.
//!
//! Not in the same one: while that waits for a lock, another commits, and what it looked up beside the lock would be of before
//! (READ COMMITTED reads each statement from its beginning).

use std::{sync::LazyLock, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::RequestBatch;
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, Statement, Value, entity::prelude::*,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::{
    Wanted,
    seen::{self, Seen},
};
use crate::store::{
    entity::{agents, bots},
    many::Conversations,
};

/// The time, the requests made before, the agents and bots who act.
pub(super) async fn look<'a>(
    tx: &Tx,
    wanted: impl Iterator<Item = &'a Wanted> + Clone,
    conversations: &Conversations,
    clock_offset: Duration,
) -> Result<Seen, DbErr> {
    match tx.conn().get_database_backend() {
        DbBackend::Sqlite => on_sqlite(tx, wanted, conversations).await,
        _ => on_postgres(tx, wanted, conversations, clock_offset).await,
    }
}

async fn on_sqlite<'a>(
    tx: &Tx,
    wanted: impl Iterator<Item = &'a Wanted> + Clone,
    conversations: &Conversations,
) -> Result<Seen, DbErr> {
    let mut seen = Seen::new(tx.now().await?);
    seen.requests = RequestBatch::find(tx.conn(), wanted.clone().map(|wanted| &wanted.key)).await?;
    let agents = seen::agents(wanted);
    if !agents.is_empty() {
        let rows = agents::Entity::find().filter(these(agents::Column::AccountId, agents::Column::Id, agents));
        rows.all(tx.conn()).await?.into_iter().for_each(|agent| seen.add_agent(agent));
    }
    let bots = seen::bots(conversations.values());
    if !bots.is_empty() {
        let rows = bots::Entity::find().filter(these(bots::Column::AccountId, bots::Column::Id, bots));
        rows.all(tx.conn()).await?.into_iter().for_each(|bot| seen.add_bot(bot));
    }
    Ok(seen)
}

fn these<C: ColumnTrait>(account: C, id: C, these: Vec<(AccountId, Uuid)>) -> Condition {
    these.into_iter().fold(Condition::any(), |any, (of, this)| any.add(account.eq(of).and(id.eq(this))))
}

/// All in one statement, whatever the group's size.
const CLOCK: i32 = 0;
const REQUEST: i32 = 1;
const AGENT: i32 = 2;
const BOT: i32 = 3;

static LOOK: LazyLock<String> = LazyLock::new(|| {
    let requests = RequestBatch::select_sql(1);
    format!(
        "SELECT {CLOCK} AS what, NULL::uuid AS account_id, NULL::uuid AS id, NULL::text AS name, NULL::boolean AS active, \
           NULL::boolean AS deleted, NULL::bigint AS timeout_us, NULL::bigint AS version, NULL::text AS actor, \
           NULL::text AS request_id, NULL::bytea AS fingerprint, NULL::text AS result, \
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS created_at \
         UNION ALL \
         SELECT {REQUEST}, account_id, NULL, NULL, NULL, NULL, NULL, NULL, actor, request_id, fingerprint, result, created_at \
           FROM ({requests}) AS request \
         UNION ALL \
         SELECT {AGENT}, agent.account_id, agent.id, name, active, NULL, NULL, version, NULL, NULL, NULL, NULL, NULL \
           FROM unnest($4::uuid[], $5::uuid[]) AS acting (account_id, id) CROSS JOIN LATERAL (\
             SELECT * FROM agents WHERE agents.account_id = acting.account_id AND agents.id = acting.id LIMIT 1) AS agent \
         UNION ALL \
         SELECT {BOT}, bot.account_id, bot.id, name, NULL, deleted, timeout_us, version, NULL, NULL, NULL, NULL, NULL \
           FROM unnest($6::uuid[], $7::uuid[]) AS acting (account_id, id) CROSS JOIN LATERAL (\
             SELECT * FROM bots WHERE bots.account_id = acting.account_id AND bots.id = acting.id LIMIT 1) AS bot"
    )
});

async fn on_postgres<'a>(
    tx: &Tx,
    wanted: impl Iterator<Item = &'a Wanted> + Clone,
    conversations: &Conversations,
    clock_offset: Duration,
) -> Result<Seen, DbErr> {
    let mut values: Vec<Value> = RequestBatch::select_values(wanted.clone().map(|wanted| &wanted.key)).into();
    for acting in [seen::agents(wanted), seen::bots(conversations.values())] {
        let (accounts, ids): (Vec<Uuid>, Vec<Uuid>) = acting.into_iter().map(|(account, id)| (account.0, id)).unzip();
        values.extend([accounts.into(), ids.into()]);
    }
    let look = Statement::from_sql_and_values(DbBackend::Postgres, LOOK.as_str(), values);
    let mut seen = Seen::new(Time(0));
    for row in tx.conn().query_all_raw(look).await? {
        match row.try_get("", "what")? {
            CLOCK => seen.now = Time(row.try_get("", "created_at")?).plus(clock_offset),
            REQUEST => seen.requests.add(&row)?,
            AGENT => seen.add_agent(agents::Model::from_query_result(&row, "")?),
            _ => seen.add_bot(bots::Model::from_query_result(&row, "")?),
        }
    }
    Ok(seen)
}
