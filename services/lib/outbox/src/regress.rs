//! The guard against a broker that lost what it had acknowledged: PostgreSQL is the truth, so it is published again.

use frontdesk_bus::{Bus, BusError, StreamState};
use frontdesk_clock::Time;
use frontdesk_db::{Db, DbErr, Tx};
use sea_orm::{Condition, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};

use crate::entity;

mod streams {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_streams")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        pub created_at: i64,
        pub last_sequence: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Compares the broker's stream with what it had acknowledged; what it does not have any more will be published again.
pub(crate) async fn check_stream(db: &Db, bus: &Bus, source: &str) -> Result<(), BusError> {
    let Some(state) = bus.stream_state(source).await? else { return Ok(()) };
    let tx = db.begin().await?;
    let known = streams::Entity::find_by_id(source).one(tx.conn()).await?;
    // Two leaders at once, for a moment, do the same and do it once: a row that waits is set to wait.
    let again = match &known {
        None => 0,
        Some(known) if Time(known.created_at) != state.created_at => publish_again(&tx, 0).await?,
        Some(known) if known.last_sequence > state.last_sequence => publish_again(&tx, state.last_sequence).await?,
        Some(_) => return Ok(()),
    };
    keep(&tx, source, state).await?;
    tx.commit().await?;
    if again > 0 {
        tracing::error!(
            source,
            again,
            last_sequence = state.last_sequence,
            "the broker lost events; they are published again"
        );
    }
    Ok(())
}

/// Every published event after this number waits again.
async fn publish_again(tx: &Tx, after: i64) -> Result<u64, DbErr> {
    let later =
        Condition::any().add(entity::Column::StreamSequence.gt(after)).add(entity::Column::StreamSequence.is_null());
    let updated = entity::Entity::update_many()
        .filter(entity::Column::PublishedAt.is_not_null())
        .filter(later)
        .col_expr(entity::Column::PublishedAt, Expr::value(Option::<i64>::None))
        .col_expr(entity::Column::StreamSequence, Expr::value(Option::<i64>::None))
        .exec(tx.conn())
        .await?;
    Ok(updated.rows_affected)
}

async fn keep(tx: &Tx, source: &str, state: StreamState) -> Result<(), DbErr> {
    let row = streams::ActiveModel {
        source: Set(source.to_owned()),
        created_at: Set(state.created_at.0),
        last_sequence: Set(state.last_sequence),
    };
    let known = OnConflict::column(streams::Column::Source)
        .update_columns([streams::Column::CreatedAt, streams::Column::LastSequence])
        .to_owned();
    streams::Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}
