//! Marks of handled events, by which a consumer recognises an event that is delivered again.

use frontdesk_db::Tx;
use frontdesk_proto::event::v1::Event;
use sea_orm::{DbErr, EntityTrait, Set, sea_query::OnConflict};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "handled_events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        pub handled_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Marks the event as handled by `consumer`, in the transaction of the effect. True: for the first time. False: it was handled
/// before.
pub async fn mark_handled(tx: &Tx, consumer: &str, event: &Event) -> Result<bool, DbErr> {
    mark_all_handled(tx, consumer, std::iter::once(event)).await
}

/// Marks events as handled by `consumer`, in the transaction of their effects. True: each for the first time. False: one of them was
/// handled before.
pub async fn mark_all_handled(tx: &Tx, consumer: &str, events: impl Iterator<Item = &Event>) -> Result<bool, DbErr> {
    let now = tx.now().await?;
    let row = |event: &Event| {
        let event_id = event.id.parse().map_err(|_| DbErr::Type("the event's id is not a UUID".into()))?;
        Ok(entity::ActiveModel { consumer: Set(consumer.to_owned()), event_id: Set(event_id), handled_at: Set(now.0) })
    };
    let rows = events.map(row).collect::<Result<Vec<_>, DbErr>>()?;
    let expected = rows.len() as u64;
    // The number of rows decides: it is right on both databases.
    let inserted = entity::Entity::insert_many(rows)
        .on_conflict(OnConflict::columns([entity::Column::Consumer, entity::Column::EventId]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == expected)
}
