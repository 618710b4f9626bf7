//! Dead letters: events that a consumer gave up, kept in its service's database with the reason.

use frontdesk_clock::Time;
use frontdesk_db::{Db, Sql};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{DbErr, EntityTrait, QueryOrder, QuerySelect, Set, sea_query::OnConflict};
use uuid::Uuid;

/// The table, for each service's migrations.
pub const DEAD_LETTERS: Sql = Sql {
    name: "bus_001_dead_letters",
    text: "CREATE TABLE dead_letters (
        consumer TEXT NOT NULL,
        event_id UUID NOT NULL,
        event {bytes} NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        created_at BIGINT NOT NULL,
        CONSTRAINT dead_letters_pk PRIMARY KEY (consumer, event_id)
    )",
};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dead_letters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        pub event: Vec<u8>,
        pub reason: String,
        pub attempts: i32,
        pub created_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An event that a consumer gave up.
#[derive(Debug)]
pub struct DeadLetter {
    /// Who gave it up.
    pub consumer: String,
    /// The event.
    pub event: Event,
    /// Why.
    pub reason: String,
    /// After how many tries.
    pub attempts: i32,
    /// When.
    pub created_at: Time,
}

/// Keeps an event that `consumer` gave up.
pub(crate) async fn keep(db: &Db, consumer: &str, event: &Event, reason: String, attempts: i32) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    let row = entity::ActiveModel {
        consumer: Set(consumer.to_owned()),
        event_id: Set(event.id.parse().unwrap_or_default()),
        event: Set(event.encode_to_vec()),
        reason: Set(reason),
        attempts: Set(attempts),
        created_at: Set(tx.now().await?.0),
    };
    entity::Entity::insert(row)
        .on_conflict(OnConflict::columns([entity::Column::Consumer, entity::Column::EventId]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    tx.commit().await
}

/// The newest dead letters of a service's database, at most 1,000.
pub async fn list_dead_letters(db: &Db) -> Result<Vec<DeadLetter>, DbErr> {
    let rows = entity::Entity::find().order_by_desc(entity::Column::CreatedAt).limit(1_000).all(db.read()).await?;
    rows.into_iter().map(read).collect()
}

/// A dead letter.
pub async fn find_dead_letter(db: &Db, consumer: &str, event_id: Uuid) -> Result<Option<DeadLetter>, DbErr> {
    entity::Entity::find_by_id((consumer.to_owned(), event_id)).one(db.read()).await?.map(read).transpose()
}

/// Forgets a dead letter, once its event was brought to the consumer again.
pub async fn forget_dead_letter(db: &Db, consumer: &str, event_id: Uuid) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    entity::Entity::delete_by_id((consumer.to_owned(), event_id)).exec(tx.conn()).await?;
    tx.commit().await
}

fn read(row: entity::Model) -> Result<DeadLetter, DbErr> {
    let event = Event::decode(row.event.as_slice()).map_err(|error| DbErr::Type(error.to_string()))?;
    let (consumer, reason, attempts) = (row.consumer, row.reason, row.attempts);
    Ok(DeadLetter { consumer, event, reason, attempts, created_at: Time(row.created_at) })
}
