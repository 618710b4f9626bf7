//! Dead letters: events that a consumer could not handle, stored in its service's database with the reason.

use frontdesk_clock::Time;
use frontdesk_db::{Db, Sql};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{DbErr, EntityTrait, QueryOrder, QuerySelect, Set, sea_query::OnConflict};
use uuid::Uuid;

/// Maximum number of dead letters in a list.
const MAX_LISTED: u64 = 1_000;

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

/// An event that a consumer could not handle.
#[derive(Debug)]
pub struct DeadLetter {
    /// The consumer's name.
    pub consumer: String,
    /// The event.
    pub event: Event,
    /// Why the last attempt failed.
    pub reason: String,
    /// Number of attempts.
    pub attempts: i32,
    /// When it became a dead letter.
    pub created_at: Time,
}

/// Stores an event that `consumer` could not handle; once it is stored, again changes nothing.
pub(crate) async fn insert(db: &Db, consumer: &str, event: &Event, reason: String, attempts: i32) -> Result<(), DbErr> {
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
    let newest = entity::Entity::find().order_by_desc(entity::Column::CreatedAt).limit(MAX_LISTED);
    newest.all(db.read()).await?.into_iter().map(from_row).collect()
}

/// The dead letter of this consumer with this event.
pub async fn find_dead_letter(db: &Db, consumer: &str, event_id: Uuid) -> Result<Option<DeadLetter>, DbErr> {
    entity::Entity::find_by_id((consumer.to_owned(), event_id)).one(db.read()).await?.map(from_row).transpose()
}

/// Deletes a dead letter, after [`Bus::replay`](crate::Bus::replay).
pub async fn delete_dead_letter(db: &Db, consumer: &str, event_id: Uuid) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    entity::Entity::delete_by_id((consumer.to_owned(), event_id)).exec(tx.conn()).await?;
    tx.commit().await
}

fn from_row(row: entity::Model) -> Result<DeadLetter, DbErr> {
    let event = Event::decode(row.event.as_slice()).map_err(|error| DbErr::Type(error.to_string()))?;
    let (consumer, reason, attempts) = (row.consumer, row.reason, row.attempts);
    Ok(DeadLetter { consumer, event, reason, attempts, created_at: Time(row.created_at) })
}
