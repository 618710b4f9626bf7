//! Publishing again what the broker lost after acknowledging it: the database is the system of record.

use frontdesk_bus::{Bus, BusError, StreamState};
use frontdesk_clock::Time;
use frontdesk_db::{Db, DbErr, Tx};
use sea_orm::{Condition, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};

use crate::entity;

mod stream {
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

/// Compares the broker's stream with the events that it acknowledged; those that it no longer has are published again.
pub(crate) async fn check_stream(db: &Db, bus: &Bus, source: &str) -> Result<(), BusError> {
    let Some(state) = bus.stream_state(source).await? else { return Ok(()) };
    let tx = db.begin().await?;
    let known = stream::Entity::find_by_id(source).one(tx.conn()).await?;
    // Two leaders at the same moment do no harm: both mark the same rows as unpublished.
    let events = match &known {
        None => 0,
        Some(known) if Time(known.created_at) != state.created_at => mark_unpublished(&tx, 0).await?,
        Some(known) if known.last_sequence > state.last_sequence => mark_unpublished(&tx, state.last_sequence).await?,
        Some(_) => return Ok(()),
    };
    save(&tx, source, state).await?;
    tx.commit().await?;
    if events > 0 {
        let last_sequence = state.last_sequence;
        tracing::error!(source, events, last_sequence, "the broker lost events; they are published again");
    }
    Ok(())
}

/// Marks every published event after this number of the stream as unpublished, and returns their number.
async fn mark_unpublished(tx: &Tx, after: i64) -> Result<u64, DbErr> {
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

async fn save(tx: &Tx, source: &str, state: StreamState) -> Result<(), DbErr> {
    let row = stream::ActiveModel {
        source: Set(source.to_owned()),
        created_at: Set(state.created_at.0),
        last_sequence: Set(state.last_sequence),
    };
    let known = OnConflict::column(stream::Column::Source)
        .update_columns([stream::Column::CreatedAt, stream::Column::LastSequence])
        .to_owned();
    stream::Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}
