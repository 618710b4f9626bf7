//! Dead letters: events that a consumer could not handle, stored in its service's database with the reason.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db, Sql};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};
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
    /// Id of the event.
    pub event_id: Uuid,
    /// The event. None: the stored one is damaged.
    pub event: Option<Event>,
    /// Why the last attempt failed.
    pub reason: String,
    /// Number of attempts.
    pub attempts: i32,
    /// When it became a dead letter.
    pub created_at: Time,
}

/// Stores an event that `consumer` could not handle. One that is stored already becomes newer, so that a replay which read it
/// before does not delete it.
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
    let later = "CASE WHEN excluded.created_at > dead_letters.created_at THEN excluded.created_at ELSE dead_letters.created_at + 1 END";
    let newer = OnConflict::columns([entity::Column::Consumer, entity::Column::EventId])
        .update_columns([entity::Column::Event, entity::Column::Reason, entity::Column::Attempts])
        .value(entity::Column::CreatedAt, Expr::cust(later))
        .to_owned();
    entity::Entity::insert(row).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    tx.commit().await
}

/// Number of the dead letters of a service's database.
pub async fn count_dead_letters(db: &Db) -> Result<u64, DbErr> {
    entity::Entity::find().count(db.read()).await
}

/// The newest dead letters of a service's database, at most 1,000.
pub async fn list_dead_letters(db: &Db) -> Result<Vec<DeadLetter>, DbErr> {
    let newest = entity::Entity::find().order_by_desc(entity::Column::CreatedAt).limit(MAX_LISTED);
    Ok(newest.all(db.read()).await?.into_iter().map(from_row).collect())
}

/// The oldest dead letters of a service's database that are not newer than `until`, without the first `skipped`, at most 1,000.
pub async fn oldest_dead_letters(db: &Db, until: Time, skipped: u64) -> Result<Vec<DeadLetter>, DbErr> {
    let oldest = entity::Entity::find()
        .filter(entity::Column::CreatedAt.lte(until.0))
        .order_by_asc(entity::Column::CreatedAt)
        .order_by_asc(entity::Column::Consumer)
        .order_by_asc(entity::Column::EventId)
        .offset(skipped)
        .limit(MAX_LISTED);
    Ok(oldest.all(db.read()).await?.into_iter().map(from_row).collect())
}

/// The dead letter of this consumer with this event.
pub async fn find_dead_letter(db: &Db, consumer: &str, event_id: Uuid) -> Result<Option<DeadLetter>, DbErr> {
    Ok(entity::Entity::find_by_id((consumer.to_owned(), event_id)).one(db.read()).await?.map(from_row))
}

/// Deletes a dead letter that was read, after [`Bus::replay`](crate::Bus::replay), unless its consumer has given up the event again
/// since.
pub async fn delete_dead_letter(db: &Db, letter: &DeadLetter) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    entity::Entity::delete_by_id((letter.consumer.clone(), letter.event_id))
        .filter(entity::Column::CreatedAt.eq(letter.created_at.0))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

/// Deletes the dead letters of an account. A damaged one has no account and stays.
pub async fn delete_dead_letters_of(db: &Db, account: AccountId) -> Result<(), DbErr> {
    let mut after: Option<(String, Uuid)> = None;
    loop {
        let mut page = entity::Entity::find()
            .order_by_asc(entity::Column::Consumer)
            .order_by_asc(entity::Column::EventId)
            .limit(MAX_LISTED);
        if let Some((consumer, event_id)) = &after {
            let later = entity::Column::Consumer.eq(consumer.as_str()).and(entity::Column::EventId.gt(*event_id));
            page = page.filter(entity::Column::Consumer.gt(consumer.as_str()).or(later));
        }
        let letters: Vec<DeadLetter> = page.all(db.read()).await?.into_iter().map(from_row).collect();
        for letter in &letters {
            let of = letter.event.as_ref().and_then(|event| crate::event::account_id(event).ok());
            if of == Some(account) {
                delete_dead_letter(db, letter).await?;
            }
        }
        match letters.last() {
            Some(last) if letters.len() as u64 == MAX_LISTED => after = Some((last.consumer.clone(), last.event_id)),
            _ => return Ok(()),
        }
    }
}

fn from_row(row: entity::Model) -> DeadLetter {
    DeadLetter {
        consumer: row.consumer,
        event_id: row.event_id,
        event: Event::decode(row.event.as_slice()).ok(),
        reason: row.reason,
        attempts: row.attempts,
        created_at: Time(row.created_at),
    }
}
