//! Templates of accounts.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*, sea_query::OnConflict,
};

use super::entity::transcript_template::{Column, Entity, Model};
use crate::domain::TranscriptTemplate;

/// `words` of a template without any.
const NO_WORDS: &str = "{}";

/// Stores the template in the place of the one before.
pub(crate) async fn save(tx: &Tx, template: &TranscriptTemplate) -> Result<(), DbErr> {
    let replaced = OnConflict::columns([Column::AccountId, Column::Language])
        .update_columns([Column::Html, Column::Text, Column::Words, Column::Version, Column::UpdatedAt])
        .to_owned();
    let row = to_row(template)?.into_active_model();
    Entity::insert(row).on_conflict(replaced).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the account's template in this language; the shipped one when it has none.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    language: &str,
) -> Result<TranscriptTemplate, DbErr> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Language.eq(language));
    match query.one(db).await? {
        Some(row) => to_domain(row),
        None => Ok(TranscriptTemplate::shipped(account, language.to_owned())),
    }
}

/// Returns the account's own templates after a language, by language.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<TranscriptTemplate>, DbErr> {
    let mut query = own(account);
    if let Some(last) = after {
        query = query.filter(Column::Language.gt(last));
    }
    let rows = query.order_by_asc(Column::Language).limit(limit).all(db).await?;
    rows.into_iter().map(to_domain).collect()
}

/// Returns the languages of the account's own templates.
pub(crate) async fn list_languages<C: ConnectionTrait>(db: &C, account: AccountId) -> Result<Vec<String>, DbErr> {
    own(account).select_only().column(Column::Language).into_tuple::<String>().all(db).await
}

/// The rows with something of the account's; a deleted template has none.
fn own(account: AccountId) -> Select<Entity> {
    let has_own = Condition::any().add(Column::Html.ne("")).add(Column::Text.ne("")).add(Column::Words.ne(NO_WORDS));
    Entity::find().filter(Column::AccountId.eq(account)).filter(has_own)
}

fn to_row(template: &TranscriptTemplate) -> Result<Model, DbErr> {
    let words = serde_json::to_string(&template.words).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(Model {
        account_id: template.account,
        language: template.language.clone(),
        html: template.html.clone(),
        text: template.text.clone(),
        words,
        version: template.version,
        updated_at: template.updated_at,
    })
}

fn to_domain(row: Model) -> Result<TranscriptTemplate, DbErr> {
    let words = serde_json::from_str(&row.words)
        .map_err(|error| DbErr::Type(format!("transcript_templates.words cannot be read: {error}")))?;
    Ok(TranscriptTemplate {
        account: row.account_id,
        language: row.language,
        html: row.html,
        text: row.text,
        words,
        version: row.version,
        updated_at: row.updated_at,
    })
}
