//! Inserts.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, violated_unique_index};
use sea_orm::{
    ActiveValue, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
    sea_query::LikeExpr,
};
use uuid::Uuid;

use super::{
    entity::insert::{Column, Entity, Model},
    events, keyset,
};
use crate::domain::{Insert, InsertChange, InsertContent, search_words};

/// Escapes the wildcards of LIKE, and itself.
const ESCAPE: char = '!';

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Insert>, DbErr> {
    in_account(account).filter(Column::Id.eq(id)).one(conn).await?.map(Insert::try_from).transpose()
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Insert>, DbErr> {
    let row = in_account(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    row.map(Insert::try_from).transpose()
}

/// Those of these inserts that exist and are not deleted, by id.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Insert>, DbErr> {
    let rows = in_account(account).filter(Column::Id.is_in(ids.iter().copied())).filter(Column::DeletedAt.is_null());
    let inserts = rows.all(conn).await?.into_iter().map(Insert::try_from);
    inserts.map(|insert| insert.map(|insert| (insert.id, insert))).collect()
}

/// Which inserts a list holds. Empty: all.
#[derive(Debug, Default)]
pub(crate) struct InsertFilter {
    /// Only of one of these kinds, as rows spell them.
    pub(crate) kinds: Vec<String>,
    /// Only with all of these tags, in upper or lower case.
    pub(crate) tags: Vec<String>,
    /// Only those in whose shortcut, title or tags each word of this text begins a word.
    pub(crate) query: String,
    /// Deleted ones too.
    pub(crate) show_deleted: bool,
}

/// Inserts by title, after the cursor (title and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &InsertFilter,
    after: Option<(String, Uuid)>,
    limit: u64,
) -> Result<Vec<Insert>, DbErr> {
    let mut query = in_account(account);
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    if !filter.kinds.is_empty() {
        query = query.filter(Column::Kind.is_in(&filter.kinds));
    }
    // As Insert::search_text writes them: a tag is a line, and a word follows a space.
    let tags = filter.tags.iter().map(|tag| format!("\n{}\n", tag.to_lowercase()));
    let words = search_words(&filter.query).into_iter().map(|word| format!(" {word}"));
    for part in tags.chain(words) {
        let pattern = LikeExpr::new(format!("%{}%", escaped(&part))).escape(ESCAPE);
        query = query.filter(Column::SearchText.like(pattern));
    }
    if let Some((title, id)) = after {
        query = query.filter(keyset::after([Column::Title, Column::Id], (title, id)));
    }
    let rows = query.order_by_asc(Column::Title).order_by_asc(Column::Id).limit(limit).all(conn).await?;
    rows.into_iter().map(Insert::try_from).collect()
}

/// A text as a part of a pattern of LIKE.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern
}

/// Inserts a new insert with its event. Some: another one has its shortcut; roll back.
pub(crate) async fn insert(tx: &mut Tx, insert: &Insert) -> Result<Option<Uuid>, DbErr> {
    if let Some(other) = find_other_with_shortcut(tx, insert).await? {
        return Ok(Some(other));
    }
    let row = Model::try_from(insert)?.into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    events::append_insert_created(tx, insert).await?;
    Ok(None)
}

/// Saves a changed insert under its next version, with the event of the change. Some: another one has its shortcut; roll back.
pub(crate) async fn save(
    tx: &mut Tx,
    insert: &mut Insert,
    change: InsertChange,
    now: Time,
) -> Result<Option<Uuid>, DbErr> {
    if let Some(other) = find_other_with_shortcut(tx, insert).await? {
        return Ok(Some(other));
    }
    insert.version += 1;
    // A clock that went back moves no time back.
    insert.updated_at = std::cmp::max(insert.updated_at, now);
    let mut row = Model::try_from(&*insert)?.into_active_model().reset_all();
    if insert.content == InsertContent::Unknown {
        // Content of a later release stays as it is.
        (row.kind, row.content) = (ActiveValue::NotSet, ActiveValue::NotSet);
    }
    Entity::update(row).validate()?.filter(Column::AccountId.eq(insert.account)).exec(tx.conn()).await?;
    match change {
        InsertChange::Updated => events::append_insert_updated(tx, insert).await?,
        InsertChange::Deleted => events::append_insert_deleted(tx, insert).await?,
        InsertChange::Undeleted => events::append_insert_undeleted(tx, insert).await?,
    }
    Ok(None)
}

/// Whether [`insert`] or [`save`] failed because another transaction stored the shortcut at the same time: the next attempt finds
/// the insert that has it.
pub(crate) fn is_shortcut_raced(error: &DbErr) -> bool {
    violated_unique_index(error).as_deref() == Some("inserts_shortcut")
}

async fn find_other_with_shortcut(tx: &Tx, insert: &Insert) -> Result<Option<Uuid>, DbErr> {
    if insert.shortcut.is_empty() || insert.is_deleted() {
        return Ok(None);
    }
    let other = in_account(insert.account)
        .filter(Column::Shortcut.eq(&insert.shortcut))
        .filter(Column::Id.ne(insert.id))
        .filter(Column::DeletedAt.is_null());
    Ok(other.one(tx.conn()).await?.map(|other| other.id))
}
